// Package tickets is what a client does about its realm's tickets: a Realm judges those that other devices show and says
// how long they count, a Keeper keeps this device's own ones good.
package tickets

import (
	"sync"
	"time"

	"shoal"
	"shoal/identity"
)

// settle is how long a ticket that was accepted before still counts after its group's epoch was raised: time for those
// who are still members to show a new one, so that a change of members does not interrupt their transfers.
const settle = time.Second

// maxSeen is how many revocations a Realm can tell from new ones: as many as an identity.Authority remembers.
const maxSeen = 1024

// Config is what a Realm needs of the session with the server. Now and Reachable may be called from any goroutine.
type Config struct {
	Now       func() time.Time // the server's time
	Reachable func() bool      // whether a server of the realm can be reached at the moment
}

// Realm is what this process knows of its realm: whom to believe, and which tickets do not count any more. For
// concurrent use.
type Realm struct {
	config Config

	mu        sync.Mutex // guards the rest
	authority *identity.Authority
	revoked   [][]byte // the chains that were accepted, for the authority that takes this one's place
	revisions raised   // counts the revocations
	epochs    map[shoal.Group]raised
}

// raised is a number that only grows. What fell behind it counts until it has settled.
type raised struct {
	highest uint64
	settled uint64
	at      time.Time // when it was first raised beyond settled
}

// raise takes note of n, and reports whether that is news.
func (r *raised) raise(n uint64, now time.Time) bool {
	if n <= r.highest {
		return false
	}
	if r.floor(now) == r.highest {
		r.settled, r.at = r.highest, now
	}
	r.highest = n
	return true
}

// floor is the lowest number that counts still.
func (r raised) floor(now time.Time) uint64 {
	if now.Sub(r.at) < settle {
		return r.settled
	}
	return r.highest
}

// NewRealm makes a Realm that believes nobody yet.
func NewRealm(c Config) *Realm { return &Realm{config: c, epochs: map[shoal.Group]raised{}} }

// Trust believes what chains to the authority's root from now on, in the place of an earlier one. What was revoked
// stays so.
func (r *Realm) Trust(a *identity.Authority) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.authority != nil && r.authority.Root() == a.Root() {
		return
	}
	for _, chain := range r.revoked {
		_ = a.Revoke(chain, r.config.Now()) // one by a root before this one says nothing of keys that this one certified
	}
	r.authority = a
}

// Raise takes note of a group's epoch, as the server or a ticket tells it. It reports whether it is higher than known.
func (r *Realm) Raise(group shoal.Group, epoch uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.epochs[group]
	news := known.raise(epoch, time.Now())
	if news {
		r.epochs[group] = known
	}
	return news
}

// Revoke takes note of a revocation (rule C6), and reports whether it is news: then every ticket must be checked again.
// The error has code Untrusted.
func (r *Realm) Revoke(chain []byte) (news bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.authority == nil {
		return false, shoal.Errorf(shoal.Untrusted, "a revocation before any server has proven to be of the realm")
	}
	for _, known := range r.revoked {
		if string(known) == string(chain) {
			return false, nil
		}
	}
	if err := r.authority.Revoke(chain, r.config.Now()); err != nil {
		return false, err
	}
	if len(r.revoked) == maxSeen {
		r.revoked = r.revoked[1:]
	}
	r.revoked = append(r.revoked, chain)
	r.revisions.raise(r.revisions.highest+1, time.Now())
	return true, nil
}

// demand is what a ticket must allow, by all that is known, and who judges that. revision is how many revocations it knows of.
func (r *Realm) demand(group shoal.Group, rights identity.Rights) (a *identity.Authority, d identity.Demand, revision uint64, err error) {
	r.mu.Lock()
	a, d.Epoch, revision = r.authority, r.epochs[group].highest, r.revisions.highest
	r.mu.Unlock()
	if a == nil {
		return nil, d, 0, shoal.Errorf(shoal.Untrusted, "a ticket is refused: no server has proven to be of the realm yet")
	}
	d.Group, d.Rights, d.Now, d.Reachable = group, rights, r.config.Now(), r.config.Reachable()
	return a, d, revision, nil
}

// verify checks a ticket to fetch (rules C7 to C9), and learns its epoch. revision is how many revocations it was checked
// against.
func (r *Realm) verify(device shoal.DeviceID, group shoal.Group, ticket []byte) (t *identity.Ticket, revision uint64, err error) {
	authority, demand, revision, err := r.demand(group, identity.MayFetch)
	if err != nil {
		return nil, 0, err
	}
	demand.Device = device
	if t, err = authority.VerifyTicket(ticket, demand); err != nil {
		return nil, 0, err
	}
	r.Raise(group, t.Epoch)
	return t, revision, nil
}

// Admission is a device's leave to fetch, or to offer, in a group. Immutable. The zero Admission is that of everybody, where
// nobody checks.
type Admission struct {
	ticket   *identity.Ticket
	rights   identity.Rights // those that it is about
	revision uint64
}

// Admit checks the ticket that a device shows to fetch in a group. The error has code Untrusted or Denied.
func (r *Realm) Admit(device shoal.DeviceID, group shoal.Group, ticket []byte) (Admission, error) {
	t, revision, err := r.verify(device, group, ticket)
	return Admission{t, identity.MayFetch, revision}, err
}

// Check reports by a nil error that an admission still counts: it ends with its ticket, and when a higher epoch or a
// revocation has settled.
func (r *Realm) Check(a Admission) error {
	if a.ticket == nil {
		return nil
	}
	now := time.Now()
	r.mu.Lock()
	epoch, revision := r.epochs[a.ticket.Group].floor(now), r.revisions.floor(now)
	r.mu.Unlock()
	if a.revision < revision {
		return shoal.Errorf(shoal.Untrusted, "the ticket is refused until it has been checked again: %w", identity.RefusedRevoked)
	}
	return a.ticket.Allows(identity.Demand{
		Device: a.ticket.Device, Group: a.ticket.Group, Rights: a.rights, Epoch: epoch,
		Now: r.config.Now(), Reachable: r.config.Reachable(),
	})
}
