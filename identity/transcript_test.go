package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"shoal"
	"shoal/wire"
)

// scripted is an initiator that knows shoal.x and the rules but shares no code with the one under test, except for the
// framing.
type scripted struct {
	t       *testing.T
	conn    *wire.Conn
	binding []byte
	private ed25519.PrivateKey
	hello   xHello
	reply   wire.HelloReply
}

// The structs of shoal.x, for an encoder that is not ours.
type (
	xHello struct {
		Version, Wanted, Secured uint32
		Random, Device           [32]byte
		Software                 string
	}
	xTranscript struct {
		Context                          string
		Version, Wanted, Secured         uint32
		InitiatorRandom, ResponderRandom [32]byte
		Initiator, Responder             [32]byte
		Now                              int64
		Binding                          []byte
	}
)

func script(t *testing.T, nc net.Conn, secured wire.Security) *scripted {
	t.Helper()
	s := &scripted{t: t, binding: []byte{}}
	if secured == wire.TLS {
		tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"shoal/1"}})
		must(t, tc.HandshakeContext(t.Context()))
		state := tc.ConnectionState()
		var err error
		s.binding, err = state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		must(t, err)
		nc = tc
	}
	s.conn = wire.NewConn(nc)
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	s.private = private
	s.hello = xHello{Version: 1, Wanted: 2, Secured: uint32(secured), Random: [32]byte{1, 2, 3}, Device: [32]byte(public), Software: "scripted"}
	return s
}

// send frames a request's body by hand (PROTOCOL.md section 3).
func (s *scripted) send(kind byte, id byte, body []byte) {
	s.t.Helper()
	head := []byte{0, 0, byte(len(body) >> 8), byte(len(body)), 0, kind, 0, 0, 0, 0, 0, id}
	_, err := s.conn.Write(append(head, body...))
	must(s.t, err)
}

func (s *scripted) transcript(context string) []byte {
	return encode(s.t, xTranscript{
		Context: context, Version: s.hello.Version, Wanted: s.hello.Wanted, Secured: s.hello.Secured,
		InitiatorRandom: s.hello.Random, ResponderRandom: s.reply.Random,
		Initiator: s.hello.Device, Responder: s.reply.Identity, Now: s.reply.Now, Binding: s.binding,
	})
}

// greet sends HELLO and checks the responder's proof.
func (s *scripted) greet() {
	s.t.Helper()
	s.send(1, 9, encode(s.t, s.hello))
	must(s.t, readReply(s.conn, wire.KindHello, 9, &s.reply))
	if !ed25519.Verify(s.reply.Identity[:], s.transcript("shoal/1 hello responder"), s.reply.Proof[:]) {
		s.t.Error("the responder's proof is not over the transcript of shoal.x")
	}
}

func (s *scripted) authenticate() error {
	s.t.Helper()
	s.send(2, 10, ed25519.Sign(s.private, s.transcript("shoal/1 hello initiator")))
	return readReply(s.conn, wire.KindAuth, 10, &wire.AuthReply{})
}

// Both proofs cover the transcript as shoal.x defines it, composed here by an encoder that is not ours.
func TestTranscript(t *testing.T) {
	for _, over := range []Transport{overTLS, overBulkTLS, overPlaintext} {
		a, b := loopback(t)
		there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: over}, b)
		s := script(t, a, over.Security)
		s.greet()
		if err := s.authenticate(); err != nil {
			t.Errorf("over %v: %v", over.Security, err)
		}
		if got := <-there; got.err != nil || got.Remote != s.hello.Device {
			t.Errorf("over %v: %v", over.Security, got.err)
		}
	}
}

// Every part of the transcript counts: a proof over any other is refused (rule H6).
func TestProofOverAnother(t *testing.T) {
	for name, change := range map[string]func(*scripted){
		"version":           func(s *scripted) { s.hello.Version++ },
		"service":           func(s *scripted) { s.hello.Wanted = 1 },
		"security":          func(s *scripted) { s.hello.Secured = 3 - s.hello.Secured },
		"initiator's nonce": func(s *scripted) { s.hello.Random[31]++ },
		"responder's nonce": func(s *scripted) { s.reply.Random[31]++ },
		"initiator":         func(s *scripted) { s.hello.Device = NewKey().Public() },
		"responder":         func(s *scripted) { s.reply.Identity = NewKey().Public() },
		"time":              func(s *scripted) { s.reply.Now++ },
		"binding":           func(s *scripted) { s.binding = append([]byte{1}, s.binding...)[:32] },
		"no binding":        func(s *scripted) { s.binding = []byte{} },
		"signing key":       func(s *scripted) { s.private = ed25519.NewKeyFromSeed(make([]byte, 32)) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memory(t)
			there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: overTLS}, b)
			s := script(t, a, wire.TLS)
			s.greet()
			change(s)
			wantRefusal(t, s.authenticate(), shoal.Untrusted, "could not prove its key")
			wantRefusal(t, (<-there).err, shoal.Untrusted, "could not prove its key")
		})
	}
}

