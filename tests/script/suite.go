package script

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// Start runs a service on a listener until the test ends, when nothing may be left of it: each test is in a bubble of virtual
// time of its own.
type Start func(*testing.T, identity.Transport, net.Listener)

// service is one that is to withstand all that is here.
type service struct {
	t        *testing.T
	is       wire.Service
	over     identity.Transport
	listener *wiretest.Listener
}

// pipe is how many bytes are on the way to the service at most, and from it.
const pipe = 64 << 10

func (v service) dial() net.Conn {
	v.t.Helper()
	nc, err := v.listener.DialSize(v.t.Context(), pipe)
	if err != nil {
		v.t.Fatal(err)
	}
	return nc
}

// open makes a Speaker after the handshake.
func (v service) open() *Speaker {
	v.t.Helper()
	s, _ := Open(v.t, v.dial(), identity.Initiator{Key: identity.NewKey(), Wanted: v.is, Transport: v.over})
	return s
}

// begin makes one before it.
func (v service) begin() *Speaker {
	v.t.Helper()
	return Begin(v.t, v.dial(), v.over.Security)
}

// Withstand does to a service all that nobody may do to any, with TLS and without.
func (start Start) Withstand(t *testing.T, is wire.Service) {
	for _, over := range []identity.Transport{{Security: wire.Plaintext}, {Security: wire.TLS}, {Security: wire.TLS, Buffer: identity.BulkBuffer}} {
		in := func(name string, test func(service)) {
			t.Run(fmt.Sprintf("%v %d %s", over.Security, over.Buffer, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := wiretest.Listen()
					start(t, over, l)
					test(service{t, is, over, l})
				})
			})
		}
		for _, m := range Misbehaviours(is) {
			for _, way := range ways {
				if over.Security == wire.Plaintext || way.name == ways[0].name {
					in(m.Name+" "+way.name, func(v service) { v.misbehave(m, way) })
				}
			}
		}
		for _, g := range greetings {
			in(g.name, func(v service) { v.greet(g) })
		}
		in("cut short", service.cutShort)
		in("stalled", service.stall)
		in("deaf", service.deaf)
	}
}

// pause is between the bytes of what is sent slowly.
const pause = 20 * time.Millisecond

// A way is how frames can come.
type way struct {
	name string
	send func(s *Speaker, frames []byte)
}

var ways = []way{
	{"at once", (*Speaker).Send},
	{"byte by byte", func(s *Speaker, frames []byte) {
		for i := range frames {
			if _, err := s.Write(frames[i : i+1]); err != nil {
				return // the other side has had enough
			}
			time.Sleep(pause)
		}
	}},
	{"with a flood behind them", func(s *Speaker, frames []byte) {
		s.Send(frames)
		s.Flood(wire.AppendRequest(nil, wire.KindPing, 77, &wire.Empty{}), 100_000, pause)
	}},
}

// misbehave does one thing that nobody may do once the handshake is over, in one way. What was asked before is answered; then
// that connection ends with a reason that names the rule, and another one does not notice.
func (v service) misbehave(m Misbehaviour, w way) {
	bystander, villain := v.open(), v.open()
	villain.ID++
	w.send(villain, append(wire.AppendRequest(nil, wire.KindPing, villain.ID, &wire.Empty{}), m.Frames...))
	villain.Reply(villain.ID, wire.KindPing, &wire.Empty{})
	villain.Bye(shoal.BadRequest, "(rule "+m.Rule+")")
	bystander.Alive()
}

// cutShort ends a connection after each byte of a frame.
func (v service) cutShort() {
	bystander := v.open()
	frame := request(wire.KindReport, &wire.Report{Group: shoal.Public})
	if v.is == wire.ServicePeer {
		frame = request(wire.KindHashes, &wire.HashesRequest{})
	}
	for n := 1; n < len(frame); n++ {
		villain := v.open()
		villain.Send(frame[:n])
		villain.HangUp()
		villain.Closed()
	}
	bystander.Alive()
}

// deaf asks without end and reads nothing: it gets only so far, and another connection does not notice.
func (v service) deaf() {
	const most = 64 << 20
	bystander, villain := v.open(), v.open()
	ping := bytes.Repeat(wire.AppendRequest(nil, wire.KindPing, 9, &wire.Empty{}), 4096)
	if n := villain.Flood(ping, most, time.Second); n >= most {
		v.t.Errorf("%d bytes were taken from who does not read", n)
	}
	bystander.Alive()
}

