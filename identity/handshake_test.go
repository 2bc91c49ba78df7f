package identity

import (
	"context"
	"crypto/ed25519"
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
