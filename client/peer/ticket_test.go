package peer

import (
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/client/tickets"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/wire"
)

func inLab(c store.Content) shoal.Swarm {
	return shoal.Swarm{Group: ticketstest.Lab, Object: c.Object()}
}

// guarded is a rig that asks for tickets of an office, and looks at them in the background as well.
func guarded(t *testing.T, o *ticketstest.Office) *rig {
	r := newRig(t, plaintext)
	r.Realm = tickets.NewRealm(tickets.Config{Now: time.Now, Reachable: o.Up.Load})
	r.Realm.Trust(o.Authority())
	r.run.Go(func() { r.sweep(r.ctx) })
	return r
}

// admitted is a connection that has joined a swarm in the lab by a good ticket.
func (r *rig) admitted(o *ticketstest.Office, swarm shoal.Swarm, size int) (c *raw, device shoal.DeviceID, handle uint32) {
	r.t.Helper()
	key := identity.NewKey()
	c = r.pipeAs(key, size)
	var reply wire.JoinReply
	c.Reply(c.Ask(wire.KindJoin, &wire.Join{Swarm: swarm, Ticket: o.Ticket(key.Device(), nil)}), wire.KindJoin, &reply)
	return c, key.Device(), reply.Handle
}

// Whoever may not fetch is told the same as if there were nothing (rules P1 and P14).
func TestJoinWithTickets(t *testing.T) {
	f := place(t, random(pieceLength, 60))
	o, forger := ticketstest.New(t), ticketstest.New(t)
	r := guarded(t, o)
	r.Realm.Raise(ticketstest.Lab, 3)
	r.Shelf.Put(inLab(f), f)
	key := identity.NewKey()
	device := key.Device()
	c := r.pipeAs(key, 0)
	text := func(swarm shoal.Swarm, ticket []byte) string {
		t.Helper()
		id := c.Ask(wire.KindJoin, &wire.Join{Swarm: swarm, Ticket: ticket})
		var m wire.ErrorReply
		reply := c.Next()
		if reply.ID != id || reply.Flags&wire.FlagError == 0 {
			t.Fatalf("got %v", reply.Header)
		}
		must(t, wire.Decode(reply.Body, &m))
		wantCode(t, m.Err(), shoal.NotFound)
		return m.Text
	}
	missing := inLab(f)
	missing.Object.ID[0] ^= 1
	absent := text(missing, o.Ticket(device, nil))
	for name, ticket := range map[string][]byte{
		"none":         nil,
		"nonsense":     {1, 2, 3},
		"forged":       forger.Ticket(device, nil),
		"expired":      o.Ticket(device, ticketstest.Ago(time.Hour)),
		"old epoch":    o.Ticket(device, ticketstest.AtEpoch(2)),
		"other device": o.Ticket(identity.NewKey().Device(), nil),
		"other group":  o.Ticket(device, func(t *identity.Ticket) { t.Group = "other" }),
		"no right":     o.Ticket(device, func(t *identity.Ticket) { t.Rights = identity.MayOffer }),
	} {
		if got := text(inLab(f), ticket); got != notServed(inLab(f)).Error() {
			t.Errorf("%s: %q tells more than %q", name, got, absent)
		}
		if got := text(missing, ticket); got != absent {
			t.Errorf("%s, of what is not there: %q tells more than %q", name, got, absent)
		}
	}
	// In another group, whose ticket is good, it is not there: knowing a FileID opens nothing.
	other := shoal.Swarm{Group: "other", Object: f.Object()}
	if got := text(other, o.Ticket(device, func(t *identity.Ticket) { t.Group = "other" })); got != notServed(other).Error() {
		t.Errorf("in the other group: %q", got)
	}
	var reply wire.JoinReply
	c.Reply(c.Ask(wire.KindJoin, &wire.Join{Swarm: inLab(f), Ticket: o.Ticket(device, nil)}), wire.KindJoin, &reply)
	if got := c.block(c.askBlock(reply.Handle, 0, 0, 1), 0, 0); got[0] != pieceOf(t, f, 0)[0] {
		t.Error("wrong byte")
	}
}

