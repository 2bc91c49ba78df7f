package identity

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		if got := c.Now(); !got.Equal(time.Now()) {
			t.Errorf("before it learned anything it says %v", got)
		}
		for _, ahead := range []time.Duration{-time.Hour, time.Minute} {
			c.Learn(ahead)
			time.Sleep(20 * time.Minute)
			if got := c.Now(); !got.Equal(time.Now().Add(ahead)) {
				t.Errorf("%v ahead: %v after %v", ahead, got, time.Now())
			}
		}
	})
}

// A clock that is set, or a machine that sleeps, never makes the server's time go slower.
func TestElapsed(t *testing.T) {
	for _, c := range []struct{ monotonic, wall, want time.Duration }{
		{5, 5, 5},
		{5, -3600, 5}, // set back
		{5, 3600, 3600},
		{-1, -1, 0},
	} {
		if got := elapsed(c.monotonic, c.wall); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
