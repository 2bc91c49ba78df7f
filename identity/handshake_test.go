package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/wire"
	"shoal/wire/wiretest"
)

var (
	overTLS       = Transport{Security: wire.TLS}
	overBulkTLS   = Transport{Security: wire.TLS, Buffer: BulkBuffer}
	overPlaintext = Transport{Security: wire.Plaintext}
)

// loopback returns both ends of a TCP connection.
func loopback(t *testing.T) (initiator, responder net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	initiator, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	responder, err = l.Accept()
	must(t, err)
	t.Cleanup(func() { initiator.Close(); responder.Close() })
	return initiator, responder
}

func memory(t *testing.T) (initiator, responder net.Conn) {
	t.Helper()
	initiator, responder = wiretest.Pipe()
	t.Cleanup(func() { initiator.Close(); responder.Close() })
	return initiator, responder
}

func acceptAll(*wire.HelloReply) error { return nil }

// outcome is how one side's handshake ended.
type outcome struct {
	*Established
	err error
}

// accepting does the responder's side in the background.
func accepting(ctx context.Context, r Responder, nc net.Conn) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		e, err := r.Accept(ctx, nc)
		done <- outcome{e, err}
	}()
	return done
}

func TestHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		connect              func(*testing.T) (net.Conn, net.Conn)
		initiator, responder Transport
	}{
		"TLS over TCP":          {loopback, overTLS, overTLS},
		"bulk TLS over TCP":     {loopback, overBulkTLS, overTLS},
		"TLS in memory":         {memory, overTLS, overBulkTLS},
		"plaintext over TCP":    {loopback, overPlaintext, overPlaintext},
		"plaintext in memory":   {memory, overPlaintext, overPlaintext},
		"bulk TLS on both ends": {memory, overBulkTLS, overBulkTLS},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := c.connect(t)
			device, realm, server := NewKey(), NewKey(), NewKey()
			certificate := CertifyServer(realm, server.Public(), time.Now(), time.Hour)
			there := accepting(t.Context(), Responder{
				Key: server, Serves: wire.ServiceServer, Transport: c.responder,
				Certificate: func() []byte { return certificate }, NextSession: func() uint64 { return 42 },
			}, b)
			here, err := Initiator{
				Key: device, Wanted: wire.ServiceServer, Transport: c.initiator,
				Accept: func(r *wire.HelloReply) error {
					return VerifyServer(r.Certificate, realm.Public(), r.Identity, time.Now())
				},
			}.Open(t.Context(), a)
			must(t, err)
			got := <-there
			must(t, got.err)
			if here.Remote != server.Public() || got.Remote != device.Public() {
				t.Error("a side takes the other for somebody else")
			}
			if here.Session != 42 || got.Session != 42 {
				t.Errorf("sessions %d and %d", here.Session, got.Session)
			}
			if want := a.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(); here.Observed != want {
				t.Errorf("observed %v, want %v", here.Observed, want)
			}
			if here.Ahead > time.Second || here.Ahead < -time.Second {
				t.Errorf("one clock is %v ahead of itself", here.Ahead)
			}
			// The connection carries frames now, and deadlines of the handshake do not hang over it.
			go func() { _, _ = here.Write(wire.AppendRequest(nil, wire.KindPing, 3, &wire.Empty{})) }()
			if f, err := got.ReadFrame(); err != nil || f.Kind != wire.KindPing || f.ID != 3 {
				t.Errorf("read %v, %v", f, err)
			}
		})
	}
}

