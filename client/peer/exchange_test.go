package peer

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/tickets"
	"shoal/client/tickets/ticketstest"
	"shoal/identity"
	"shoal/wire"
)

// at is a candidate that no two numbers share.
func at(n int) identity.Candidate {
	addr := netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)})
	return identity.Candidate{Security: wire.Plaintext, Addr: netip.AddrPortFrom(addr, 4919)}
}

// exchanging is a rig that exchanges records, by an office that it asks for tickets; its own address is at(0).
func exchanging(t *testing.T, o *ticketstest.Office) *rig {
	r := newRig(t, plaintext)
	var keeper *tickets.Keeper
	r.Realm, keeper, r.Exchange = ofRealm(o, r.Key, at(0))
	t.Cleanup(func() {
		r.Exchange.Close()
		keeper.Wait()
	})
	return r
}

// talker is a connection of a member that exchanges.
type talker struct {
	*raw
	key    *identity.Key
	handle uint32
}

func (r *rig) talker(o *ticketstest.Office, sw shoal.Swarm) *talker {
	r.t.Helper()
	c := &talker{key: identity.NewKey()}
	c.raw = r.pipeAs(c.key, 0)
	c.join(o, sw)
	return c
}

func (c *talker) join(o *ticketstest.Office, sw shoal.Swarm) {
	c.t.Helper()
	var reply wire.JoinReply
	c.Reply(c.Ask(wire.KindJoin, &wire.Join{Swarm: sw, Ticket: o.Ticket(c.key.Device(), nil)}), wire.KindJoin, &reply)
	c.handle = reply.Handle
}

// tell exchanges, and returns the devices of which there are records.
func (c *talker) tell(most int, record []byte) (devices []shoal.DeviceID) {
	c.t.Helper()
	var reply wire.ExchangeReply
	c.Reply(c.say(most, record), wire.KindExchange, &reply)
	for _, chain := range reply.Records {
		r, err := identity.ReadRecord(chain)
		must(c.t, err)
		devices = append(devices, r.Device)
	}
	return devices
}

func (c *talker) say(most int, record []byte) uint32 {
	c.t.Helper()
	return c.Ask(wire.KindExchange, &wire.Exchange{Handle: c.handle, Most: uint32(most), Record: record})
}

// Members tell where they serve, and hear of the others and of whom they ask, but never of themselves.
func TestExchange(t *testing.T) {
	f := place(t, random(pieceLength, 90))
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := exchanging(t, o)
		defer r.end()
		r.Shelf.Put(inLab(f), f)
		self := r.Key.Device()
		a, b := r.talker(o, inLab(f)), r.talker(o, inLab(f))
		synctest.Wait()
		if got := a.tell(50, o.Record(a.key, nil, at(1))); !slices.Equal(got, []shoal.DeviceID{self}) {
			t.Errorf("the first hears of %v", got)
		}
		if got := b.tell(50, nil); len(got) != 2 || !slices.Contains(got, self) || !slices.Contains(got, a.key.Device()) {
			t.Errorf("the second hears of %v", got)
		}
		time.Sleep(exchangeAfter)
		if got := b.tell(1, o.Record(b.key, nil, at(2))); len(got) != 1 {
			t.Errorf("one record is wanted, and %d come", len(got))
		}
		if got := a.tell(50, nil); len(got) != 2 || slices.Contains(got, a.key.Device()) {
			t.Errorf("the first hears of %v", got)
		}
		time.Sleep(exchangeAfter)
		if got := a.tell(0, nil); len(got) != 0 {
			t.Errorf("none is wanted, and %d come", len(got))
		}
		// In another group the same device knows nobody.
		if got := r.Exchange.Records(shoal.Swarm{Group: "other", Object: f.Object()}, 50, a.key.Device()); len(got) != 0 {
			t.Errorf("%d records of another group", len(got))
		}
		a.nc.Close()
		b.nc.Close()
	})
}