// greeting is what an initiator says in place of a good handshake, and what it must hear.
type greeting struct {
	name   string
	first  func(wire.Hello) []byte
	second []byte // once HELLO has been answered; nil where it must not be
	code   shoal.Code
	text   string
	answer bool // HELLO is answered by the error, instead of a BYE
}

func hello(m wire.Hello) []byte { return wire.AppendRequest(nil, wire.KindHello, 1, &m) }

func says(frames []byte) func(wire.Hello) []byte {
	return func(wire.Hello) []byte { return frames }
}

func with(change func(*wire.Hello)) func(wire.Hello) []byte {
	return func(m wire.Hello) []byte {
		change(&m)
		return hello(m)
	}
}

var greetings = []greeting{
	{name: "a request first", first: says(request(wire.KindPing, &wire.Empty{})), code: shoal.BadRequest, text: "(rule H1)"},
	{name: "AUTH first", first: says(request(wire.KindAuth, &wire.Auth{})), code: shoal.BadRequest, text: "(rule H1)"},
	{
		name: "HELLO as an answer", first: says(wire.AppendReply(nil, wire.KindHello, 1, &wire.HelloReply{})),
		code: shoal.BadRequest, text: "(rule H1)",
	},
	{name: "HELLO twice", first: hello, second: hello(wire.Hello{Version: 1, Wanted: 1, Secured: 1}), code: shoal.BadRequest, text: "(rule H1)"},
	{name: "a request before AUTH", first: hello, second: request(wire.KindPing, &wire.Empty{}), code: shoal.BadRequest, text: "(rule H1)"},
	{name: "a HELLO too long", first: says(Header(257, wire.KindHello, 0, 1)), code: shoal.BadRequest, text: "(rule F1)"},
	{name: "an unknown kind", first: says(Header(0, 999, 0, 1)), code: shoal.BadRequest, text: "(rule F2)"},
	{name: "a HELLO of id 0", first: says(Header(0, wire.KindHello, 0, 0)), code: shoal.BadRequest, text: "(rule F3)"},
	{name: "a HELLO cut short", first: says(raw(wire.KindHello, 0, 0, 0, 1)), code: shoal.BadRequest, text: "(rule X1)"},
	{name: "another version", first: with(func(m *wire.Hello) { m.Version = 2 }), code: shoal.Unsupported, text: "version 1", answer: true},
	{
		name: "another service", first: with(func(m *wire.Hello) { m.Wanted = wire.ServiceServer + wire.ServicePeer - m.Wanted }),
		code: shoal.Unsupported, text: "another service", answer: true,
	},
	{
		name: "another protection", first: with(func(m *wire.Hello) { m.Secured = wire.TLS + wire.Plaintext - m.Secured }),
		code: shoal.Untrusted, text: "there", answer: true,
	},
	{name: "a wrong proof", first: hello, second: request(wire.KindAuth, &wire.Auth{Proof: [64]byte{1}}), code: shoal.Untrusted, text: "prove"},
}

// greet begins a conversation in a way that is wrong.
func (v service) greet(g greeting) {
	bystander, villain := v.open(), v.begin()
	villain.Send(g.first(wire.Hello{Version: wire.Version, Wanted: v.is, Secured: v.over.Security, Device: identity.NewKey().Device(), Software: "scripted"}))
	if g.second != nil {
		villain.Reply(1, wire.KindHello, &wire.HelloReply{})
		villain.Send(g.second)
	}
	if !g.answer {
		villain.Bye(g.code, g.text)
	} else {
		err := villain.Answer(1, wire.KindHello, &wire.HelloReply{})
		if !errors.Is(err, g.code) || !strings.Contains(err.Error(), g.text) {
			v.t.Errorf("it is answered by %v, want %v and %q", err, g.code, g.text)
		}
		villain.Closed()
	}
	bystander.Alive()
}

// stall begins conversations and does not go on, at every point of the handshake (rule H2). Who comes meanwhile is let in.
func (v service) stall() {
	m := hello(wire.Hello{Version: wire.Version, Wanted: v.is, Secured: v.over.Security})
	for _, said := range []struct {
		bytes    []byte
		answered bool
	}{{nil, false}, {m[:1], false}, {m[:len(m)-1], false}, {m, true}} {
		begin := time.Now()
		villain := v.begin()
		villain.Send(said.bytes)
		if said.answered {
			villain.Reply(1, wire.KindHello, &wire.HelloReply{})
		}
		v.open().Alive()
		villain.Closed()
		if took := time.Since(begin); took != identity.HandshakeTimeout {
			v.t.Errorf("after %d bytes silence was borne for %v", len(said.bytes), took)
		}
	}
}
