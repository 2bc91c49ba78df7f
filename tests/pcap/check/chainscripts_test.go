package check

import (
	"bytes"
	"slices"
	"time"

	"shoal/identity"
	"shoal/wire"
)

// announce says that candidates are there, and has it answered.
func (e *end) announce(candidates []byte, offers ...wire.Offer) {
	id := e.ask(wire.KindAnnounce, &wire.Announce{Candidates: candidates, Offers: offers})
	for _, o := range offers {
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: o.Swarm.Group, Epoch: 7})
	}
	e.answer(wire.KindAnnounce, id, &wire.Empty{})
}

// announced has bob announce candidates that are refused.
func announced(candidates func(*book) []byte) func(*book) {
	return func(b *book) { asBob(b).ask(wire.KindAnnounce, &wire.Announce{Candidates: candidates(b)}) }
}

// certified opens a session with a server that shows a certificate.
func certified(certificate func(*realm) []byte) func(*book) {
	return func(b *book) {
		e := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		e.reply.Certificate = certificate(b.realm)
		e.shake()
	}
}

// answeredBy has TICKET answered by a ticket.
func answeredBy(change func(*realm, *pass)) func(*book) {
	return func(b *book) {
		e := asBob(b)
		p := b.realm.pass(b.realm.bob, b.now)
		change(b.realm, &p)
		e.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Ticket: p.ticket(), Epoch: 7, Now: b.now.UnixMilli()})
	}
}

// exchangedFor has EXCHANGE answered by a record, on a connection of alice to carol.
func exchangedFor(records ...func(*book) []byte) func(*book) {
	return func(b *book) {
		e := between(b)
		e.join(large, 1)
		var all [][]byte
		for _, r := range records {
			all = append(all, r(b))
		}
		e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Most: 5}, &wire.ExchangeReply{Records: all})
	}
}

// letIn has JOIN with a ticket served by carol, who is told what before does.
func letIn(before func(*book), change func(*realm, *pass)) func(*book) {
	return func(b *book) {
		if before != nil {
			before(b)
		}
		e := between(b)
		p := b.realm.pass(b.realm.alice, b.now)
		change(b.realm, &p)
		e.call(wire.KindJoin, &wire.Join{Swarm: large.swarm(), Ticket: p.ticket()}, &wire.JoinReply{Handle: 1, Whole: true})
	}
}

// carolHears has the server tell carol, who serves, of an epoch; some time ago.
func carolHears(epoch uint64) func(*book) {
	return func(b *book) {
		e := b.session(b.realm.carol)
		e.announce(b.realm.carol.here(b.now))
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: epoch})
		b.wait(10 * time.Second)
	}
}

func carolReaches(b *book) {
	b.session(b.realm.carol).announce(b.realm.carol.here(b.now))
	b.wait(10 * time.Second)
}

