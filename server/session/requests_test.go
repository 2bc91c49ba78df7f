package session

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// The way of a file: published, announced, found and listed by another, taken away.
func TestPublishedIsFound(t *testing.T) {
	h := newState(t).serve(newHost(overPlaintext))
	seeder, asking, partial := connect(t, h), connect(t, h), connect(t, h)
	revision, err := seeder.publish(1, "film", objectOf(1))
	must(t, err)
	candidates := seeder.candidates(time.Hour)
	must(t, seeder.announce(candidates, offerOf(1, 4)))
	must(t, partial.announce(partial.candidates(time.Hour), offerOf(1, 3), offerOf(2, 4)))

	availability := shoal.Availability{Whole: 1, Partial: 1, Least: 1, Above: 3}
	for _, key := range []wire.Lookup{{Name: "film"}, {File: objectOf(1).ID}} {
		found, err := asking.lookup(key.Name, key.File)
		must(t, err)
		if found.Availability != availability || len(found.Missing) > 0 || *found.Facts != (shoal.Facts{}) {
			t.Errorf("found %+v", found)
		}
		if found.Revision != revision || found.Name != "film" || found.Content != objectOf(1) || len(found.Sources) != 2 {
			t.Fatalf("found %+v", found)
		}
		for _, s := range found.Sources {
			from, pieces := seeder, uint32(4)
			if s.Session == partial.conn.Session {
				from, pieces = partial, 3
			}
			if s.Session != from.conn.Session || s.Device != from.key.Device() || s.Pieces != pieces {
				t.Errorf("a source %+v", s)
			}
			if _, err := identity.VerifyCandidates(s.Candidates, s.Device, time.Now()); err != nil {
				t.Errorf("candidates that do not hold: %v", err)
			}
		}
	}
	// The one that asks is not a source for itself (rule S5).
	if found, err := seeder.lookup("film", shoal.FileID{}); err != nil || len(found.Sources) != 1 || found.Sources[0].Session != partial.conn.Session {
		t.Errorf("found %+v, %v", found, err)
	}
	listed, err := asking.list("", 10)
	must(t, err)
	e := []wire.Entry{{Name: "film", Content: objectOf(1), Availability: availability, Facts: &shoal.Facts{}}}
	if !reflect.DeepEqual(listed.Entries, e) || listed.More || listed.Revision != revision {
		t.Errorf("listed %+v", listed)
	}
	// Offers of what is not published (yet) are not held, and that is told.
	_, err = asking.publish(1, "sequel", objectOf(2))
	must(t, err)
	partial.wantGone(shoal.Public, objectOf(2).ID, wire.GoneDeleted)
	partial.wantEpoch(shoal.Public, 1, wire.EpochCurrent)
	if found, err := asking.lookup("sequel", shoal.FileID{}); err != nil || len(found.Sources) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
	gone, err := asking.unpublish(2, "film", objectOf(1).ID)
	must(t, err)
	if gone != revision+2 {
		t.Errorf("gone at revision %d", gone)
	}
	_, err = asking.lookup("film", shoal.FileID{})
	want(t, err, shoal.NotFound, "film")
}

// A retry on another connection is answered, not done again (rule S1).
func TestRuleS1(t *testing.T) {
	h := newState(t).serve(newHost(overPlaintext))
	c := connect(t, h)
	// The connection goes before the answer has been read.
	c.Send(wire.AppendRequest(nil, wire.KindPublish, 3, &wire.Publish{Sequence: 7, Group: shoal.Public, Name: "a", Content: objectOf(1)}))
	c.close()
	other := connect(t, h)
	gone, err := other.unpublish(1, "a", objectOf(1).ID)
	must(t, err)

	c = connect(t, h, c.key)
	if revision, err := c.publish(7, "a", objectOf(1)); revision == 0 || revision >= gone || err != nil {
		t.Errorf("revision %d, and gone at %d, %v", revision, gone, err)
	}
	_, err = c.lookup("a", shoal.FileID{})
	want(t, err, shoal.NotFound, "")
	_, err = c.publish(7, "b", objectOf(1))
	want(t, err, shoal.BadRequest, "sequence number")
	for i := range uint64(2 * 128) { // they are not dropped one by one
		_, err := c.publish(8+i, "b", objectOf(2))
		must(t, err)
	}
	_, err = c.publish(6, "a", objectOf(1)) // which could have been used before 7
	want(t, err, shoal.StaleRequest, "128")
}

func TestRulesS2S3(t *testing.T) {
	c := connect(t, newState(t).serve(newHost(overPlaintext)))
	_, err := c.publish(1, "a", objectOf(1))
	must(t, err)
	_, err = c.publish(2, "a", objectOf(2))
	want(t, err, shoal.NameTaken, objectOf(1).ID.String())
	want(t, err, shoal.NameTaken, objectOf(2).ID.String())
	_, err = c.lookup("b", shoal.FileID{})
	want(t, err, shoal.NotFound, `"b"`)
	_, err = c.lookup("", objectOf(2).ID)
	want(t, err, shoal.NotFound, objectOf(2).ID.String())
	_, err = c.unpublish(3, "b", objectOf(1).ID)
	want(t, err, shoal.NotFound, `"b"`)
	_, err = c.unpublish(4, "a", objectOf(2).ID)
	want(t, err, shoal.NotFound, objectOf(1).ID.String())
}

