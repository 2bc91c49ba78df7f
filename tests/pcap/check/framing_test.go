package check

import (
	"time"

	"shoal"
	"shoal/wire"
)

// asBob, asAlice and between are connections on which nothing was said after the handshake.
func asBob(b *book) *end   { return b.session(b.realm.bob) }
func between(b *book) *end { return b.peer(b.realm.alice, b.realm.carol) }

// framing are scripts about frames, ids and roles.
var framing = []breach{
	{"T2", "a handshake of TLS after HELLO", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.ask(wire.KindHello, &e.hello)
		e.raw(Responder, []byte{0x15, 3, 3, 0, 2, 2, 40})
	}},
	{"F2", "a server is asked for what a peer serves", func(b *book) { asBob(b).ask(wire.KindJoin, byKind[wire.KindJoin]) }},
	{"F2", "a peer is asked for what a server serves", func(b *book) { between(b).ask(wire.KindList, byKind[wire.KindList]) }},
	{"F2", "HAVE to a server", func(b *book) { asBob(b).event(Initiator, wire.KindHave, &wire.Have{}) }},
	{"F3", "an id that is open", func(b *book) {
		e := asBob(b)
		e.ask(wire.KindPing, &wire.Empty{})
		e.id--
		e.ask(wire.KindPing, &wire.Empty{})
	}},
	{"F3", "the id of HELLO, which is open", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		id := e.ask(wire.KindAuth, e.auth())
		e.send(Initiator, wire.Header{Kind: wire.KindPing, ID: id}, &wire.Empty{})
	}},
	{"F4", "no reply to PING", func(b *book) {
		e := asBob(b)
		e.ask(wire.KindPing, &wire.Empty{})
		b.wait(2 * time.Minute)
		e.ping()
	}},
	{"F4", "no reply to REQUEST", func(b *book) {
		e := between(b)
		e.join(large, 1)
		e.request(1, 0, 0, 1)
		b.wait(11 * time.Minute)
		e.ping()
	}},
	{"F5", "a reply to nothing", func(b *book) { asBob(b).answer(wire.KindPing, 9, &wire.Empty{}) }},
	{"F5", "two replies", func(b *book) {
		e := asBob(b)
		e.ping()
		e.answer(wire.KindPing, e.id, &wire.Empty{})
	}},
	{"F5", "a reply of another kind", func(b *book) {
		e := asBob(b)
		e.answer(wire.KindAnnounce, e.ask(wire.KindPing, &wire.Empty{}), &wire.Empty{})
	}},
	{"F5", "a reply by the initiator", func(b *book) {
		e := asBob(b)
		e.send(Initiator, wire.Header{Kind: wire.KindPing, Flags: wire.FlagReply, ID: 1}, &wire.Empty{})
	}},
	{"F5", "a reply ahead of HELLO", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.answer(wire.KindHello, 1, &e.reply)
	}},
	{"F6", "a request by the responder", func(b *book) {
		asBob(b).send(Responder, wire.Header{Kind: wire.KindPing, ID: 1}, &wire.Empty{})
	}},
	{"F6", "EPOCH by the initiator", func(b *book) { asBob(b).event(Initiator, wire.KindEpoch, &wire.Epoch{Group: "lab"}) }},
	{"F6", "CHOKE by the initiator", func(b *book) { between(b).event(Initiator, wire.KindChoke, &wire.Choke{}) }},
	{"F6", "UNCHOKE by the initiator", func(b *book) { between(b).event(Initiator, wire.KindUnchoke, &wire.Unchoke{}) }},
	{"F6", "WITHDRAW by the initiator", func(b *book) { between(b).event(Initiator, wire.KindWithdraw, &wire.Withdraw{}) }},
	{"F6", "GONE by the initiator", func(b *book) {
		asBob(b).event(Initiator, wire.KindGone, &wire.Gone{Group: "lab", Reason: wire.GoneStopped})
	}},
	{"F6", "REVOKED by the initiator", func(b *book) { asBob(b).event(Initiator, wire.KindRevoked, &wire.Revocation{}) }},
	{"F6", "CHOKE by a server", func(b *book) { asBob(b).event(Responder, wire.KindChoke, &wire.Choke{}) }},
	{"F6", "CANCEL by a peer that responds", func(b *book) { between(b).event(Responder, wire.KindCancel, &wire.Cancel{}) }},
	{"F6", "EPOCH by a peer", func(b *book) { between(b).event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab"}) }},
	{"H10", "a frame after BYE", func(b *book) {
		e := asBob(b)
		e.event(Initiator, wire.KindBye, &wire.Bye{Code: shoal.Canceled})
		e.ask(wire.KindPing, &wire.Empty{})
	}},
	{"H10", "a responder's frame after its BYE", func(b *book) {
		e := asBob(b)
		id := e.ask(wire.KindPing, &wire.Empty{})
		e.event(Responder, wire.KindBye, &wire.Bye{Code: shoal.Busy})
		e.answer(wire.KindPing, id, &wire.Empty{})
	}},
}

// handshakes are scripts about the beginning of a connection.
var handshakes = []breach{
	{"H1", "no HELLO", func(b *book) {
		b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).ask(wire.KindPing, &wire.Empty{})
	}},
	{"H1", "a second HELLO", func(b *book) { e := asBob(b); e.ask(wire.KindHello, &e.hello) }},
	{"H1", "a second AUTH", func(b *book) { e := asBob(b); e.ask(wire.KindAuth, e.auth()) }},
	{"H1", "no AUTH", func(b *book) {
		b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet().ask(wire.KindPing, &wire.Empty{})
	}},
	{"H2", "a reply before AUTH's", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		e.ask(wire.KindAuth, e.auth())
		e.answer(wire.KindPing, e.ask(wire.KindPing, &wire.Empty{}), &wire.Empty{})
	}},
	{"H2", "an event before AUTH's reply", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab"})
	}},
	{"H2", "a connection that is never authenticated", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		b.wait(17 * time.Second)
		e.event(Initiator, wire.KindBye, &wire.Bye{})
	}},
	{"H3", "the initiator says TLS", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.hello.Secured = wire.TLS
		e.shake()
	}},
	{"H3", "the responder says TLS", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Secured = wire.TLS
		e.shake()
	}},
	{"H4", "another version is served", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.hello.Version = 2
		e.shake()
	}},
	{"H4", "another version is answered", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Version = 2
		e.shake()
	}},
	{"H4", "more after HELLO was answered by an error", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.refused(wire.KindHello, &e.hello, shoal.Unsupported)
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab"})
	}},
	{"H5", "a nonce of zeros", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.hello.Random = wire.Nonce{}
		e.shake()
	}},
	{"H5", "the other side's nonce", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Random = e.hello.Random
		e.shake()
	}},
	{"H5", "a nonce that was there before", func(b *book) {
		first := asBob(b)
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Random = first.reply.Random
		e.shake()
	}},
	{"H6", "the responder's proof", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.responder.key = b.realm.alice.key
		e.greet()
	}},
	{"H6", "the initiator's proof", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		e.initiator = b.realm.bob
		e.ask(wire.KindAuth, e.auth())
	}},
	{"H6", "an initiator is let in that proved nothing", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
		e.call(wire.KindAuth, &wire.Auth{}, &wire.AuthReply{Session: 1})
	}},
	{"H6", "AUTH before the reply to HELLO", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.ask(wire.KindHello, &e.hello)
		e.ask(wire.KindAuth, &wire.Auth{})
	}},
	{"H7", "no certificate", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Certificate = nil
		e.shake()
	}},
	{"H7", "another server's certificate", func(b *book) { b.connect(b.realm.alice, b.realm.second, wire.ServiceServer).shake() }},
	{"H8", "a peer with a certificate", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.carol, wire.ServicePeer)
		e.reply.Certificate = b.realm.certificate
		e.shake()
	}},
	{"H8", "a peer with a session", func(b *book) {
		e := b.connect(b.realm.alice, b.realm.carol, wire.ServicePeer).greet()
		e.call(wire.KindAuth, e.auth(), &wire.AuthReply{Session: 1})
	}},
}

// aftermath are scripts in which somebody goes on after another broke the rule that stands first.
var aftermath = []goingOn{
	{"S4", breach{"F7", "what is malformed is served", func(b *book) {
		e := asBob(b)
		e.answer(wire.KindList, e.ask(wire.KindList, &wire.List{Group: "lab", Limit: 2000}), &wire.ListReply{})
	}}},
	{"X1", breach{"F7", "the connection goes on for long", func(b *book) {
		e := asBob(b)
		id := e.ask(wire.KindPing, &wire.Empty{})
		e.raw(Initiator, append(wire.AppendFrame(nil, wire.Header{Kind: wire.KindTicket, ID: 50}, byKind[wire.KindTicket])[:12], 0, 0, 0, 1, 'a', 1, 1)[:20])
		b.wait(time.Minute)
		e.answer(wire.KindPing, id, &wire.Empty{})
	}}},
	{"C1", breach{"P27", "on with who passed on what is malformed", func(b *book) {
		e := between(b)
		e.join(large, 1)
		record := b.realm.record(b.realm.bob, b.now)
		record[len(record)-1] ^= 1
		e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Most: 5}, &wire.ExchangeReply{Records: [][]byte{record}})
		b.wait(10 * time.Second)
		e.ping()
	}}},
}