var chainBreaches = []breach{
	{"C1", "a wrong signature", certified(func(r *realm) []byte { c := bytes.Clone(r.certificate); c[len(c)-1] ^= 1; return c })},
	{"C1", "a certificate that expired", certified(func(r *realm) []byte {
		return said{says: identity.SaysServerKey, by: r.root, issued: began.Add(-year), expires: began.Add(-time.Minute), body: public(r.server)}.sign()
	})},
	{"C1", "a certificate from the future", certified(func(r *realm) []byte {
		return said{says: identity.SaysServerKey, by: r.root, issued: began.Add(2 * time.Minute), expires: began.Add(year), body: public(r.server)}.sign()
	})},
	{"X1", "a certificate with a byte left over", certified(func(r *realm) []byte { return append(bytes.Clone(r.certificate), 0) })},
	{"C1", "a source's candidates with a wrong signature", func(b *book) {
		c := b.realm.carol.here(b.now)
		c[len(c)-1] ^= 1
		lookedUp(c)(b)
	}},
	{"C2", "a port of 0", announced(func(b *book) []byte {
		return b.realm.bob.candidates(b.now, address{wire.Plaintext, "192.0.2.1", 0}).sign()
	})},
	{"C2", "the name of a host", announced(func(b *book) []byte {
		return b.realm.bob.candidates(b.now, address{wire.Plaintext, "example.org", 1}).sign()
	})},
	{"C3", "a candidate with TLS", func(b *book) {
		r := b.realm
		lookedUp(r.carol.candidates(b.now, address{wire.TLS, "192.0.2.13", 4919}).sign())(b)
		between(b)
	}},
	{"C4", "nine statements", certified(func(r *realm) []byte { return bytes.Repeat(r.certificate, 9) })},
	{"C4", "statements that do not follow from each other", certified(func(r *realm) []byte {
		return append(keyStatement(identity.SaysSuccessor, r.root, r.later, began), r.certificate...)
	})},
	{"C5", "a certificate by a ticket key", certified(func(r *realm) []byte {
		return append(bytes.Clone(r.certified), r.certify(r.tickets, r.server)...)
	})},
	{"C5", "a certificate for a ticket key", certified(func(r *realm) []byte { return r.certified })},
	{"C5", "a revocation by a ticket key", func(b *book) {
		revoked := keyStatement(identity.SaysRevoked, b.realm.tickets, newKey(99), b.now)
		asBob(b).event(Responder, wire.KindRevoked, &wire.Revocation{Chain: slices.Concat(b.realm.certified, revoked)})
	}},
	{"C6", "a server shows a certificate for a key that it said is revoked", func(b *book) {
		asBob(b).event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(b.realm.server.key, b.now)})
		b.wait(8 * time.Second)
		b.connect(b.realm.alice, b.realm.server, wire.ServiceServer).greet()
	}},
	{"C6", "a server gives a ticket by a key that it said is revoked", func(b *book) {
		e := asBob(b)
		e.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(b.realm.tickets, b.now)})
		b.wait(8 * time.Second)
		e.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Ticket: b.realm.pass(b.realm.bob, b.now).ticket(), Epoch: 7, Now: b.now.UnixMilli()})
	}},
	{"C6", "a peer lets in by a key that it was told is revoked", letIn(func(b *book) {
		e := b.session(b.realm.carol)
		e.announce(b.realm.carol.here(b.now))
		e.event(Responder, wire.KindRevoked, &wire.Revocation{Chain: b.realm.revoke(b.realm.tickets, b.now)})
		b.wait(8 * time.Second)
	}, func(*realm, *pass) {})},
	{"C7", "a ticket of more than ten minutes", answeredBy(func(_ *realm, p *pass) { p.lasts += time.Millisecond })},
	{"C7", "a grace of more than 30 days", answeredBy(func(_ *realm, p *pass) { p.grace = 2592001 })},
	{"C7", "a user without a name", answeredBy(func(_ *realm, p *pass) { p.user = "" })},
	{"P14", "a ticket of another device", letIn(nil, func(r *realm, p *pass) { p.device = r.bob.device() })},
	{"P14", "a ticket of another group", letIn(nil, func(_ *realm, p *pass) { p.group = "club" })},
	{"P14", "a ticket without the right", letIn(nil, func(_ *realm, p *pass) { p.rights = 2 })},
	{"P14", "no ticket", func(b *book) {
		between(b).call(wire.KindJoin, &wire.Join{Swarm: large.swarm()}, &wire.JoinReply{Handle: 1, Whole: true})
	}},
	{"P14", "a ticket of an earlier epoch", letIn(carolHears(8), func(*realm, *pass) {})},
	{"P14", "a ticket that expired", letIn(carolReaches, func(_ *realm, p *pass) { p.issued = p.issued.Add(-20 * time.Minute) })},
	{"C8", "a record with another device's candidates", exchangedFor(func(b *book) []byte {
		return slices.Concat(b.realm.pass(b.realm.bob, b.now).ticket(), b.realm.carol.here(b.now))
	})},
	{"C9", "a ticket whose grace is over", letIn(nil, func(_ *realm, p *pass) { p.issued = p.issued.Add(-2 * time.Hour) })},
	{"C10", "back to a root key that was replaced", func(b *book) {
		first := b.connect(b.realm.alice, b.realm.server, wire.ServiceServer)
		first.reply.Certificate = slices.Concat(keyStatement(identity.SaysSuccessor, b.realm.root, b.realm.later, began), b.realm.certify(b.realm.later, b.realm.server))
		first.shake()
		b.session(b.realm.alice)
	}},
	{"C11", "a record of another group", exchangedFor(func(b *book) []byte {
		p := b.realm.pass(b.realm.bob, b.now)
		p.group = "club"
		return slices.Concat(p.ticket(), b.realm.bob.here(b.now))
	})},
	{"C11", "a record without the right to offer", exchangedFor(func(b *book) []byte {
		p := b.realm.pass(b.realm.bob, b.now)
		p.rights = 1
		return slices.Concat(p.ticket(), b.realm.bob.here(b.now))
	})},
	{"C11", "a record with TLS alone", exchangedFor(func(b *book) []byte {
		return slices.Concat(b.realm.pass(b.realm.bob, b.now).ticket(), b.realm.bob.candidates(b.now, address{wire.TLS, "192.0.2.1", 1}).sign())
	})},
	{"E5", "a ticket of an earlier epoch than another server told", letIn(func(b *book) {
		carolHears(8)(b)
		e := b.connect(b.realm.carol, b.realm.second, wire.ServiceServer)
		e.reply.Certificate = b.realm.certify(b.realm.root, b.realm.second)
		e.shake()
		e.announce(b.realm.carol.here(b.now))
		e.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 6})
		b.wait(10 * time.Second)
	}, func(*realm, *pass) {})},
	{"K1", "a ticket of another device", answeredBy(func(r *realm, p *pass) { p.device = r.alice.device() })},
	{"K1", "a ticket of another group", answeredBy(func(_ *realm, p *pass) { p.group = "club" })},
	{"K1", "a ticket of another epoch", answeredBy(func(_ *realm, p *pass) { p.epoch = 6 })},
	{"K1", "a ticket with a right less", answeredBy(func(_ *realm, p *pass) { p.rights = 1 })},
	{"K1", "a ticket of a while ago", answeredBy(func(_ *realm, p *pass) { p.issued = p.issued.Add(-time.Minute) })},
	{"K1", "a ticket by another realm", answeredBy(func(_ *realm, p *pass) {
		p.through = keyStatement(identity.SaysTicketKey, newKey(98), p.by, began)
	})},
	{"K1", "another time", func(b *book) {
		e := asBob(b)
		p := b.realm.pass(b.realm.bob, b.now.Add(time.Hour))
		e.call(wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &wire.TicketReply{Ticket: p.ticket(), Epoch: 7, Now: p.issued.UnixMilli()})
	}},
}

func public(p party) []byte { k := p.public(); return k[:] }

// lookedUp has LOOKUP answered by carol with these candidates.
func lookedUp(candidates []byte) func(*book) {
	return func(b *book) {
		b.lookUp(wire.Source{Session: 5, Device: b.realm.carol.device(), Pieces: 1, Candidates: candidates})
	}
}

func (b *book) lookUp(sources ...wire.Source) {
	asBob(b).call(wire.KindLookup, &wire.Lookup{Group: "lab", Name: "large"}, found(sources...))
}