// To a device that acts for nobody, every group is closed, for every request, and it hears what to do.
func TestNobodysDevice(t *testing.T) {
	c := connect(t, newState(t).serve(newHost(overPlaintext)), identity.NewKey())
	for _, group := range []shoal.Group{"lab", shoal.Public} {
		offer := offerOf(1, 1)
		offer.Swarm.Group = group
		for kind, m := range map[wire.Kind]wire.Message{
			wire.KindPublish:   &wire.Publish{Group: group, Name: "a", Content: objectOf(1)},
			wire.KindUnpublish: &wire.Unpublish{Group: group, Name: "a", File: objectOf(1).ID},
			wire.KindList:      &wire.List{Group: group, Limit: 1},
			wire.KindLookup:    &wire.Lookup{Group: group, Name: "a"},
			wire.KindMembers:   &wire.Members{Group: group, Which: wire.MembersIn, Limit: 1},
			wire.KindAnnounce:  &wire.Announce{Candidates: c.candidates(time.Hour), Offers: []wire.Offer{offer}},
		} {
			want(t, c.Call(kind, m, &wire.Empty{}), shoal.Denied, "not logged in; log in first (shoal login NAME), or make a user (shoal user create NAME)")
		}
	}
}

// Pages are in the order of bytes, and more is true exactly if names remain (rule S4).
func TestRuleS4(t *testing.T) {
	h := newHost(overPlaintext)
	var names []shoal.Name
	for i := range 1005 {
		names = append(names, shoal.Name(fmt.Sprintf("%04d", i)))
	}
	fill(h.Registry, names, func(int) shoal.Object { return objectOf(1) })
	c := connect(t, h)
	for _, p := range []struct {
		after       string
		limit       uint32
		first, last string
		more        bool
	}{
		{"", 1, "0000", "0000", true},
		{"", 1000, "0000", "0999", true},
		{"0004", 1000, "0005", "1004", false},
		{"0003", 1000, "0004", "1003", true},
		{"0003+", 3, "0004", "0006", true},
		{"1003", 1, "1004", "1004", false},
	} {
		got, err := c.list(p.after, p.limit)
		must(t, err)
		if n := len(got.Entries); string(got.Entries[0].Name) != p.first || string(got.Entries[n-1].Name) != p.last || got.More != p.more {
			t.Errorf("after %q, %d: %q to %q, more: %v", p.after, p.limit, got.Entries[0].Name, got.Entries[n-1].Name, got.More)
		}
	}
	if got, err := c.list("1004", 1000); err != nil || len(got.Entries) != 0 || got.More {
		t.Errorf("after the last: %+v, %v", got, err)
	}
}

func TestRuleS5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(overPlaintext)
		asking := connect(t, h)
		fill(h.Registry, []shoal.Name{"a"}, func(int) shoal.Object { return objectOf(1) })
		must(t, asking.announce(asking.candidates(time.Hour), offerOf(1, 4)))
		sources := func() int {
			found, err := asking.lookup("a", shoal.FileID{})
			must(t, err)
			return len(found.Sources)
		}
		short := connect(t, h)
		must(t, short.announce(short.candidates(time.Minute), offerOf(1, 1)))
		for i := range 30 {
			c := connect(t, h)
			must(t, c.announce(c.candidates(time.Hour), offerOf(1, uint32(1+i%4))))
		}
		if n := sources(); n != 31 {
			t.Errorf("%d sources", n)
		}
		time.Sleep(time.Minute)
		if n := sources(); n != 30 {
			t.Errorf("%d sources after one's candidates have expired", n)
		}
		must(t, short.announce(short.candidates(time.Minute)))
		if n := sources(); n != 31 {
			t.Errorf("%d sources after they were renewed", n)
		}
		must(t, short.announce(nil, offerOf(1, 0)))
		if n := sources(); n != 30 {
			t.Errorf("%d sources after one has ended its offer", n)
		}
		for range 40 {
			c := connect(t, h)
			must(t, c.announce(c.candidates(time.Hour), offerOf(1, 4)))
		}
		if n := sources(); n != wire.MaxSources {
			t.Errorf("%d sources of 70", n)
		}
	})
}