// A proof made for the other side cannot be sent back to it.
func TestReflectedProof(t *testing.T) {
	a, b := memory(t)
	there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: overPlaintext}, b)
	s := script(t, a, wire.Plaintext)
	s.greet()
	s.send(2, 10, s.reply.Proof[:])
	wantRefusal(t, readReply(s.conn, wire.KindAuth, 10, &wire.AuthReply{}), shoal.Untrusted, "could not prove its key")
	wantRefusal(t, (<-there).err, shoal.Untrusted, "could not prove its key")
}

func TestHelloRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*xHello)
		want   shoal.Code
		text   string
	}{
		"a later version (H4)":  {func(h *xHello) { h.Version = 2 }, shoal.Unsupported, "version 1"},
		"version 0 (H4)":        {func(h *xHello) { h.Version = 0 }, shoal.Unsupported, "version 1"},
		"another service (H4)":  {func(h *xHello) { h.Wanted = 1 }, shoal.Unsupported, "another service"},
		"no service (X1)":       {func(h *xHello) { h.Wanted = 3 }, shoal.BadRequest, "service of 3"},
		"TLS it is not (H3)":    {func(h *xHello) { h.Secured = 1 }, shoal.Untrusted, "plaintext here and TLS there"},
		"a long software name":  {func(h *xHello) { h.Software = strings.Repeat("x", 65) }, shoal.BadRequest, "65 bytes"},
		"a name that's no text": {func(h *xHello) { h.Software = "\xff" }, shoal.BadRequest, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memory(t)
			there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: overPlaintext}, b)
			s := script(t, a, wire.Plaintext)
			c.change(&s.hello)
			s.send(1, 9, encode(t, s.hello))
			wantRefusal(t, readReply(s.conn, wire.KindHello, 9, &s.reply), c.want, c.text)
			wantRefusal(t, (<-there).err, c.want, c.text)
		})
	}
}

// The first frame must be HELLO and the second AUTH (rule H1), and requests are not served before (rule H2).
func TestHandshakeOrder(t *testing.T) {
	for name, c := range map[string]struct {
		greet bool
		frame []byte
		text  string
	}{
		"AUTH first":         {false, wire.AppendRequest(nil, wire.KindAuth, 1, &wire.Auth{}), "rule H1"},
		"a request first":    {false, wire.AppendRequest(nil, wire.KindPing, 1, &wire.Empty{}), "rule H1"},
		"a second HELLO":     {true, wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{}), "rule H1"},
		"a request for AUTH": {true, wire.AppendRequest(nil, wire.KindPing, 1, &wire.Empty{}), "rule H1"},
		"a reply for AUTH":   {true, wire.AppendReply(nil, wire.KindAuth, 1, &wire.AuthReply{}), "rule H1"},
		"an unknown kind":    {true, []byte{0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 1}, "rule F2"},
		"too long a HELLO":   {false, []byte{0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1}, "rule F1"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := memory(t)
			there := accepting(t.Context(), Responder{Key: NewKey(), Serves: wire.ServicePeer, Transport: overPlaintext}, b)
			s := script(t, a, wire.Plaintext)
			if c.greet {
				s.greet()
			}
			_, err := s.conn.Write(c.frame)
			must(t, err)
			f, err := s.conn.ReadFrame()
			must(t, err)
			if f.Kind != wire.KindBye {
				t.Fatalf("got %v, want BYE", f.Header)
			}
			wantRefusal(t, refusal(f.Body), shoal.BadRequest, c.text)
			if _, err := s.conn.ReadFrame(); err != io.EOF {
				t.Errorf("after BYE: %v", err)
			}
			wantRefusal(t, (<-there).err, shoal.BadRequest, c.text)
		})
	}
}