// What the handshake can end with, told to both sides.
func TestHandshakeRefused(t *testing.T) {
	errBusy := shoal.Errorf(shoal.Busy, "no room; come back later")
	server := NewKey()
	for name, c := range map[string]struct {
		initiator           Initiator
		responder           Responder
		here, there         shoal.Code
		textHere, textThere string
	}{
		"another service": {
			initiator: Initiator{Wanted: wire.ServicePeer, Transport: overTLS},
			responder: Responder{Serves: wire.ServiceServer, Transport: overTLS},
			here:      shoal.Unsupported, textHere: "another service", there: shoal.Unsupported, textThere: "another service",
		},
		"no room": {
			initiator: Initiator{Wanted: wire.ServiceServer, Transport: overTLS},
			responder: Responder{Serves: wire.ServiceServer, Transport: overTLS, Admit: func() error { return errBusy }},
			here:      shoal.Busy, textHere: "come back", there: shoal.Busy, textThere: "come back",
		},
		"another device (H8)": {
			initiator: Initiator{Wanted: wire.ServicePeer, Transport: overTLS, Accept: func(r *wire.HelloReply) error {
				if r.Identity != NewKey().Public() {
					return shoal.Errorf(shoal.Untrusted, "that is another device")
				}
				return nil
			}},
			responder: Responder{Serves: wire.ServicePeer, Transport: overTLS},
			here:      shoal.Untrusted, textHere: "another device", there: shoal.Untrusted, textThere: "another device",
		},
		"another realm (H7)": {
			initiator: Initiator{Wanted: wire.ServiceServer, Transport: overPlaintext, Accept: func(r *wire.HelloReply) error {
				return VerifyServer(r.Certificate, NewKey().Public(), r.Identity, time.Now())
			}},
			responder: Responder{Serves: wire.ServiceServer, Transport: overPlaintext, Certificate: func() []byte {
				return CertifyServer(NewKey(), server.Public(), time.Now(), time.Hour)
			}},
			here: shoal.Untrusted, textHere: "another key", there: shoal.Untrusted, textThere: "another key",
		},
		"TLS to plaintext (T2)": {
			initiator: Initiator{Wanted: wire.ServicePeer, Transport: overTLS},
			responder: Responder{Serves: wire.ServicePeer, Transport: overPlaintext},
			here:      shoal.Unsupported, textHere: "--plaintext", there: shoal.Unsupported, textThere: "--plaintext",
		},
		"plaintext to TLS (T2)": {
			initiator: Initiator{Wanted: wire.ServicePeer, Transport: overPlaintext},
			responder: Responder{Serves: wire.ServicePeer, Transport: overTLS},
			here:      shoal.Unsupported, textHere: "--plaintext", there: shoal.Unsupported, textThere: "--plaintext",
		},
		"plaintext to bulk TLS (T2)": {
			initiator: Initiator{Wanted: wire.ServicePeer, Transport: overPlaintext},
			responder: Responder{Serves: wire.ServicePeer, Transport: overBulkTLS},
			here:      shoal.Unsupported, textHere: "--plaintext", there: shoal.Unsupported, textThere: "--plaintext",
		},
	} {
		for network, connect := range map[string]func(*testing.T) (net.Conn, net.Conn){"TCP": loopback, "memory": memory} {
			t.Run(name+" over "+network, func(t *testing.T) {
				a, b := connect(t)
				c.initiator.Key, c.responder.Key = NewKey(), server
				if c.initiator.Accept == nil {
					c.initiator.Accept = acceptAll
				}
				there := accepting(t.Context(), c.responder, b)
				_, err := c.initiator.Open(t.Context(), a)
				wantRefusal(t, err, c.here, c.textHere)
				wantRefusal(t, (<-there).err, c.there, c.textThere)
				for _, nc := range []net.Conn{a, b} {
					if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
						t.Errorf("a connection is left open: %v", err)
					}
				}
			})
		}
	}
}

func wantRefusal(t *testing.T, err error, code shoal.Code, text string) {
	t.Helper()
	if err == nil {
		t.Error("the handshake went well")
		return
	}
	wantCode(t, err, code)
	if !strings.Contains(err.Error(), text) {
		t.Errorf("%q does not say %q", err, text)
	}
}

// Somebody who terminates TLS on both sides and passes on what is said gets nowhere, because both proofs are bound to
// the connection (RFC 9266).
func TestRelayedHandshake(t *testing.T) {
	a, middleA := loopback(t)
	middleB, b := loopback(t)
	relayed := make(chan error, 2)
	go func() {
		toInitiator, err := overTLS.Server(t.Context(), middleA)
		if err != nil {
			relayed <- err
			relayed <- nil
			return
		}
		toResponder, err := overTLS.Client(t.Context(), middleB)
		if err != nil {
			relayed <- err
			relayed <- nil
			return
		}
		pass := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			_ = to.(*tls.Conn).CloseWrite()
			relayed <- nil
		}
		go pass(toResponder, toInitiator)
		pass(toInitiator, toResponder)
	}()
	there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: overTLS}, b)
	_, err := Initiator{Key: NewKey(), Wanted: wire.ServicePeer, Transport: overTLS, Accept: acceptAll}.Open(t.Context(), a)
	wantRefusal(t, err, shoal.Untrusted, "could not prove its key")
	if got := <-there; got.err == nil {
		t.Error("the responder took the relay for the device")
	}
	for range 2 {
		must(t, <-relayed)
	}
}

