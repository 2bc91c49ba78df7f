package swarms

import (
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

// Offers are ended one by one, by group and by swarm, and nothing is left of them.
func TestWithdraw(t *testing.T) {
	s := New()
	swarm := func(g shoal.Group, i byte) shoal.Swarm {
		return shoal.Swarm{Group: g, Object: shoal.Object{ID: shoal.FileID{i}, Size: 1}}
	}
	a, b := s.Begin(1, shoal.DeviceID{1}), s.Begin(2, shoal.DeviceID{2})
	for _, session := range []*Session{a, b} {
		var offers []wire.Offer
		for _, g := range []shoal.Group{"lab", "bal"} {
			for i := range byte(3) {
				offers = append(offers, wire.Offer{Swarm: swarm(g, i), Pieces: 1})
			}
		}
		if err := session.Announce([]byte("here"), time.Now().Add(time.Hour), offers); err != nil {
			t.Fatal(err)
		}
	}
	sources := func(of shoal.Swarm) int {
		_, is, _ := s.Begin(3, shoal.DeviceID{3}).Sources(nil, of, time.Now())
		return int(is.Whole + is.Partial)
	}
	check := func(of shoal.Swarm, n int) {
		t.Helper()
		if got := sources(of); got != n {
			t.Errorf("%v has %d sources, want %d", of, got, n)
		}
	}
	a.Withdraw(swarm("lab", 0))
	a.Withdraw(swarm("lab", 0))
	a.Withdraw(swarm("lab", 9))
	check(swarm("lab", 0), 1)
	check(swarm("bal", 0), 2)
	b.WithdrawGroup("lab")
	b.WithdrawGroup("none")
	check(swarm("lab", 0), 0)
	check(swarm("lab", 1), 1)
	check(swarm("bal", 1), 2)
	s.Remove(swarm("bal", 1))
	s.Remove(swarm("bal", 1))
	check(swarm("bal", 1), 0)
	check(swarm("bal", 2), 2)
	for g := range map[shoal.Group]bool{"lab": true, "bal": true} {
		for i := range byte(3) {
			s.Remove(swarm(g, i))
		}
	}
	if len(s.groups) != 0 || s.offers != 0 || len(a.offers) != 0 || len(b.offers) != 0 {
		t.Errorf("left: %d groups, %d offers, %d and %d of the sessions", len(s.groups), s.offers, len(a.offers), len(b.offers))
	}
}
