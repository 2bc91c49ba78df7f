package tickets

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const lab = ticketstest.Lab

// realmOf believes an office.
func realmOf(o *ticketstest.Office) *Realm {
	r := NewRealm(Config{Now: time.Now, Reachable: o.Up.Load})
	r.Trust(o.Authority())
	return r
}

func TestAdmit(t *testing.T) {
	o, forger := ticketstest.New(t), ticketstest.New(t)
	device := identity.NewKey().Device()
	flipped := o.Ticket(device, nil)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		ticket []byte
		why    identity.Refusal // "" where it is admitted
	}{
		"good":           {o.Ticket(device, nil), ""},
		"later epoch":    {o.Ticket(device, ticketstest.AtEpoch(9)), ""},
		"none":           {nil, identity.RefusedForm},
		"nonsense":       {[]byte("let me in"), identity.RefusedForm},
		"no ticket":      {o.Certified, identity.RefusedChain},
		"forged":         {forger.Ticket(device, nil), identity.RefusedChain},
		"a bit changed":  {flipped, identity.RefusedSignature},
		"other group":    {o.Ticket(device, func(t *identity.Ticket) { t.Group = "other" }), identity.RefusedGroup},
		"other device":   {o.Ticket(identity.NewKey().Device(), nil), identity.RefusedHolder},
		"no right":       {o.Ticket(device, func(t *identity.Ticket) { t.Rights = identity.MayOffer }), identity.RefusedRights},
		"earlier epoch":  {o.Ticket(device, ticketstest.AtEpoch(2)), identity.RefusedEpoch},
		"expired":        {o.Ticket(device, ticketstest.Ago(identity.TicketLasts)), identity.RefusedExpired},
		"of the future":  {o.Ticket(device, ticketstest.Ago(-2*time.Minute)), identity.RefusedFuture},
		"a ticket twice": {append(o.Ticket(device, nil), o.Ticket(device, nil)[len(o.Certified):]...), identity.RefusedChain},
	} {
		r := realmOf(o)
		r.Raise(lab, 3)
		a, err := r.Admit(device, lab, c.ticket)
		if c.why == "" {
			must(t, err)
			must(t, r.Check(a))
		} else if !errors.Is(err, c.why) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := NewRealm(Config{Now: time.Now, Reachable: o.Up.Load}).Admit(device, lab, o.Ticket(device, nil)); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("without a realm: %v", err)
	}
}

// The group of all users needs tickets as all others.
func TestTicketsInPublic(t *testing.T) {
	o := ticketstest.New(t)
	device := identity.NewKey().Device()
	r := realmOf(o)
	if _, err := r.Admit(device, shoal.Public, nil); !errors.Is(err, identity.RefusedForm) {
		t.Errorf("admitted without a ticket: %v", err)
	}
	_, err := r.Admit(device, shoal.Public, o.Ticket(device, func(t *identity.Ticket) { t.Group = shoal.Public }))
	must(t, err)
}

// An admission ends with its ticket, later where no server can be reached, and soon after the epoch was raised.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		happen func(o *ticketstest.Office, r *Realm)
		lasts  time.Duration
	}{
		"nothing":         {func(*ticketstest.Office, *Realm) {}, identity.TicketLasts},
		"offline":         {func(o *ticketstest.Office, _ *Realm) { o.Up.Store(false) }, identity.TicketLasts + time.Hour},
		"offline a while": {func(o *ticketstest.Office, _ *Realm) { o.Away(30 * time.Minute) }, 30 * time.Minute},
		"another group":   {func(_ *ticketstest.Office, r *Realm) { r.Raise("other", 9) }, identity.TicketLasts},
		"an old epoch":    {func(_ *ticketstest.Office, r *Realm) { r.Raise(lab, 2) }, identity.TicketLasts},
		"a new epoch":     {func(_ *ticketstest.Office, r *Realm) { r.Raise(lab, 4) }, settle},
		"epochs in a row": {func(_ *ticketstest.Office, r *Realm) {
			for i := range 10 {
				r.Raise(lab, 4+uint64(i))
				time.Sleep(settle / 10)
			}
		}, settle},
		"a new epoch that a stranger brings along": {func(o *ticketstest.Office, r *Realm) {
			stranger := identity.NewKey().Device()
			_, err := r.Admit(stranger, lab, o.Ticket(stranger, ticketstest.AtEpoch(4)))
			must(o.TB, err)
		}, settle},
		"the ticket key revoked": {func(o *ticketstest.Office, r *Realm) {
			chain := identity.RevokeKey(o.Root, o.Tickets.Public(), time.Now(), time.Hour)
			for _, want := range []bool{true, false} {
				news, err := r.Revoke(chain)
				if must(o.TB, err); news != want {
					o.TB.Errorf("news: %v", news)
				}
			}
		}, settle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ticketstest.New(t)
				r := realmOf(o)
				device := identity.NewKey().Device()
				a, err := r.Admit(device, lab, o.Ticket(device, nil))
				must(t, err)
				began, step := time.Now(), c.lasts/200
				c.happen(o, r)
				for r.Check(a) == nil && time.Since(began) < 2*c.lasts {
					time.Sleep(step)
				}
				if lasted := time.Since(began); lasted < c.lasts || lasted > c.lasts+2*step {
					t.Errorf("it lasted for %v, not %v", lasted, c.lasts)
				}
			})
		})
	}
}

// What was revoked stays revoked under the root key's successor, and strangers revoke nothing.
func TestRevokedBeforeRotation(t *testing.T) {
	o := ticketstest.New(t)
	r := realmOf(o)
	device := identity.NewKey().Device()
	next := identity.NewKey()
	if _, err := r.Revoke(identity.RevokeKey(next, o.Tickets.Public(), time.Now(), time.Hour)); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("a stranger's revocation: %v", err)
	}
	succession := identity.NameSuccessor(o.Root, next.Public(), time.Now(), time.Hour)
	chain, err := identity.Chain(succession, identity.RevokeKey(next, o.Tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	_, err = r.Revoke(chain)
	must(t, err)
	r.Trust(identity.NewAuthority(next.Public()))
	o.Certified, err = identity.Chain(succession, identity.CertifyTicketKey(next, o.Tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	if _, err := r.Admit(device, lab, o.Ticket(device, nil)); !errors.Is(err, identity.RefusedRevoked) {
		t.Errorf("got %v", err)
	}
	o.Tickets = identity.NewKey()
	o.Certified, err = identity.Chain(succession, identity.CertifyTicketKey(next, o.Tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	_, err = r.Admit(device, lab, o.Ticket(device, nil))
	must(t, err)
}