// An initiator does not take a reply for another, and says so.
func TestReplyRefused(t *testing.T) {
	good := wire.HelloReply{Version: 1, Secured: wire.Plaintext}
	other := good
	other.Secured = wire.TLS
	later := good
	later.Version = 2
	for name, c := range map[string]struct {
		frame []byte
		want  shoal.Code
		text  string
	}{
		"no proof":          {wire.AppendReply(nil, wire.KindHello, 1, &good), shoal.Untrusted, "could not prove"},
		"another security":  {wire.AppendReply(nil, wire.KindHello, 1, &other), shoal.Untrusted, "in between"},
		"another version":   {wire.AppendReply(nil, wire.KindHello, 1, &later), shoal.Unsupported, "version 2"},
		"another id":        {wire.AppendReply(nil, wire.KindHello, 7, &good), shoal.BadRequest, "rule F5"},
		"another kind":      {wire.AppendReply(nil, wire.KindPing, 1, &wire.Empty{}), shoal.BadRequest, "rule F5"},
		"a request":         {wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{}), shoal.BadRequest, "rule F5"},
		"an error":          {wire.AppendError(nil, wire.KindHello, 1, shoal.Errorf(shoal.Busy, "full \x1b[31m")), shoal.Busy, "full \ufffd[31m"},
		"goodbye":           {wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Errorf(shoal.Busy, "stopping"))), shoal.Busy, "stopping"},
		"what cannot be":    {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), shoal.BadRequest, "unknown kind"},
		"a cut frame":       {wire.AppendReply(nil, wire.KindHello, 1, &good)[:40], shoal.Unreachable, "ended within"},
		"nothing":           {nil, shoal.Unreachable, "closed the connection"},
		"a malformed error": {[]byte{0, 0, 0, 4, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 0, 1}, shoal.BadRequest, "decoding"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memory(t)
			_, err := b.Write(c.frame)
			must(t, err)
			must(t, b.(interface{ CloseWrite() error }).CloseWrite())
			_, err = Initiator{Key: NewKey(), Wanted: wire.ServicePeer, Transport: overPlaintext, Accept: acceptAll}.Open(t.Context(), a)
			wantRefusal(t, err, c.want, c.text)
		})
	}
}

// A silent side is given up after 10 seconds (rule H2), wherever in the handshake it went silent.
func TestSilence(t *testing.T) {
	for name, c := range map[string]struct {
		over Transport
		act  func(*testing.T, net.Conn)
	}{
		"from the start":        {overPlaintext, func(*testing.T, net.Conn) {}},
		"from the start of TLS": {overTLS, func(*testing.T, net.Conn) {}},
		"within a frame": {overPlaintext, func(t *testing.T, nc net.Conn) {
			_, err := nc.Write([]byte{0, 0, 0, 0})
			must(t, err)
		}},
		"after TLS":   {overTLS, func(t *testing.T, nc net.Conn) { script(t, nc, wire.TLS) }},
		"after HELLO": {overTLS, func(t *testing.T, nc net.Conn) { script(t, nc, wire.TLS).greet() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := memory(t)
				start := time.Now()
				there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: c.over}, b)
				c.act(t, a)
				err := (<-there).err
				if took := time.Since(start); took != HandshakeTimeout {
					t.Errorf("given up after %v", took)
				}
				if err == nil {
					t.Fatal("a handshake with nobody went well")
				}
				wantCode(t, err, shoal.Unreachable)
			})
		})
	}
	t.Run("of a responder", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, _ := memory(t)
			_, err := Initiator{Key: NewKey(), Wanted: wire.ServicePeer, Transport: overPlaintext, Accept: acceptAll}.Open(t.Context(), a)
			wantRefusal(t, err, shoal.Unreachable, "longer than 10s")
		})
	})
}

func TestHandshakeGivenUp(t *testing.T) {
	for _, over := range []Transport{overTLS, overPlaintext} {
		synctest.Test(t, func(t *testing.T) {
			_, b := memory(t)
			ctx, cancel := context.WithCancel(t.Context())
			there := accepting(ctx, Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: over}, b)
			synctest.Wait()
			cancel()
			if got := <-there; got.err == nil {
				t.Error("the handshake went well")
			}
		})
	}
}