// Candidates must be the session's own device's and hold (rule S6).
func TestRuleS6Candidates(t *testing.T) {
	for name, statement := range map[string]func(c *client) []byte{
		"another device's": func(*client) []byte { return (&client{key: identity.NewKey()}).candidates(time.Hour) },
		"expired":          func(c *client) []byte { return c.candidates(0) },
		"of another kind":  func(c *client) []byte { return identity.CertifyServer(c.key, c.key.Public(), time.Now(), time.Hour) },
		"cut":              func(c *client) []byte { s := c.candidates(time.Hour); return s[:len(s)-4] },
		"changed":          func(c *client) []byte { s := c.candidates(time.Hour); s[len(s)-1]++; return s },
		"from the future": func(c *client) []byte {
			return identity.SignCandidates(c.key, nil, time.Now().Add(2*time.Minute), time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(overPlaintext)
			c := connect(t, h)
			fill(h.Registry, []shoal.Name{"a", "b"}, func(i int) shoal.Object { return objectOf(byte(i + 1)) })
			must(t, c.announce(c.candidates(time.Hour), offerOf(1, 1)))
			c.Send(wire.AppendRequest(nil, wire.KindAnnounce, 9, &wire.Announce{Candidates: statement(c), Offers: []wire.Offer{offerOf(2, 1)}}))
			c.wantBye(shoal.BadRequest, "rule S6")
		})
	}
}

func TestRuleS6Offers(t *testing.T) {
	h := newHost(overPlaintext)
	c, asking := connect(t, h), connect(t, h)
	fill(h.Registry, []shoal.Name{"a", "b"}, func(i int) shoal.Object { return objectOf(byte(i + 1)) })
	want(t, c.announce(nil, offerOf(1, 1)), shoal.BadRequest, "rule S6")
	want(t, c.announce(c.candidates(time.Hour), offerOf(1, 4), offerOf(2, 5)), shoal.BadRequest, "rule S6")
	want(t, c.announce(nil, offerOf(1, 1)), shoal.BadRequest, "rule S6") // the candidates have not been taken either
	must(t, c.announce(c.candidates(time.Hour)))
	must(t, c.announce(nil, offerOf(1, 4)))

	sources := func() int {
		found, err := asking.lookup("a", shoal.FileID{})
		must(t, err)
		return len(found.Sources)
	}
	if n := sources(); n != 1 {
		t.Errorf("%d sources", n)
	}
	// However a connection ends, its offers end.
	for name, end := range map[string]func(c *client){
		"closed": func(c *client) { c.close() },
		"said goodbye": func(c *client) {
			c.Send(wire.AppendEvent(nil, wire.KindBye, &wire.Bye{Code: shoal.Canceled}))
			c.wantEnd()
		},
		"broke a rule":   func(c *client) { c.Send(make([]byte, 12)); c.wantBye(shoal.BadRequest, "rule F2") },
		"within a reply": func(c *client) { c.Send([]byte{0}); c.close() },
	} {
		must(t, c.announce(c.candidates(time.Hour), offerOf(1, 4)))
		if n := sources(); n != 1 {
			t.Errorf("%d sources", n)
		}
		end(c)
		if n := sources(); n != 0 {
			t.Errorf("%d sources after the connection %s", n, name)
		}
		c = connect(t, h, c.key)
	}
}

// 10,000 offers are held, of more a session hears that there is a limit, and goes on (rule S7).
func TestRuleS7(t *testing.T) {
	h := newHost(overPlaintext)
	c := connect(t, h)
	candidates := c.candidates(time.Hour)
	offer := func(i int) (o wire.Offer) {
		o = offerOf(0, 1)
		o.Swarm.Object.ID[2], o.Swarm.Object.ID[3] = byte(i>>8), byte(i)
		return o
	}
	var names []shoal.Name
	for i := range 10_001 {
		names = append(names, shoal.Name(fmt.Sprintf("%05d", i)))
	}
	fill(h.Registry, names, func(i int) shoal.Object { return offer(i).Swarm.Object })
	for i := 0; i < 10_000; i += wire.MaxOffers {
		var offers []wire.Offer
		for j := range wire.MaxOffers {
			offers = append(offers, offer(i+j))
		}
		must(t, c.announce(candidates, offers...))
	}
	want(t, c.announce(nil, offer(10_000)), shoal.Limit, "10000")
	must(t, c.announce(nil, offer(9_999)))
	c.close()
}

// What the longest messages carry arrives.
func TestLongest(t *testing.T) {
	h := newHost(overPlaintext)
	asking := connect(t, h)
	var many []identity.Candidate
	for i := range 16 {
		many = append(many, identity.Candidate{Security: wire.TLS, Addr: mustAddr(fmt.Sprintf("[2001:db8:1111:2222:3333:4444:5555:%d]:%d", 6000+i, 60000+i))})
	}
	var names []shoal.Name
	for i := range wire.MaxList {
		names = append(names, shoal.Name(fmt.Sprintf("%0*d", shoal.MaxName, i)))
	}
	fill(h.Registry, names, func(int) shoal.Object { return objectOf(1) })
	for range wire.MaxSources {
		c := connect(t, h)
		must(t, c.announce(identity.SignCandidates(c.key, many, time.Now(), time.Hour), offerOf(1, 1)))
	}
	listed, err := asking.list("", wire.MaxList)
	must(t, err)
	if n := len(listed.Entries); n != wire.MaxList || listed.Entries[n-1].Partial != wire.MaxSources {
		t.Errorf("%d entries", n)
	}
	found, err := asking.lookup("", objectOf(1).ID)
	must(t, err)
	if len(found.Sources) != wire.MaxSources {
		t.Errorf("%d sources", len(found.Sources))
	}
}
