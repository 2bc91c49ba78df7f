package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/client/tickets"
	"shoal/client/tracker"
	"shoal/wire"
)

// followRealm makes ready what goes by the realm's tickets. Until a server is reached, the realm is the one that is pinned
// or was given.
func (c *Client) followRealm(trust *trust) error {
	c.realm = tickets.NewRealm(tickets.Config{
		Now:       func() time.Time { return c.tracker.Now() },
		Reachable: func() bool { return c.tracker.Reachable() },
	})
	c.keeper = tickets.NewKeeper(c.realm, c.key.Device(), func(ctx context.Context, group shoal.Group) ([]byte, error) {
		return c.tracker.Ticket(ctx, group)
	}, c.config.Log)
	trust.proven = c.realm.Trust
	root, known, err := trust.pins.Lookup(trust.server)
	if err == nil && !known && trust.given != nil {
		root, known = *trust.given, true
	}
	if err != nil || !known {
		return err
	}
	authority, err := trust.authority(root, time.Now())
	if err == nil {
		c.realm.Trust(authority)
	}
	return err
}

// revoked takes note of a revocation, also for the time after this process. The connection ends where the server's own
// certificate does not count any more: trust will not accept it again.
func (c *Client) revoked(trust *trust, chain []byte) {
	news, err := c.realm.Revoke(chain)
	if err != nil {
		c.config.Log.Warn().Err(err).Msg("a revocation is ignored")
	}
	if !news {
		return
	}
	c.keeper.Refresh("")
	if err := trust.revoked.Add(chain); err != nil {
		c.config.Log.Error().Err(err).Msg("a revocation will not be known after this process ends")
	}
	if shown := c.shown.Load(); shown != nil && trust.accept(shown) != nil {
		c.tracker.Reconnect()
	}
}

// events are what the server tells by itself, until ctx ends.
func (c *Client) events(ctx context.Context, trust *trust) tracker.Events {
	return tracker.Events{
		Epoch: func(m *wire.Epoch) {
			if !c.realm.Raise(m.Group, m.Epoch) {
				return
			}
			c.keeper.Refresh(m.Group)
			if slices.Contains(c.shelf.Groups(), m.Group) {
				c.run.Go(func() { c.checkMembership(ctx, m.Group) })
			}
		},
		Gone: func(m *wire.Gone) {
			why := shoal.Errorf(shoal.NotFound, "%v was deleted from the group %q", m.File, m.Group)
			if m.Reason == wire.GoneStopped {
				why = shoal.Errorf(shoal.NotFound, "%v is not shared in the group %q any more", m.File, m.Group)
			} else {
				c.gets.cancel(m.Group, m.File, why)
			}
			c.withdraw(m.Group, &m.File, why)
		},
		Denied: func() {
			for _, group := range c.shelf.Groups() {
				c.run.Go(func() { c.checkMembership(ctx, group) })
			}
		},
		Revoked: func(chain []byte) { c.revoked(trust, chain) },
	}
}

// askAgain is how long after a server could not say whether this device is in a group it is asked again.
const askAgain = 2 * time.Second

// checkMembership ends serving in a group that this device's user has been removed from. It is asked when the group's
// epoch was raised: who gets no ticket is no member.
func (c *Client) checkMembership(ctx context.Context, group shoal.Group) {
	for {
		_, err := c.tracker.Ticket(ctx, group)
		switch shoal.CodeOf(err) {
		case shoal.NotFound, shoal.Denied:
			c.withdraw(group, nil, shoal.Errorf(shoal.NotFound, "this device is not in the group %q any more", group))
			return
		case shoal.Unreachable, shoal.Busy, shoal.Limit:
		default:
			return
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return
		}
	}
}

// withdraw ends serving everything in a group, or one file of it where file is not nil.
func (c *Client) withdraw(group shoal.Group, file *shoal.FileID, why error) {
	for _, swarm := range c.shelf.WithdrawGroup(group, file, why) {
		c.tracker.Withdraw(swarm)
		if c.gone != nil {
			c.gone(swarm, why)
		}
	}
}

// gets are the downloads that run, so that they end when their object is deleted.
type gets struct {
	mu      sync.Mutex // guards running
	running map[*context.CancelCauseFunc]shoal.Swarm
}

// begin returns a context that ends with the object's; end must be called.
func (g *gets) begin(ctx context.Context, swarm shoal.Swarm) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == nil {
		g.running = map[*context.CancelCauseFunc]shoal.Swarm{}
	}
	g.running[&cancel] = swarm
	return ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.running, &cancel)
		cancel(nil)
	}
}

func (g *gets) cancel(group shoal.Group, file shoal.FileID, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for cancel, swarm := range g.running {
		if swarm.Group == group && swarm.Object.ID == file {
			(*cancel)(why)
		}
	}
}
