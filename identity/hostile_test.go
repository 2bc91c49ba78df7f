package identity

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"shoal"
)

// hostile is a ticket that must not be let in, and why.
type hostile struct {
	name   string
	ticket []byte
	demand Demand
	code   shoal.Code
	why    Refusal
}

// hostiles are made by hand, each wrong in one way.
func hostiles(t testing.TB, r *realm, device *Key) (all []hostile) {
	stranger, other := NewKey(), newRealm()
	good := sign(t, r, ticketFor(device))
	add := func(name string, ticket []byte, d Demand, code shoal.Code, why Refusal) {
		all = append(all, hostile{name, ticket, d, code, why})
	}
	demanding := func(change func(*Demand)) Demand {
		d := demandOf(device)
		change(&d)
		return d
	}
	saying := func(change func(*Ticket)) []byte {
		ticket := ticketFor(device)
		change(&ticket)
		return sign(t, r, ticket)
	}
	// raw signs a TICKET with any body and life, as SignTicket would refuse to.
	raw := func(key *Key, body []byte, lasts time.Duration) []byte {
		return append(bytes.Clone(r.ticketsOwn), issue(key, SaysTicket, body, noon, lasts)...)
	}
	body := func(change func(*Ticket)) []byte {
		ticket := ticketFor(device)
		change(&ticket)
		return ticket.append(nil)
	}
	same := func(*Ticket) {}
	d := demandOf(device)

	// Replayed: good tickets, shown where they do not belong.
	add("another's, on one's own connection", good, demanding(func(d *Demand) { d.Device = stranger.Device() }), shoal.Denied, RefusedHolder)
	add("for another group", good, demanding(func(d *Demand) { d.Group = "secret" }), shoal.Denied, RefusedGroup)
	add("for a group that looks alike", good, demanding(func(d *Demand) { d.Group = "Lab" }), shoal.Denied, RefusedGroup)
	add("for a group with a longer name", good, demanding(func(d *Demand) { d.Group = "lab2" }), shoal.Denied, RefusedGroup)
	add("for no group", good, demanding(func(d *Demand) { d.Group = "" }), shoal.Denied, RefusedGroup)
	add("of an earlier epoch", good, demanding(func(d *Demand) { d.Epoch = 8 }), shoal.Denied, RefusedEpoch)
	add("of an earlier epoch, offline", good, demanding(func(d *Demand) { d.Epoch, d.Reachable = 8, false }), shoal.Denied, RefusedEpoch)
	add("of epoch 0", saying(func(t *Ticket) { t.Epoch = 0 }), d, shoal.Denied, RefusedEpoch)
	add("to offer, used to fetch", saying(func(t *Ticket) { t.Rights = MayOffer }), d, shoal.Denied, RefusedRights)
	add("to fetch, used to offer", saying(func(t *Ticket) { t.Rights = MayFetch }), demanding(func(d *Demand) { d.Rights = MayFetch | MayOffer }), shoal.Denied, RefusedRights)
	add("without rights", saying(func(t *Ticket) { t.Rights = 0 }), d, shoal.Denied, RefusedRights)
	add("with unknown rights alone", saying(func(t *Ticket) { t.Rights = 1 << 31 }), d, shoal.Denied, RefusedRights)
	add("at its end", good, demanding(func(d *Demand) { d.Now = noon.Add(TicketLasts) }), shoal.Untrusted, RefusedExpired)
	add("a day late", good, demanding(func(d *Demand) { d.Now = noon.Add(24 * time.Hour) }), shoal.Untrusted, RefusedExpired)
	add("after its grace", good, demanding(func(d *Demand) { d.Now, d.Reachable = noon.Add(13*time.Hour), false }), shoal.Untrusted, RefusedExpired)
	add("of a minute, after it", saying(func(t *Ticket) { t.Expires = noon.Add(time.Minute) }), d, shoal.Untrusted, RefusedExpired)
	add("kept for the future", good, demanding(func(d *Demand) { d.Now = noon.Add(-61 * time.Second) }), shoal.Untrusted, RefusedFuture)
	add("when the ticket key's certificate is over", good, demanding(func(d *Demand) { d.Now, d.Reachable = noon.Add(366*24*time.Hour), false }), shoal.Untrusted, RefusedExpired)

	// Forged: by keys that may not.
	add("by the device itself", raw(device, body(same), TicketLasts), d, shoal.Untrusted, RefusedChain)
	add("by a stranger", raw(stranger, body(same), TicketLasts), d, shoal.Untrusted, RefusedChain)
	byDevice, err := SignTicket(device, nil, ticketFor(device))
	if err != nil {
		t.Fatal(err)
	}
	add("by the device, without a certificate", byDevice, d, shoal.Untrusted, RefusedChain)
	byRoot, err := SignTicket(r.root, nil, ticketFor(device))
	if err != nil {
		t.Fatal(err)
	}
	add("by the root key directly", byRoot, d, shoal.Untrusted, RefusedChain)
	by := func(key *Key, chain ...[]byte) []byte {
		b, err := SignTicket(key, join(t, chain...), ticketFor(device))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	add("by the server's key", by(r.server, r.serverCertificate), d, shoal.Untrusted, RefusedChain)
	add("by a key that a ticket key certified", by(stranger, r.ticketsOwn, CertifyTicketKey(r.tickets, stranger.public, noon, time.Hour)), d, shoal.Untrusted, RefusedChain)
	add("by a key that the device certified", by(stranger, CertifyTicketKey(device, stranger.public, noon, time.Hour)), d, shoal.Untrusted, RefusedChain)
	add("by a key that names itself its successor", by(stranger, r.ticketsOwn, NameSuccessor(stranger, stranger.public, noon, time.Hour)), d, shoal.Untrusted, RefusedChain)
	add("by another realm", by(other.tickets, other.ticketsOwn), d, shoal.Untrusted, RefusedChain)
	add("by another realm, beside a certificate of this one", by(other.tickets, r.ticketsOwn, other.ticketsOwn), d, shoal.Untrusted, RefusedChain)
	add("by another realm, before a certificate of this one", join(t, by(other.tickets, other.ticketsOwn), r.ticketsOwn), d, shoal.Untrusted, RefusedChain)
	add("by a ticket key whose certificate ended", by(stranger, CertifyTicketKey(r.root, stranger.public, noon, time.Second)), d, shoal.Untrusted, RefusedExpired)
	add("by a successor whose time is over", by(stranger, r.ticketsOwn, NameSuccessor(r.tickets, stranger.public, noon, time.Second)), d, shoal.Untrusted, RefusedExpired)
	add("after a certificate from the future", by(r.tickets, CertifyTicketKey(r.root, r.tickets.public, noon.Add(48*time.Hour), time.Hour)), d, shoal.Untrusted, RefusedFuture)
	swapped := bytes.Clone(good)
	copy(swapped[4:36], stranger.public[:]) // the issuer of the certificate
	add("with another issuer written in", swapped, d, shoal.Untrusted, RefusedChain)
	for name, at := range map[string]int{
		"group": bytes.LastIndex(good, []byte("lab")), "user": bytes.LastIndex(good, []byte("ada")),
		"device": bytes.LastIndex(good, device.public[:]), "epoch": len(good) - 64 - 5, "grace": len(good) - 64 - 1,
		"signature": len(good) - 1, "certificate's signature": len(r.ticketsOwn) - 1, "certified key": len(r.ticketsOwn) - 64 - 1,
	} {
		changed := bytes.Clone(good)
		changed[at] ^= 1
		why := RefusedSignature
		add("with another "+name, changed, d, shoal.Untrusted, why)
	}
	weakKey := [32]byte{1} // the curve's neutral point: anybody can sign for it
	weakChain := append(CertifyTicketKey(r.root, weakKey, noon, time.Hour), issueFor(weakKey, body(same))...)
	add("by a key of small order", weakChain, d, shoal.Untrusted, RefusedSignature)

	// Malformed, though signed.
	add("for an hour", raw(r.tickets, body(same), time.Hour), d, shoal.Untrusted, RefusedForm)
	add("for ten minutes and a bit", raw(r.tickets, body(same), TicketLasts+time.Millisecond), d, shoal.Untrusted, RefusedForm)
	add("that never began", raw(r.tickets, body(same), -time.Hour), d, shoal.Untrusted, RefusedForm)
	add("with a grace of 136 years", raw(r.tickets, append(body(same)[:len(body(same))-4], 0xff, 0xff, 0xff, 0xff), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose user clears the screen", raw(r.tickets, body(func(t *Ticket) { t.User = "\x1b[2J" }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose user is a path", raw(r.tickets, body(func(t *Ticket) { t.User = "../ada" }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose user is no text", raw(r.tickets, body(func(t *Ticket) { t.User = "\xff\xfe" }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose user is too long", raw(r.tickets, body(func(t *Ticket) { t.User = strings.Repeat("u", 256) }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose group is reversed text", raw(r.tickets, body(func(t *Ticket) { t.Group = "\u202ebal" }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose group is too long", raw(r.tickets, body(func(t *Ticket) { t.Group = shoal.Group(strings.Repeat("g", 65)) }), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("with an empty body", raw(r.tickets, nil, TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("with bytes after the grace", raw(r.tickets, append(body(same), 0, 0, 0, 0), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("whose group is 4 GiB long", raw(r.tickets, binary.BigEndian.AppendUint32(nil, 1<<32-1), TicketLasts), d, shoal.Untrusted, RefusedForm)
	add("with a certified key of 31 bytes", join(t, issue(r.root, SaysTicketKey, make([]byte, 31), noon, time.Hour), byDevice), d, shoal.Untrusted, RefusedForm)

	// Cut, stretched, or something else.
	add("nothing", nil, d, shoal.Untrusted, RefusedForm)
	add("one byte", []byte{0}, d, shoal.Untrusted, RefusedForm)
	add("the certificate alone", r.ticketsOwn, d, shoal.Untrusted, RefusedChain)
	add("the ticket alone", good[len(r.ticketsOwn):], d, shoal.Untrusted, RefusedChain)
	add("without its last byte", good[:len(good)-1], d, shoal.Untrusted, RefusedForm)
	add("without its signature", good[:len(good)-64], d, shoal.Untrusted, RefusedForm)
	add("with a byte more", append(bytes.Clone(good), 0), d, shoal.Untrusted, RefusedForm)
	add("twice", append(bytes.Clone(good), good...), d, shoal.Untrusted, RefusedChain)
	add("9 statements", append(bytes.Repeat(r.ticketsOwn, 8), good[len(r.ticketsOwn):]...), d, shoal.Untrusted, RefusedForm)
	add("a mebibyte of zeros", make([]byte, 1<<20), d, shoal.Untrusted, RefusedForm)
	add("a mebibyte of certificates", bytes.Repeat(r.ticketsOwn, 1<<20/len(r.ticketsOwn)), d, shoal.Untrusted, RefusedForm)
	add("a web token", []byte("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."), d, shoal.Untrusted, RefusedForm)
	add("a certificate of a server", r.serverCertificate, d, shoal.Untrusted, RefusedChain)
	add("a list of candidates", SignCandidates(device, nil, noon, time.Hour), d, shoal.Untrusted, RefusedChain)
	return all
}

// issueFor makes a TICKET whose signature is that of a key which everybody can sign for: the point R is the neutral one
// and the scalar 0.
func issueFor(key [32]byte, body []byte) []byte {
	s := statement{says: SaysTicket, issuer: key, body: body, issued: noon.UnixMilli(), expires: noon.Add(TicketLasts).UnixMilli()}
	s.proof[0] = 1
	return append(s.appendSignedPart(nil), s.proof[:]...)
}

func TestHostileTickets(t *testing.T) {
	r := newRealm()
	device := NewKey()
	all := hostiles(t, r, device)
	if len(all) < 50 {
		t.Fatalf("%d cases; there were more", len(all))
	}
	warm := r.authority() // it remembers the certificate: that must let nothing through
	if _, err := warm.VerifyTicket(sign(t, r, ticketFor(device)), demandOf(device)); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			for _, a := range []*Authority{r.authority(), warm} {
				got, err := a.VerifyTicket(c.ticket, c.demand)
				if got != nil {
					t.Error("there is a ticket all the same")
				}
				wantRefused(t, err, c.code, c.why)
			}
		})
	}
}
