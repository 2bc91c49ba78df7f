package tickets

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
)

const (
	fetchTimeout = 20 * time.Second
	retryFirst   = 250 * time.Millisecond
	retryMost    = 10 * time.Second
	// refreshWithin spreads the requests of a group's members that all hear of a new epoch at once. It leaves most of the
	// time in which the old tickets still count.
	refreshWithin = 200 * time.Millisecond
)

// Fetch asks the server for a ticket. Errors other than those of transient are its last word.
type Fetch func(ctx context.Context, group shoal.Group) ([]byte, error)

// transient reports whether asking again may help.
func transient(err error) bool {
	switch shoal.CodeOf(err) {
	case shoal.Unreachable, shoal.Busy, shoal.Limit, shoal.Internal, shoal.Canceled:
		return true
	}
	// A server that has not heard of the latest change yet, or clocks that are off.
	return errors.Is(err, identity.RefusedEpoch) || errors.Is(err, identity.RefusedExpired) || errors.Is(err, identity.RefusedFuture)
}

// Keeper keeps this device's tickets good, in each group for as long as somebody uses it. For concurrent use.
type Keeper struct {
	realm  *Realm
	device shoal.DeviceID
	fetch  Fetch
	log    zerolog.Logger

	mu   sync.Mutex // guards kept, and what each says
	kept map[shoal.Group]*kept
	run  sync.WaitGroup // a goroutine for each kept
}

// kept is the ticket of one group.
type kept struct {
	group   shoal.Group
	leases  map[*Lease]struct{}
	ticket  *identity.Ticket // nil before the first one
	raw     []byte           // ticket, as it is shown
	err     error            // why there is none any more
	refresh chan struct{}    // capacity 1: ask for a new one now
	end     context.CancelFunc
}

// NewKeeper makes a Keeper for a device.
func NewKeeper(r *Realm, device shoal.DeviceID, fetch Fetch, log zerolog.Logger) *Keeper {
	return &Keeper{realm: r, device: device, fetch: fetch, log: log, kept: map[shoal.Group]*kept{}}
}

// Lease is one user's interest in a group's ticket. The zero Lease is one where nobody checks any.
type Lease struct {
	keeper *Keeper
	kept   *kept         // nil in the zero Lease
	news   chan struct{} // capacity 1
}

// Use fetches a ticket of the group and keeps it good until the Lease is closed.
func (k *Keeper) Use(group shoal.Group) *Lease {
	l := &Lease{keeper: k, news: make(chan struct{}, 1)}
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.kept[group]
	if e == nil {
		ctx, cancel := context.WithCancel(context.Background())
		e = &kept{group: group, leases: map[*Lease]struct{}{}, refresh: make(chan struct{}, 1), end: cancel}
		k.kept[group] = e
		k.run.Go(func() { k.keep(ctx, e) })
	} else if e.raw != nil {
		l.news <- struct{}{}
	}
	e.leases[l] = struct{}{}
	l.kept = e
	return l
}

// Close ends the interest.
func (l *Lease) Close() {
	if l.kept == nil {
		return
	}
	k := l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(l.kept.leases, l)
	if len(l.kept.leases) == 0 {
		l.kept.end()
		k.forget(l.kept)
	}
}

// forget makes the next Use begin anew. mu is held.
func (k *Keeper) forget(e *kept) {
	if k.kept[e.group] == e {
		delete(k.kept, e.group)
	}
}

// News has an element whenever what Current returns has changed.
func (l *Lease) News() <-chan struct{} { return l.news }

// Current returns the ticket, which is nil while there is none yet; or why there will be none: the server refuses one, or
// could not be reached until the last one's offline grace was over.
func (l *Lease) Current() ([]byte, error) {
	if l.kept == nil {
		return nil, nil
	}
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	return l.kept.raw, l.kept.err
}

// Needed reports whether there is to be a ticket at all.
func (l *Lease) Needed() bool { return l.kept != nil }

// Refresh asks for new tickets now, of one group, or of all that are in use where group is "": the old ones will soon
// count no more.
func (k *Keeper) Refresh(group shoal.Group) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.kept {
		if group != "" && e.group != group {
			continue
		}
		select {
		case e.refresh <- struct{}{}:
		default:
		}
	}
}

// Wait returns when all leases have been closed and nothing of them goes on.
func (k *Keeper) Wait() { k.run.Wait() }

// keep is a ticket's goroutine.
func (k *Keeper) keep(ctx context.Context, e *kept) {
	pause, backoff := time.Duration(0), retryFirst
	for {
		select {
		case <-time.After(pause):
		case <-e.refresh:
			if !sleep(ctx, rand.N(refreshWithin)) {
				return
			}
		case <-ctx.Done():
			return
		}
		ticket, raw, err := k.obtain(ctx, e.group)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			backoff = retryFirst
			pause = k.renewIn(ticket)
			k.set(e, ticket, raw, nil)
		case !transient(err):
			k.set(e, nil, nil, err)
			return
		default:
			k.log.Debug().Err(err).Msg("no new ticket yet")
			left, err := k.left(e, err)
			if err != nil {
				k.set(e, nil, nil, err)
				return
			}
			pause = min(backoff/2+rand.N(backoff/2), left)
			backoff = min(2*backoff, retryMost)
		}
	}
}

// obtain fetches a ticket and checks that it is good.
func (k *Keeper) obtain(ctx context.Context, group shoal.Group) (*identity.Ticket, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	raw, err := k.fetch(ctx, group)
	switch code := shoal.CodeOf(err); {
	case err != nil && (code == shoal.NotFound || code == shoal.Denied):
		return nil, nil, shoal.Errorf(code, "this device may not fetch in the group %q: %w", group, err)
	case err != nil:
		return nil, nil, shoal.Errorf(code, "asking for a ticket of the group %q: %w", group, err)
	}
	raw = bytes.Clone(raw)
	ticket, _, err := k.realm.verify(k.device, group, raw)
	return ticket, raw, err
}

// renewIn is when to renew a ticket: when half of its time is left, or some less, so that not all of a group's members
// ask at once, and a server that is away for a minute or two is not missed.
func (k *Keeper) renewIn(t *identity.Ticket) time.Duration {
	lasts := max(t.Expires.Sub(k.realm.config.Now()), time.Second)
	return lasts/2 + rand.N(lasts/4)
}

// left is how long the ticket still counts where no server can be reached. There is an error when it does not any more;
// why is what keeps the next from coming.
func (k *Keeper) left(e *kept, why error) (time.Duration, error) {
	k.mu.Lock()
	ticket := e.ticket
	k.mu.Unlock()
	if ticket == nil {
		return retryMost, nil
	}
	now := k.realm.config.Now()
	if !ticket.Lasts(now, false) {
		return 0, shoal.Errorf(shoal.Unreachable, "the ticket of the group %q has expired, and so has its offline grace of %v: %w", ticket.Group, ticket.Grace, why)
	}
	return ticket.Expires.Add(ticket.Grace).Sub(now), nil
}

// set tells all users of a ticket that there is another one, or none any more.
func (k *Keeper) set(e *kept, ticket *identity.Ticket, raw []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e.ticket, e.raw, e.err = ticket, raw, err
	if err != nil {
		k.forget(e)
	}
	for l := range e.leases {
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
