package peer

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tickets"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/wire"
)

// However many there are, and whoever says so, only so many are kept.
func TestRecordsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := exchanging(t, o)
		defer r.end()
		sw := shoal.Swarm{Group: ticketstest.Lab}
		one := identity.NewKey()
		for n := range 3 * mostOfDevice {
			must(t, r.Exchange.Learn(sw, o.Record(one, nil, at(n+1)), nil))
		}
		if got := len(r.Exchange.Sources(sw)); got != mostOfDevice {
			t.Errorf("%d processes of one device are known", got)
		}
		must(t, r.Exchange.Learn(sw, o.Record(r.Key, nil, at(1)), nil)) // this device's own
		for n := range mostRecords + 20 {
			must(t, r.Exchange.Learn(sw, o.Record(identity.NewKey(), nil, at(n)), nil))
		}
		if got := len(r.Exchange.Sources(sw)); got != mostRecords {
			t.Errorf("%d processes are known", got)
		}
		if got := len(r.Exchange.Records(sw, wire.MaxRecords, one.Device())); got != wire.MaxRecords {
			t.Errorf("%d records are passed on", got)
		}
	})
}

// A record ends with its candidates or its ticket, later where no server can be reached, and with the epoch; a later one of
// the same process takes its place.
func TestRecordsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		happen func(r *rig, o *ticketstest.Office)
		lasts  time.Duration
	}{
		"nothing": {func(*rig, *ticketstest.Office) {}, identity.TicketLasts},
		"offline": {func(_ *rig, o *ticketstest.Office) { o.Up.Store(false) }, time.Hour},
		"epoch":   {func(r *rig, _ *ticketstest.Office) { r.Realm.Raise(ticketstest.Lab, 4) }, time.Second},
		"revoked": {func(r *rig, o *ticketstest.Office) {
			_, err := r.Realm.Revoke(identity.RevokeKey(o.Root, o.Tickets.Public(), time.Now(), time.Hour))
			must(r.t, err)
		}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := ticketstest.New(t)
				r := exchanging(t, o)
				defer r.end()
				sw, key := shoal.Swarm{Group: ticketstest.Lab}, identity.NewKey()
				must(t, r.Exchange.Learn(sw, o.Record(key, nil, at(1)), nil))
				began := time.Now()
				c.happen(r, o)
				for len(r.Exchange.Sources(sw)) > 0 && time.Since(began) < 2*time.Hour {
					time.Sleep(c.lasts / 200)
				}
				if lasted := time.Since(began); lasted < c.lasts || lasted > c.lasts+c.lasts/50 {
					t.Errorf("it lasted for %v, not %v", lasted, c.lasts)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := exchanging(t, o)
		defer r.end()
		sw, key := shoal.Swarm{Group: ticketstest.Lab}, identity.NewKey()
		for range 30 {
			must(t, r.Exchange.Learn(sw, o.Record(key, nil, at(2), at(1)), nil))
			time.Sleep(identity.TicketLasts / 2)
			if got := r.Exchange.Sources(sw); len(got) != 1 {
				t.Fatalf("%d records of one process", len(got))
			}
		}
	})
}

// The record of a process goes where its ticket is: without one it has none, and a refusal is not for ever.
func TestOwnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		m := newMeshOf(t, 1, o)
		nd := m.nodes[0]
		x := nd.server.Exchange
		if x.Own(ticketstest.Lab) != nil {
			t.Error("a record, though nobody wants one")
		}
		x.Use(ticketstest.Lab)
		synctest.Wait()
		other := tickets.NewRealm(tickets.Config{Now: time.Now, Reachable: o.Up.Load})
		other.Trust(o.Authority())
		_, err := other.Vouch(ticketstest.Lab, x.Own(ticketstest.Lab))
		must(t, err)
		if _, err := other.Vouch("other", x.Own(ticketstest.Lab)); !errors.Is(err, identity.RefusedGroup) {
			t.Errorf("in another group: %v", err)
		}
		o.Up.Store(false)
		time.Sleep(11 * time.Hour)
		_, err = other.Vouch(ticketstest.Lab, x.Own(ticketstest.Lab)) // signed anew by the device alone
		must(t, err)
		time.Sleep(2 * time.Hour)
		if x.Own(ticketstest.Lab) != nil {
			t.Error("a record after the grace")
		}
		o.Up.Store(true)
		x.Use(ticketstest.Lab)
		synctest.Wait()
		if x.Own(ticketstest.Lab) == nil {
			t.Error("no record, though there are tickets again")
		}
	})
	keeper := tickets.NewKeeper(nil, shoal.DeviceID{}, nil, zerolog.Nop())
	if x := NewExchange(shoal.DeviceID{}, wire.Plaintext, nil, keeper, nil); x.Own("lab") != nil || fmt.Sprint(x.Records(shoal.Swarm{}, 1, shoal.DeviceID{})) != "[]" {
		t.Error("a record without a ticket")
	}
}
