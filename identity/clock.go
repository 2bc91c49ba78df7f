package identity

import (
	"sync"
	"time"
)

// Clock is the server's time as it was learned in HELLO (Established.Ahead). Setting this machine's clock back does not
// set it back, because tickets must not come alive again. Safe for concurrent use. The zero Clock, which has learned
// nothing, is this machine's own.
type Clock struct {
	mu      sync.Mutex // guards what is below
	learned time.Time  // by this machine's clock, with its monotonic reading
	ahead   time.Duration
}

// Learn takes note of how far the server's clock is ahead of this machine's.
func (c *Clock) Learn(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.learned, c.ahead = time.Now(), ahead
}

// Now is the server's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.learned.IsZero() {
		return now.Round(0)
	}
	passed := elapsed(now.Sub(c.learned), now.Round(0).Sub(c.learned.Round(0)))
	return c.learned.Round(0).Add(c.ahead + passed)
}

// elapsed goes by whichever clock says that more time has passed: the monotonic one cannot be set, but stands still while
// a machine is suspended.
func elapsed(monotonic, wall time.Duration) time.Duration { return max(monotonic, wall, 0) }