// Rule P24: what is no record of the device that tells it is refused, and nobody hears of it.
func TestExchangeOfBadRecords(t *testing.T) {
	f := place(t, random(pieceLength, 91))
	synctest.Test(t, func(t *testing.T) {
		o, forger := ticketstest.New(t), ticketstest.New(t)
		r := exchanging(t, o)
		defer r.end()
		r.Realm.Raise(ticketstest.Lab, 3)
		r.Shelf.Put(inLab(f), f)
		flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		tls := at(1)
		tls.Security = wire.TLS
		chain := func(parts ...[]byte) []byte {
			b, err := identity.Chain(parts...)
			must(t, err)
			return b
		}
		for name, record := range map[string]func(key *identity.Key) []byte{
			"nonsense": func(*identity.Key) []byte { return []byte("here I am") },
			"a ticket": func(key *identity.Key) []byte { return o.Ticket(key.Device(), nil) },
			"no ticket": func(key *identity.Key) []byte {
				return identity.SignCandidates(key, []identity.Candidate{at(1)}, time.Now(), time.Hour)
			},
			"a wrong signature": func(key *identity.Key) []byte { return flip(o.Record(key, nil, at(1))) },
			"another realm's":   func(key *identity.Key) []byte { return forger.Record(key, nil, at(1)) },
			"another device's":  func(*identity.Key) []byte { return o.Record(identity.NewKey(), nil, at(1)) },
			"another's ticket": func(key *identity.Key) []byte {
				return o.Record(key, func(t *identity.Ticket) { t.Device = identity.NewKey().Device() }, at(1))
			},
			"another group's": func(key *identity.Key) []byte {
				return o.Record(key, func(t *identity.Ticket) { t.Group = "other" }, at(1))
			},
			"no right": func(key *identity.Key) []byte {
				return o.Record(key, func(t *identity.Ticket) { t.Rights = identity.MayFetch }, at(1))
			},
			"an earlier epoch":  func(key *identity.Key) []byte { return o.Record(key, ticketstest.AtEpoch(2), at(1)) },
			"an expired ticket": func(key *identity.Key) []byte { return o.Record(key, ticketstest.Ago(identity.TicketLasts), at(1)) },
			"nowhere":           func(key *identity.Key) []byte { return o.Record(key, nil) },
			"over TLS":          func(key *identity.Key) []byte { return o.Record(key, nil, tls) },
			"expired candidates": func(key *identity.Key) []byte {
				return chain(o.Ticket(key.Device(), nil), identity.SignCandidates(key, []identity.Candidate{at(1)}, time.Now().Add(-time.Hour), time.Hour))
			},
		} {
			c := r.talker(o, inLab(f))
			c.Refusal(c.say(50, record(c.key)), wire.KindExchange, shoal.BadRequest)
			c.Refusal(c.say(50, nil), wire.KindExchange, shoal.Limit) // that was its turn
			c.Alive()
			c.nc.Close()
			if got := r.Exchange.Sources(inLab(f)); len(got) != 0 {
				t.Fatalf("%s: %v is known", name, got[0].Device)
			}
		}
		c := r.talker(o, inLab(f))
		c.handle++
		c.Refusal(c.say(50, nil), wire.KindExchange, shoal.NotFound) // P4
		c.nc.Close()
	})
}

// Rule P25, which nobody gets around by leaving and joining again.
func TestExchangeTooOften(t *testing.T) {
	f := place(t, random(pieceLength, 92))
	synctest.Test(t, func(t *testing.T) {
		o := ticketstest.New(t)
		r := exchanging(t, o)
		defer r.end()
		r.Shelf.Put(inLab(f), f)
		c := r.talker(o, inLab(f))
		for range 3 {
			c.tell(50, nil)
			for range 100 {
				c.Refusal(c.say(50, nil), wire.KindExchange, shoal.Limit)
			}
			c.Reply(c.Ask(wire.KindLeave, &wire.Leave{Handle: c.handle}), wire.KindLeave, &wire.Empty{})
			c.join(o, inLab(f))
			c.Refusal(c.say(50, nil), wire.KindExchange, shoal.Limit)
			time.Sleep(exchangeAfter)
		}
		c.nc.Close()
	})
}
