// Package script is clients, servers and peers that say whatever a test wants them to, on either side of a handshake, over
// TLS or not, over sockets or in memory: raw bytes, wrong ids, half frames, slow writes, floods. A Speaker opens
// conversations, a Source answers them, and Misbehaviours are what nobody may do to whom.
package script

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// Speaker is an initiator that says what a test wants it to, and expects exact answers. It is for one goroutine.
type Speaker struct {
	*wire.Conn
	t  testing.TB
	nc net.Conn
	// ID is that of the last request.
	ID uint32
	// Aside are the events that may come at any time; those that came before something else are in Pending.
	Aside   map[wire.Kind]bool
	Pending []wire.Frame
}

// Open makes a Speaker of nc by a good handshake, which may be with whoever answers. nc is closed when the test ends.
func Open(t testing.TB, nc net.Conn, i identity.Initiator) (*Speaker, *identity.Established) {
	t.Helper()
	t.Cleanup(func() { nc.Close() })
	if i.Accept == nil {
		i.Accept = func(*wire.HelloReply) error { return nil }
	}
	e, err := i.Open(t.Context(), nc)
	if err != nil {
		t.Fatal(err)
	}
	return &Speaker{Conn: e.Conn, t: t, nc: nc, ID: 2}, e
}

// Begin makes a Speaker of nc on which nothing of Shoal has been said. nc is closed when the test ends.
func Begin(t testing.TB, nc net.Conn, over wire.Security) *Speaker {
	t.Helper()
	t.Cleanup(func() { nc.Close() })
	s := &Speaker{Conn: wire.NewConn(nc), t: t, nc: nc}
	if over == wire.TLS {
		tc := tls.Client(nc, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{wire.ALPN}, InsecureSkipVerify: true})
		if err := tc.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Conn = wire.NewConn(tc)
	}
	return s
}

// Send writes bytes, of frames or of whatever.
func (s *Speaker) Send(b []byte) {
	s.t.Helper()
	if _, err := s.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// SendSlowly writes byte by byte, with a pause after each.
func (s *Speaker) SendSlowly(b []byte, pause time.Duration) {
	s.t.Helper()
	for i := range b {
		s.Send(b[i : i+1])
		time.Sleep(pause)
	}
}

// Flood writes a frame again and again, until so many bytes have been written or the other side takes no more; it returns
// how many were. What comes back meanwhile is not read.
func (s *Speaker) Flood(frame []byte, bytes int, patience time.Duration) (written int) {
	s.t.Helper()
	for written < bytes {
		_ = s.SetWriteDeadline(time.Now().Add(patience))
		n, err := s.Write(frame)
		if written += n; err != nil {
			break
		}
	}
	return written
}

// HangUp ends the direction to the other side, which may still answer.
func (s *Speaker) HangUp() {
	s.t.Helper()
	half, ok := s.nc.(interface{ CloseWrite() error })
	if !ok {
		s.t.Fatal("this connection has no direction that can be ended alone")
	}
	if err := half.CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
}

// Ask sends a request.
func (s *Speaker) Ask(kind wire.Kind, m wire.Message) (id uint32) {
	s.t.Helper()
	s.ID++
	s.Send(wire.AppendRequest(nil, kind, s.ID, m))
	return s.ID
}

// Call sends a request and returns the answer, decoded into reply, or the error that it is.
func (s *Speaker) Call(kind wire.Kind, request, reply wire.Message) error {
	s.t.Helper()
	return s.Answer(s.Ask(kind, request), kind, reply)
}

// Next returns the next frame that is not put aside. The body is a copy, and a block's bytes stand behind it.
func (s *Speaker) Next() wire.Frame {
	s.t.Helper()
	for {
		f, err := s.ReadFrame()
		if err != nil {
			s.t.Fatalf("instead of a frame: %v", err)
		}
		body := append([]byte(nil), f.Body...)
		if f.Data > 0 {
			data := make([]byte, f.Data)
			if err := s.ReadData(data); err != nil {
				s.t.Fatal(err)
			}
			body = append(body, data...)
		}
		if f.Body = body; !s.Aside[f.Kind] || f.ID != 0 {
			return f
		}
		s.Pending = append(s.Pending, f)
	}
}

// Answer reads the answer to a request, which must come next. The error is what the other side answered.
func (s *Speaker) Answer(id uint32, kind wire.Kind, reply wire.Message) error {
	s.t.Helper()
	f := s.Next()
	if f.Kind != kind || f.ID != id || !f.IsReply() {
		s.t.Fatalf("got %v %q instead of the reply to %v %d", f.Header, f.Body, kind, id)
	}
	if f.Flags&wire.FlagError != 0 {
		var failed wire.ErrorReply
		s.decode(f, &failed)
		return failed.Err()
	}
	s.decode(f, reply)
	return nil
}

func (s *Speaker) decode(f wire.Frame, m wire.Message) {
	s.t.Helper()
	if err := wire.Decode(f.Body, m); err != nil {
		s.t.Fatal(err)
	}
}

// Reply expects the reply to a request, and no error.
func (s *Speaker) Reply(id uint32, kind wire.Kind, m wire.Message) {
	s.t.Helper()
	if err := s.Answer(id, kind, m); err != nil {
		s.t.Fatalf("%v %d is answered by: %v", kind, id, err)
	}
}

// Refusal expects an error that answers a request.
func (s *Speaker) Refusal(id uint32, kind wire.Kind, code shoal.Code) {
	s.t.Helper()
	if err := s.Answer(id, kind, wire.NewMessage(wire.Header{Kind: kind, Flags: wire.FlagReply})); !errors.Is(err, code) {
		s.t.Fatalf("%v %d is answered by %v, want %v", kind, id, err, code)
	}
}

// Event expects an event.
func (s *Speaker) Event(kind wire.Kind, m wire.Message) {
	s.t.Helper()
	f := s.Next()
	if f.Kind != kind || f.ID != 0 {
		s.t.Fatalf("got %v instead of %v", f.Header, kind)
	}
	s.decode(f, m)
}

// Bye expects the end of the connection with a reason that says text, and nothing after that (rule H10).
func (s *Speaker) Bye(code shoal.Code, text string) {
	s.t.Helper()
	var reason wire.Bye
	s.Event(wire.KindBye, &reason)
	if reason.Code != code || !strings.Contains(reason.Text, text) {
		s.t.Errorf("goodbye with %v %q, want %v and %q", reason.Code, reason.Text, code, text)
	}
	s.Closed()
}

// Closed expects that nothing more comes.
func (s *Speaker) Closed() {
	s.t.Helper()
	f, err := s.ReadFrame()
	if err == nil {
		s.t.Fatalf("got %v instead of the end", f.Header)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, shoal.Unreachable) && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Fatal(err)
	}
}

// Alive expects that the connection goes on, with nothing left unsaid.
func (s *Speaker) Alive() {
	s.t.Helper()
	s.Reply(s.Ask(wire.KindPing, &wire.Empty{}), wire.KindPing, &wire.Empty{})
}
