package peer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tickets"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/wire/wiretest"
)

// slowListener makes what it accepts send no more than so many bytes a second.
type slowListener struct {
	net.Listener
	rate int
}

func (l slowListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return slowConn{nc, l.rate}, err
}

type slowConn struct {
	net.Conn
	rate int
}

func (c slowConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		time.Sleep(time.Second)
		var wrote int
		wrote, err = c.Conn.Write(p[:min(len(p), c.rate)])
		n, p = n+wrote, p[wrote:]
	}
	return n, err
}

// lab is a group at work: a peer that asks for tickets and serves slowly, and a device that fetches with them.
type labWorld struct {
	*world
	office  *ticketstest.Office
	epoch   atomic.Uint64
	refuse  atomic.Bool // the server gives this device no tickets any more
	fetched atomic.Int32
	rig     *rig
	source  *scripted
	keeper  *tickets.Keeper
}

// inTheLab runs a test with a file that is fetched in 40 minutes, at 6 KiB a second.
func inTheLab(t *testing.T, do func(t *testing.T, w *labWorld)) {
	t.Helper()
	const rate = 6 << 10
	file := place(t, random(40*60*rate, 64))
	synctest.Test(t, func(t *testing.T) {
		w := &labWorld{world: newWorld(t, file), office: ticketstest.New(t)}
		w.epoch.Store(3)
		w.rig = newRig(t, plaintext)
		w.rig.Realm = w.realm()
		w.rig.Shelf.Put(inLab(file), file)
		l := wiretest.Listen()
		w.rig.run.Go(func() { must(t, w.rig.Run(w.rig.ctx, slowListener{l, rate})) })
		w.source = &scripted{world: w.world, key: w.rig.Key, listener: l, address: netip.MustParseAddrPort(l.Addr().String())}
		w.sources = append(w.sources, w.source)
		w.keeper = tickets.NewKeeper(w.realm(), w.pool.key.Device(), w.fetchTicket, zerolog.Nop())
		do(t, w)
		w.keeper.Wait()
		w.pool.Wait()
		w.rig.end()
	})
}

// realm is what each device knows by itself.
func (w *labWorld) realm() *tickets.Realm {
	r := tickets.NewRealm(tickets.Config{Now: time.Now, Reachable: w.office.Up.Load})
	r.Trust(w.office.Authority())
	return r
}

func (w *labWorld) fetchTicket(ctx context.Context, group shoal.Group) ([]byte, error) {
	for !w.office.Up.Load() {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if w.refuse.Load() {
		return nil, shoal.Errorf(shoal.NotFound, "there is no group %q", group)
	}
	w.fetched.Add(1)
	return w.office.Ticket(w.pool.key.Device(), func(t *identity.Ticket) {
		t.Group, t.Epoch, t.Grace = group, w.epoch.Load(), 20*time.Minute
	}), nil
}

// wish is a download in the lab.
func (w *labWorld) wish() Transfer {
	tr := w.transfer(w.source)
	tr.Swarm, tr.Tickets = inLab(w.file), w.keeper
	return tr
}

// A download lasts past many tickets, and through changes of members, on the one connection that it began on.
func TestTransferOutlastsTickets(t *testing.T) {
	inTheLab(t, func(t *testing.T, w *labWorld) {
		for i := range 5 { // others leave the group now and then
			time.AfterFunc(time.Duration(i)*7*time.Minute+time.Second, func() {
				w.rig.Realm.Raise(ticketstest.Lab, w.epoch.Add(1))
				w.keeper.Refresh(ticketstest.Lab)
			})
		}
		began := time.Now()
		w.know(w.source)
		st := w.fetch(w.wish())
		if took := time.Since(began); took < 40*time.Minute || took > 46*time.Minute { // a block takes whole seconds
			t.Errorf("it took %v", took)
		}
		if n := w.fetched.Load(); n < 6 || share(st, w.source).Reason != "" {
			t.Errorf("%d tickets, and the source: %+v", n, share(st, w.source))
		}
	})
}

// A download that outlives its server goes on for as long as the grace of its ticket allows, and no longer.
func TestTransferOutlivesServer(t *testing.T) {
	inTheLab(t, func(t *testing.T, w *labWorld) {
		time.AfterFunc(24*time.Minute, func() { w.office.Up.Store(false) })
		w.fetch(w.wish()) // 21 minutes are left, and at least 22 covered
	})
	inTheLab(t, func(t *testing.T, w *labWorld) {
		began := time.Now()
		time.AfterFunc(time.Minute, func() { w.office.Up.Store(false) })
		var held int64
		tr := w.wish()
		tr.Report = func(s Status) { held = s.Held }
		_, err := tr.Run(w.ctx)
		ended := time.Since(began)
		if !errors.Is(err, shoal.Unreachable) && !errors.Is(err, shoal.NoSources) || ended < 30*time.Minute || ended > 32*time.Minute {
			t.Errorf("after %v: %v", ended, err)
		}
		if !strings.Contains(err.Error(), "run the same command again") {
			t.Errorf("nothing of what is kept: %v", err)
		}
		if most := int64(30*60+60) * 6 << 10; held == 0 || held > most {
			t.Errorf("%d bytes came", held)
		}
	})
}

// Who is removed from the group gets nothing more 2 seconds after both sides have been told, and is told why.
func TestTransferOfWhoIsRemoved(t *testing.T) {
	for _, told := range []string{"both", "only who serves", "only who fetches"} {
		t.Run(told, func(t *testing.T) {
			inTheLab(t, func(t *testing.T, w *labWorld) {
				var held int64
				var removed, last time.Time
				began := time.Now()
				tr := w.wish()
				tr.Timeout = 30 * time.Second
				tr.Report = func(s Status) {
					if s.Held > held {
						held, last = s.Held, time.Now()
					}
					if removed.IsZero() && time.Since(began) > 10*time.Minute {
						removed = time.Now()
						w.refuse.Store(true)
						if told != "only who fetches" {
							w.rig.Realm.Raise(ticketstest.Lab, 4)
						}
						if told != "only who serves" {
							w.keeper.Refresh(ticketstest.Lab)
						}
					}
				}
				_, err := tr.Run(w.ctx)
				if held == 0 || last.Sub(removed) > 2*time.Second {
					t.Errorf("bytes come %v after the removal", last.Sub(removed))
				}
				ended := time.Since(removed)
				switch {
				case told == "only who serves": // the fetching side hears of it when it renews, or gives up
					if !errors.Is(err, shoal.NoSources) && !errors.Is(err, shoal.NotFound) {
						t.Errorf("after %v: %v", ended, err)
					}
				case !errors.Is(err, shoal.NotFound) || ended > 2*time.Second:
					t.Errorf("after %v: %v", ended, err)
				}
			})
		})
	}
}

// Without a ticket nothing is even asked for.
func TestTransferWithoutTicket(t *testing.T) {
	inTheLab(t, func(t *testing.T, w *labWorld) {
		w.refuse.Store(true)
		_, err := w.wish().Run(w.ctx)
		wantCode(t, err, shoal.NotFound)
		if !strings.Contains(err.Error(), `"lab"`) {
			t.Error(err)
		}
	})
}
