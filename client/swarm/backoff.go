package swarm

import (
	"math/rand/v2"
	"time"
)

// The pauses before a peer that has failed is tried again, doubling from the first to the longest.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
)

// backoff counts failures in a row, each of which doubles the pause before the next attempt (exponential backoff with
// jitter, so that those who failed together do not come back together: Metcalfe and Boggs, Ethernet, 1976).
type backoff struct{ failures int }

// next is the pause after one more failure: half to one and a half times what is due.
func (b *backoff) next(r *rand.Rand) time.Duration {
	pause := min(retryFirst<<min(b.failures, 16), retryMost)
	b.failures++
	return pause/2 + time.Duration(r.Int64N(int64(pause)))
}

func (b *backoff) reset() { b.failures = 0 }