// A handle ends with what allows it, and all that was asked with it.
func TestWhatEndsAHandle(t *testing.T) {
	f := place(t, random(2*pieceLength, 61))
	for name, c := range map[string]struct {
		happen func(r *rig, o *ticketstest.Office)
		lasts  time.Duration // from when it happens
	}{
		"the ticket expires":               {func(*rig, *ticketstest.Office) {}, identity.TicketLasts},
		"no server, and the grace is over": {func(_ *rig, o *ticketstest.Office) { o.Up.Store(false) }, identity.TicketLasts + time.Hour},
		"a server is back":                 {func(_ *rig, o *ticketstest.Office) { o.Away(20 * time.Minute) }, 20 * time.Minute},
		"a new epoch":                      {func(r *rig, _ *ticketstest.Office) { r.Realm.Raise(ticketstest.Lab, 4) }, time.Second},
		"a revocation": {func(r *rig, o *ticketstest.Office) {
			_, err := r.Realm.Revoke(identity.RevokeKey(o.Root, o.Tickets.Public(), time.Now(), time.Hour))
			must(r.t, err)
		}, time.Second},
		"the object is deleted": {func(r *rig, _ *ticketstest.Office) {
			id := f.Object().ID
			if gone := r.Shelf.WithdrawGroup(ticketstest.Lab, &id, shoal.NotFound); len(gone) != 1 || gone[0] != inLab(f) {
				r.t.Errorf("withdrew %v", gone)
			}
		}, 0},
		"the group is left": {func(r *rig, _ *ticketstest.Office) {
			r.Shelf.WithdrawGroup("other", nil, shoal.NotFound)
			r.Shelf.WithdrawGroup(ticketstest.Lab, nil, shoal.NotFound)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ticketstest.New(t)
				r := guarded(t, o)
				defer r.end()
				r.Shelf.Put(inLab(f), f)
				conn, _, handle := r.admitted(o, inLab(f), 0)
				began := time.Now()
				c.happen(r, o)
				for time.Since(began) < c.lasts-31*time.Second {
					time.Sleep(30 * time.Second)
					if len(conn.block(conn.askBlock(handle, 0, 0, 1), 0, 0)) != 1 {
						t.Fatal("no byte")
					}
				}
				var gone wire.Withdraw
				conn.Event(wire.KindWithdraw, &gone)
				wantCode(t, gone.Err(), shoal.NotFound)
				if lasted := time.Since(began); gone.Handle != handle || lasted < c.lasts || lasted > c.lasts+time.Second {
					t.Errorf("handle %d ended after %v", gone.Handle, lasted)
				}
				conn.Refusal(conn.askBlock(handle, 0, 0, 1), wire.KindRequest, shoal.NotFound)
				conn.Refusal(conn.Ask(wire.KindManifest, &wire.ManifestRequest{Handle: handle}), wire.KindManifest, shoal.NotFound)
				conn.nc.Close()
			})
		})
	}
}

// RENEW makes a handle outlast its tickets and a new epoch; a ticket that is refused changes nothing (rule P15).
func TestRenew(t *testing.T) {
	f := place(t, random(pieceLength, 62))
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := guarded(t, o)
		defer r.end()
		r.Shelf.Put(inLab(f), f)
		c, device, handle := r.admitted(o, inLab(f), 0)
		renew := func(ticket []byte) uint32 {
			return c.Ask(wire.KindRenew, &wire.Renew{Handle: handle, Ticket: ticket})
		}
		served := func() {
			t.Helper()
			if len(c.block(c.askBlock(handle, 0, 0, 1), 0, 0)) != 1 {
				t.Error("no byte")
			}
		}
		for range 10 {
			for range 9 {
				time.Sleep(time.Minute)
				c.Alive()
			}
			c.Reply(renew(o.Ticket(device, nil)), wire.KindRenew, &wire.Empty{})
			served()
		}
		for _, bad := range [][]byte{nil, o.Ticket(identity.NewKey().Device(), nil), o.Ticket(device, ticketstest.AtEpoch(2))} {
			c.Refusal(renew(bad), wire.KindRenew, shoal.NotFound)
			served()
		}
		c.Refusal(c.Ask(wire.KindRenew, &wire.Renew{Handle: 99, Ticket: o.Ticket(device, nil)}), wire.KindRenew, shoal.NotFound)
		r.Realm.Raise(ticketstest.Lab, 4)
		time.Sleep(900 * time.Millisecond)
		c.Refusal(renew(o.Ticket(device, nil)), wire.KindRenew, shoal.NotFound)
		c.Reply(renew(o.Ticket(device, ticketstest.AtEpoch(4))), wire.KindRenew, &wire.Empty{})
		time.Sleep(time.Minute)
		served()
		c.nc.Close()
	})
}

// Who reads slowly does not get the rest of a block long after it may not have it any more.
func TestEndsWithinABlock(t *testing.T) {
	f := place(t, random(pieceLength, 63))
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := guarded(t, o)
		defer r.end()
		r.Shelf.Put(inLab(f), f)
		c, _, handle := r.admitted(o, inLab(f), 8<<10)
		c.askBlock(handle, 0, 0, pieceLength)
		time.Sleep(time.Second)
		began := time.Now()
		r.Realm.Raise(ticketstest.Lab, 4)
		n, err := 0, error(nil)
		for buf := make([]byte, 1<<10); err == nil; time.Sleep(50 * time.Millisecond) {
			var got int
			got, err = c.nc.Read(buf)
			n += got
		}
		if took := time.Since(began); took > 2*time.Second || n >= pieceLength {
			t.Errorf("%d bytes came for %v", n, took)
		}
	})
}
