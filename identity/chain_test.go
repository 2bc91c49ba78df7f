package identity

import (
	"bytes"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shoal"
	"shoal/tests/bounds"
	"shoal/wire/vectors"
)

// drawn is a statement in a random chain.
type drawn struct {
	says          Kind
	issuer, named int // of the keys
	issued, lasts int // in minutes after noon; at 0 it is checked
	forged        bool
}

// expected walks a chain as rules C4 to C6 say, and by nothing of the code under test; it returns whether the chain
// proves that key 0 is a server's of the realm whose root is key 1, and the last root.
func expected(chain []drawn, revoked int) (good bool, root int) {
	const rootOf = 1
	for len(chain) > 0 && chain[0].issuer != rootOf {
		chain = chain[1:]
	}
	at, sort, root := rootOf, "root", rootOf
	if len(chain) == 0 || revoked == at {
		return false, root
	}
	for _, s := range chain {
		switch {
		case s.issuer != at, s.forged, s.issued > 1, s.issued+s.lasts <= 0, s.named == revoked:
			return false, root
		case s.says == SaysSuccessor && sort == "root":
			root = s.named
		case s.says == SaysSuccessor:
		case s.says == SaysServerKey && sort == "root":
			sort = "server"
		case s.says == SaysTicketKey && sort == "root":
			sort = "ticket"
		default:
			return false, root
		}
		at = s.named
	}
	return sort == "server" && at == 0, root
}

// Any chain is judged as the rules judge it, whatever was checked and remembered before.
func TestChainsAtRandom(t *testing.T) {
	keys := make([]*Key, 4)
	for i := range keys {
		keys[i] = NewKey()
	}
	accepted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a := NewAuthority(keys[1].public)
		revoked := -1
		for range rapid.IntRange(1, 4).Draw(t, "chains") {
			if revoked < 0 && rapid.IntRange(0, 5).Draw(t, "revokes") == 0 {
				revoked = rapid.IntRange(0, 3).Draw(t, "revoked")
				if err := a.Revoke(RevokeKey(keys[1], keys[revoked].public, noon, time.Hour), noon); err != nil {
					t.Fatal(err)
				}
			}
			chain := drawChain(t)
			good, root := expected(chain, revoked)
			var b []byte
			for _, s := range chain {
				one := issue(keys[s.issuer], s.says, keys[s.named].public[:], noon.Add(time.Duration(s.issued)*time.Minute), time.Duration(s.lasts)*time.Minute)
				if s.forged {
					one[len(one)-64] ^= 1
				}
				b = append(b, one...)
			}
			got, err := a.VerifyServer(b, keys[0].public, noon)
			if (err == nil) != good || good && got != shoal.RealmKey(keys[root].public) {
				t.Fatalf("%+v, %d revoked: want %v and key %d, got %v, %v", chain, revoked, good, root, got, err)
			}
			if err != nil && shoal.CodeOf(err) != shoal.Untrusted {
				t.Fatalf("%v has the code %v", err, shoal.CodeOf(err))
			}
			if good {
				accepted++
			} else {
				refused++
			}
		}
	})
	if accepted < 10 || refused < 10 {
		t.Errorf("%d accepted and %d refused: too few to mean anything", accepted, refused)
	}
}

// drawChain makes chains that are mostly good: a wrong turn now and then.
func drawChain(t *rapid.T) []drawn {
	var chain []drawn
	at := 1
	for range rapid.IntRange(1, maxChain-1).Draw(t, "length") {
		s := drawn{says: SaysSuccessor, issuer: at, named: rapid.IntRange(0, 3).Draw(t, "named"), issued: -10, lasts: 20}
		if rapid.IntRange(0, 7).Draw(t, "odd") == 0 {
			s.says = rapid.SampledFrom([]Kind{SaysServerKey, SaysTicketKey, SaysTicket, SaysRevoked, SaysCandidates}).Draw(t, "says")
			s.issuer = rapid.IntRange(0, 3).Draw(t, "issuer")
			s.issued = rapid.IntRange(-3, 3).Draw(t, "issued")
			s.lasts = rapid.IntRange(0, 5).Draw(t, "lasts")
			s.forged = rapid.Bool().Draw(t, "forged")
		}
		chain = append(chain, s)
		at = s.named
	}
	return append(chain, drawn{says: SaysServerKey, issuer: at, named: 0, issued: -10, lasts: 20})
}

// Many devices show tickets while keys are revoked: nothing is accepted after its revocation was.
func TestAuthorityConcurrently(t *testing.T) {
	r := newRealm()
	device := NewKey()
	ticket := sign(t, r, ticketFor(device))
	a := r.authority()
	var users sync.WaitGroup
	revoked := make(chan struct{})
	for range 4 {
		users.Go(func() {
			for range 20 {
				if _, err := a.VerifyTicket(ticket, demandOf(device)); err != nil && shoal.CodeOf(err) != shoal.Untrusted {
					t.Error(err)
				}
			}
			<-revoked
			if _, err := a.VerifyTicket(ticket, demandOf(device)); err == nil {
				t.Error("accepted after the ticket key was revoked")
			}
		})
	}
	must(t, a.Revoke(RevokeKey(r.root, r.tickets.public, noon, time.Hour), noon))
	close(revoked)
	users.Wait()
}

