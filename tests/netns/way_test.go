package netns

import (
	"fmt"
	"testing"
	"time"
)

// A way delays what goes over it, and carries no more than its rate.
func TestWayHasItsDelayAndRate(t *testing.T) {
	if !Isolate(t) {
		return
	}
	const (
		rate      = 40 * Megabit
		roundTrip = 60 * time.Millisecond
		size      = 2 << 20
	)
	w, err := NewWay(t.Context(), rate, roundTrip)
	must(t, err)
	t.Cleanup(func() { must(t, w.Close()) })
	send(t, w.Far, size)
	out, err := role(t, w.Near, receives, w.Far.Addr).Output()
	must(t, err)
	var connected, took time.Duration
	if _, err := fmt.Sscanf(string(out), toldTimes, &connected, &took); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	if connected < roundTrip || connected > 3*roundTrip {
		t.Errorf("connecting took %v over a round trip of %v", connected, roundTrip)
	}
	if least := time.Duration(size / (float64(rate) / 8) * float64(time.Second)); took < least || took > 3*least {
		t.Errorf("%d bytes took %v, want %v and a slow start", size, took, least)
	}
}
