package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"shoal/identity"
	"shoal/server/meta"
	"shoal/wire"
)

// Who connects is told first which keys do not count any more, and who is there at once (rule E4).
func TestRevoked(t *testing.T) {
	r := newRealm(t)
	holder := meta.ID{Holder: true}
	revoke := func(key byte, chain string, lasts time.Duration) {
		t.Helper()
		holder.Sequence++
		_, err := r.apply(t.Context(), holder, &meta.Revoke{Revocation: meta.Revocation{
			Key: [32]byte{key}, Chain: []byte(chain), Expires: time.Now().Add(lasts),
		}})
		must(t, err)
	}
	told := func(c *client) string {
		var m wire.Revocation
		c.event(wire.KindRevoked, &m)
		return string(m.Chain)
	}
	early := connect(t, r.host, identity.NewKey())
	must(t, early.Call(wire.KindPing, &wire.Empty{}, &wire.Empty{}))
	revoke(2, "second", time.Hour)
	revoke(1, "first", time.Hour)
	revoke(3, "expired", -time.Minute)
	revoke(2, "second again", time.Hour)
	if got := []string{told(early), told(early), told(early), told(early)}; !slices.Equal(got, []string{"second", "first", "expired", "second again"}) {
		t.Errorf("who was there was told %q", got)
	}
	late := connect(t, r.host, identity.NewKey())
	events, err := late.askPast(wire.KindPing, &wire.Empty{}, &wire.Empty{})
	if kinds := fmt.Sprint(len(events)); err != nil || kinds != "2" || events[0].Kind != wire.KindRevoked || events[1].Kind != wire.KindRevoked {
		t.Errorf("who came later was told %v, %v", events, err)
	}
}