// A realm that certifies ever new keys does not make its verifiers remember ever more.
func TestAuthorityForgets(t *testing.T) {
	r := newRealm()
	a := r.authority()
	device := NewKey()
	for range 3 * maxKnown {
		key := NewKey()
		ticket, err := SignTicket(key, CertifyTicketKey(r.root, key.public, noon, time.Hour), ticketFor(device))
		must(t, err)
		_, err = a.VerifyTicket(ticket, demandOf(device))
		must(t, err)
	}
	if len(a.known) == 0 || len(a.known) > maxKnown {
		t.Errorf("%d chains are remembered", len(a.known))
	}
}

func loadChains(t testing.TB) []vectors.Chain {
	var all vectors.Statements
	if err := vectors.Load(os.DirFS("../wire/testdata/vectors"), vectors.StatementsFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Chains) < 60 {
		t.Fatalf("%d vectors; there were more", len(all.Chains))
	}
	return all.Chains
}

// Whatever arrives: no panic, one form of each chain, and nothing counts that was not signed.
func FuzzChain(f *testing.F) {
	for _, v := range loadChains(f) {
		f.Add([]byte(v.Chain))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 256))
	stranger := NewKey()
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			all, err := parseChain(b)
			if err != nil {
				if shoal.CodeOf(err) != shoal.Untrusted {
					t.Errorf("%v has the code %v", err, shoal.CodeOf(err))
				}
				return
			}
			var again []byte
			for _, s := range all {
				one := append(s.appendSignedPart(nil), s.proof[:]...)
				if len(one) != s.size() {
					t.Errorf("%x has %d bytes, not %d", one, len(one), s.size())
				}
				again = slices.Concat(again, one)
			}
			if !bytes.Equal(again, b) {
				t.Errorf("%x is parsed and encodes to %x", b, again)
			}
			a := NewAuthority(stranger.public)
			if _, err := a.VerifyTicket(b, demandOf(stranger)); err == nil {
				t.Error("a ticket of a realm that never made one")
			}
			if _, err := a.VerifyServer(b, stranger.public, noon); err == nil {
				t.Error("a server of a realm that has none")
			}
			if a.Revoke(b, noon) == nil {
				t.Error("a revocation that nobody made")
			}
			if len(all) == 1 && all[0].says == SaysTicket {
				if ticket, err := readTicket(all[0]); err == nil && !bytes.Equal(ticket.append(nil), all[0].body) {
					t.Errorf("%x is read as %+v", all[0].body, ticket)
				}
			}
		})
	})
}

// What was remembered as good ends when the first of its statements does.
func TestAuthorityRemembersNoLonger(t *testing.T) {
	r := newRealm()
	device, next := NewKey(), NewKey()
	ticket := ticketFor(device)
	ticket.Grace = MaxGrace
	short := CertifyTicketKey(r.root, r.tickets.public, noon, time.Hour)
	chain := join(t, short, NameSuccessor(r.tickets, next.public, noon, 48*time.Hour))
	b, err := SignTicket(next, chain, ticket)
	must(t, err)
	a, d := r.authority(), demandOf(device)
	d.Reachable = false
	for _, at := range []time.Duration{time.Minute, time.Hour - time.Millisecond} {
		d.Now = noon.Add(at)
		_, err = a.VerifyTicket(b, d)
		must(t, err)
	}
	d.Now = noon.Add(time.Hour)
	_, err = a.VerifyTicket(b, d)
	wantRefused(t, err, shoal.Untrusted, RefusedExpired)
}

// A chain that was checked while one of its keys was revoked is not remembered as good.
func TestRevokedMeanwhile(t *testing.T) {
	r := newRealm()
	a := r.authority()
	before := a.changes
	must(t, a.Revoke(RevokeKey(r.root, r.tickets.public, noon, time.Hour), noon))
	a.remember(r.ticketsOwn, link{}, before)
	if len(a.known) != 0 {
		t.Error("it is remembered")
	}
	_, err := a.follow(r.ticketsOwn, noon)
	wantRefused(t, err, shoal.Untrusted, RefusedRevoked)
	must(t, a.Revoke(RevokeKey(r.root, r.server.public, noon, time.Hour), noon))
	wantRefused(t, a.Revoke(join(t, CertifyTicketKey(r.root, r.server.public, noon, time.Hour), RevokeKey(r.server, r.root.public, noon, time.Hour)), noon),
		shoal.Untrusted, RefusedRevoked)
	thief := NewKey()
	wantRefused(t, a.Revoke(join(t, CertifyTicketKey(r.root, thief.public, noon, time.Hour), RevokeKey(thief, r.root.public, noon, time.Hour)), noon),
		shoal.Untrusted, RefusedChain)
}
