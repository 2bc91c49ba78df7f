package tickets

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const lab shoal.Group = "lab"

// office is where tickets are made: a realm with its keys.
type office struct {
	t             *testing.T
	root, tickets *identity.Key
	certified     []byte
	up            atomic.Bool // whether it can be reached
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, root: identity.NewKey(), tickets: identity.NewKey()}
	o.certified = identity.CertifyTicketKey(o.root, o.tickets.Public(), time.Now(), 10000*time.Hour)
	o.up.Store(true)
	return o
}

// realm believes the office.
func (o *office) realm() *Realm {
	r := NewRealm(Config{Now: time.Now, Reachable: o.up.Load})
	r.Trust(identity.NewAuthority(o.root.Public()))
	return r
}

// ticket is one for ten minutes with an hour of grace, after change.
func (o *office) ticket(device shoal.DeviceID, change func(*identity.Ticket)) []byte {
	o.t.Helper()
	t := identity.Ticket{
		Group: lab, Device: device, User: "ann", Rights: identity.MayFetch, Epoch: 3, Grace: time.Hour,
		Issued: time.Now(), Expires: time.Now().Add(identity.TicketLasts),
	}
	if change != nil {
		change(&t)
	}
	b, err := identity.SignTicket(o.tickets, o.certified, t)
	must(o.t, err)
	return b
}

func TestAdmit(t *testing.T) {
	o, forger := newOffice(t), newOffice(t)
	device := identity.NewKey().Device()
	flipped := o.ticket(device, nil)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		ticket []byte
		why    identity.Refusal // "" where it is admitted
	}{
		"good":           {o.ticket(device, nil), ""},
		"later epoch":    {o.ticket(device, func(t *identity.Ticket) { t.Epoch = 9 }), ""},
		"none":           {nil, identity.RefusedForm},
		"nonsense":       {[]byte("let me in"), identity.RefusedForm},
		"no ticket":      {o.certified, identity.RefusedChain},
		"forged":         {forger.ticket(device, nil), identity.RefusedChain},
		"a bit changed":  {flipped, identity.RefusedSignature},
		"other group":    {o.ticket(device, func(t *identity.Ticket) { t.Group = "other" }), identity.RefusedGroup},
		"other device":   {o.ticket(identity.NewKey().Device(), nil), identity.RefusedHolder},
		"no right":       {o.ticket(device, func(t *identity.Ticket) { t.Rights = identity.MayOffer }), identity.RefusedRights},
		"earlier epoch":  {o.ticket(device, func(t *identity.Ticket) { t.Epoch = 2 }), identity.RefusedEpoch},
		"expired":        {o.ticket(device, ago(identity.TicketLasts)), identity.RefusedExpired},
		"of the future":  {o.ticket(device, ago(-2*time.Minute)), identity.RefusedFuture},
		"a ticket twice": {append(o.ticket(device, nil), o.ticket(device, nil)[len(o.certified):]...), identity.RefusedChain},
	} {
		r := o.realm()
		r.Raise(lab, 3)
		a, err := r.Admit(device, lab, c.ticket)
		if c.why == "" {
			must(t, err)
			must(t, r.Check(a))
		} else if !errors.Is(err, c.why) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := NewRealm(Config{Now: time.Now, Reachable: o.up.Load}).Admit(device, lab, o.ticket(device, nil)); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("without a realm: %v", err)
	}
}

func ago(d time.Duration) func(*identity.Ticket) {
	return func(t *identity.Ticket) { t.Issued, t.Expires = t.Issued.Add(-d), t.Expires.Add(-d) }
}

// The open group needs no ticket until tickets are required everywhere.
func TestRequireTickets(t *testing.T) {
	o := newOffice(t)
	device := identity.NewKey().Device()
	r := o.realm()
	a, err := r.Admit(device, shoal.Public, nil)
	must(t, err)
	must(t, r.Check(a))
	r.config.RequireTickets = true
	if _, err := r.Admit(device, shoal.Public, nil); !errors.Is(err, identity.RefusedForm) {
		t.Errorf("admitted without a ticket: %v", err)
	}
	_, err = r.Admit(device, shoal.Public, o.ticket(device, func(t *identity.Ticket) { t.Group = shoal.Public }))
	must(t, err)
}

// An admission ends with its ticket, later where no server can be reached, and soon after the epoch was raised.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		happen func(o *office, r *Realm)
		lasts  time.Duration
	}{
		"nothing":         {func(*office, *Realm) {}, identity.TicketLasts},
		"offline":         {func(o *office, _ *Realm) { o.up.Store(false) }, identity.TicketLasts + time.Hour},
		"offline a while": {func(o *office, _ *Realm) { o.away(30 * time.Minute) }, 30 * time.Minute},
		"another group":   {func(_ *office, r *Realm) { r.Raise("other", 9) }, identity.TicketLasts},
		"an old epoch":    {func(_ *office, r *Realm) { r.Raise(lab, 2) }, identity.TicketLasts},
		"a new epoch":     {func(_ *office, r *Realm) { r.Raise(lab, 4) }, settle},
		"epochs in a row": {func(_ *office, r *Realm) {
			for i := range 10 {
				r.Raise(lab, 4+uint64(i))
				time.Sleep(settle / 10)
			}
		}, settle},
		"a new epoch that a stranger brings along": {func(o *office, r *Realm) {
			stranger := identity.NewKey().Device()
			_, err := r.Admit(stranger, lab, o.ticket(stranger, func(t *identity.Ticket) { t.Epoch = 4 }))
			must(o.t, err)
		}, settle},
		"the ticket key revoked": {func(o *office, r *Realm) {
			chain := identity.RevokeKey(o.root, o.tickets.Public(), time.Now(), time.Hour)
			for _, want := range []bool{true, false} {
				news, err := r.Revoke(chain)
				if must(o.t, err); news != want {
					o.t.Errorf("news: %v", news)
				}
			}
		}, settle},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				r := o.realm()
				device := identity.NewKey().Device()
				a, err := r.Admit(device, lab, o.ticket(device, nil))
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

// away is how long nobody can be reached from now on.
func (o *office) away(d time.Duration) {
	o.up.Store(false)
	time.AfterFunc(d, func() { o.up.Store(true) })
}

// What was revoked stays revoked under the root key's successor, and strangers revoke nothing.
func TestRevokedBeforeRotation(t *testing.T) {
	o := newOffice(t)
	r := o.realm()
	device := identity.NewKey().Device()
	next := identity.NewKey()
	if _, err := r.Revoke(identity.RevokeKey(next, o.tickets.Public(), time.Now(), time.Hour)); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("a stranger's revocation: %v", err)
	}
	succession := identity.NameSuccessor(o.root, next.Public(), time.Now(), time.Hour)
	chain, err := identity.Chain(succession, identity.RevokeKey(next, o.tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	_, err = r.Revoke(chain)
	must(t, err)
	r.Trust(identity.NewAuthority(next.Public()))
	o.certified, err = identity.Chain(succession, identity.CertifyTicketKey(next, o.tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	if _, err := r.Admit(device, lab, o.ticket(device, nil)); !errors.Is(err, identity.RefusedRevoked) {
		t.Errorf("got %v", err)
	}
	o.tickets = identity.NewKey()
	o.certified, err = identity.Chain(succession, identity.CertifyTicketKey(next, o.tickets.Public(), time.Now(), time.Hour))
	must(t, err)
	_, err = r.Admit(device, lab, o.ticket(device, nil))
	must(t, err)
}
