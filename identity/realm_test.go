package identity

import (
	"fmt"
	"testing"
	"time"

	"shoal"
)

// realm has the keys of a realm and what its root certified, for tests.
type realm struct {
	root, server, tickets         *Key
	serverCertificate, ticketsOwn []byte
}

func newRealm() *realm {
	r := &realm{root: NewKey(), server: NewKey(), tickets: NewKey()}
	r.serverCertificate = CertifyServer(r.root, r.server.public, noon, time.Hour)
	r.ticketsOwn = CertifyTicketKey(r.root, r.tickets.public, noon, 365*24*time.Hour)
	return r
}

func (r *realm) authority() *Authority { return NewAuthority(r.root.public) }

// ticket is a good one for the device, from noon on.
func ticketFor(device *Key) Ticket {
	return Ticket{
		Group: "lab", Device: device.Device(), User: "ada", Rights: MayFetch | MayOffer, Epoch: 7, Grace: 12 * time.Hour,
		Issued: noon, Expires: noon.Add(TicketLasts),
	}
}

func demandOf(device *Key) Demand {
	return Demand{Device: device.Device(), Group: "lab", Rights: MayFetch, Epoch: 7, Now: noon.Add(time.Minute), Reachable: true}
}

func join(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	chain, err := Chain(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func sign(t testing.TB, r *realm, ticket Ticket) []byte {
	t.Helper()
	b, err := SignTicket(r.tickets, r.ticketsOwn, ticket)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestChainsAgreeWithOracle(t *testing.T) {
	type xTicket struct {
		Group  string
		Device [32]byte
		User   string
		Rights uint32
		Epoch  uint64
		Grace  uint32
	}
	r := newRealm()
	device := NewKey()
	from, until := noon.Add(-24*time.Hour), noon.Add(time.Hour)
	for name, c := range map[string]struct{ got, want []byte }{
		"TICKET_KEY": {CertifyTicketKey(r.root, r.tickets.public, noon, time.Hour), composed(t, r.root.private, 3, from, until, r.tickets.public[:])},
		"SUCCESSOR":  {NameSuccessor(r.root, r.tickets.public, noon, time.Hour), composed(t, r.root.private, 5, from, until, r.tickets.public[:])},
		"REVOKED":    {RevokeKey(r.root, r.tickets.public, noon, time.Hour), composed(t, r.root.private, 6, from, until, r.tickets.public[:])},
		"TICKET": {sign(t, r, ticketFor(device)), join(t, r.ticketsOwn, composed(t, r.tickets.private, 4, noon, noon.Add(10*time.Minute),
			encode(t, xTicket{"lab", device.public, "ada", 3, 7, 43200})))},
	} {
		if string(c.got) != string(c.want) {
			t.Errorf("%s\n got %x\nwant %x", name, c.got, c.want)
		}
	}
}

// The server's key and the ticket key work without the root key, and can be replaced without it.
func TestRootKeptOffline(t *testing.T) {
	r := newRealm()
	device := NewKey()
	next, server := NewKey(), NewKey()
	chain := join(t, r.ticketsOwn, NameSuccessor(r.tickets, next.public, noon, time.Hour))
	ticket, err := SignTicket(next, chain, ticketFor(device))
	must(t, err)
	got, err := r.authority().VerifyTicket(ticket, demandOf(device))
	must(t, err)
	want := ticketFor(device)
	if fmt.Sprint(*got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	certificate := join(t, r.serverCertificate, NameSuccessor(r.server, server.public, noon, 48*time.Hour))
	must(t, VerifyServer(certificate, r.root.public, server.public, noon))
	wantRefused(t, VerifyServer(certificate, r.root.public, r.server.public, noon), shoal.Untrusted, RefusedHolder)
	// A successor's authority ends with what it was taken over from.
	wantRefused(t, VerifyServer(certificate, r.root.public, server.public, noon.Add(time.Hour)), shoal.Untrusted, RefusedExpired)
	if ends, err := Expires(certificate); err != nil || !ends.Equal(noon.Add(time.Hour)) {
		t.Errorf("the chain ends at %v, %v", ends, err)
	}
}

func TestRootRotated(t *testing.T) {
	r := newRealm()
	second, third := NewKey(), NewKey()
	roots := []*Key{r.root, second, third}
	chain := join(t, NameSuccessor(r.root, second.public, noon, time.Hour), NameSuccessor(second, third.public, noon, time.Hour),
		CertifyServer(third, r.server.public, noon, time.Hour))
	for i, root := range roots {
		now, err := NewAuthority(root.public).VerifyServer(chain, r.server.public, noon)
		if err != nil || now != shoal.RealmKey(third.public) {
			t.Errorf("who pinned root %d trusts %v, %v", i, now, err)
		}
	}
	if claimed, err := CertifyingRealm(chain); err != nil || claimed != shoal.RealmKey(third.public) {
		t.Errorf("at first contact it shows %v, %v", claimed, err)
	}
	_, err := CertifyingRealm(r.ticketsOwn)
	wantRefused(t, err, shoal.Untrusted, RefusedChain)
	// An old root key that came into wrong hands moves nobody who has followed.
	thief := NewKey()
	forged := join(t, NameSuccessor(r.root, thief.public, noon, time.Hour), CertifyServer(thief, r.server.public, noon, time.Hour))
	wantRefused(t, VerifyServer(forged, third.public, r.server.public, noon), shoal.Untrusted, RefusedChain)
}

func TestRevocation(t *testing.T) {
	r := newRealm()
	device := NewKey()
	ticket := sign(t, r, ticketFor(device))
	a := r.authority()
	for range 2 { // checked, and remembered
		_, err := a.VerifyTicket(ticket, demandOf(device))
		must(t, err)
	}
	must(t, a.Revoke(RevokeKey(r.root, r.server.public, noon, time.Hour), noon))
	_, err := a.VerifyTicket(ticket, demandOf(device))
	must(t, err)
	revocation := RevokeKey(r.root, r.tickets.public, noon, time.Hour)
	must(t, a.Revoke(revocation, noon))
	_, err = a.VerifyTicket(ticket, demandOf(device))
	wantRefused(t, err, shoal.Untrusted, RefusedRevoked)
	_, err = a.VerifyServer(r.serverCertificate, r.server.public, noon)
	wantRefused(t, err, shoal.Untrusted, RefusedRevoked)
	must(t, a.Revoke(revocation, noon)) // again
	d := demandOf(device)
	d.Now, d.Reachable = noon.Add(time.Hour), false
	if _, err = a.VerifyTicket(ticket, d); err != nil {
		t.Errorf("after the revocation ended: %v", err)
	}
	// A root key that its successor revoked is the end of those who still trust it.
	second := NewKey()
	must(t, a.Revoke(join(t, NameSuccessor(r.root, second.public, noon, time.Hour), RevokeKey(second, r.root.public, noon, time.Hour)), noon))
	_, err = a.VerifyTicket(ticket, demandOf(device))
	wantRefused(t, err, shoal.Untrusted, RefusedRevoked)
}

func TestRevocationsAreBounded(t *testing.T) {
	r := newRealm()
	a := r.authority()
	for i := range maxRevoked {
		must(t, a.Revoke(RevokeKey(r.root, [32]byte{byte(i), byte(i >> 8), 1}, noon, time.Hour), noon))
	}
	over := RevokeKey(r.root, [32]byte{9, 9, 9}, noon, 2*time.Hour)
	wantCode(t, a.Revoke(over, noon), shoal.Limit)
	must(t, a.Revoke(over, noon.Add(time.Hour))) // when the others have ended
	if len(a.revoked) != 1 {
		t.Errorf("%d are remembered", len(a.revoked))
	}
}

func TestChainTooLong(t *testing.T) {
	r := newRealm()
	link := NameSuccessor(r.root, r.root.public, noon, time.Hour)
	_, err := Chain(link, link, link, link, link, link, link, link, r.serverCertificate)
	wantCode(t, err, shoal.Limit)
	_, err = Chain()
	wantCode(t, err, shoal.Limit)
	_, err = Chain(make([]byte, 4097))
	wantCode(t, err, shoal.Limit)
}
