package swarm

import "time"

// The pauses before a peer that has failed is tried again, doubling from the first to the longest.
const (
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
)

// backoff counts failures in a row, each of which doubles the pause before the next attempt (exponential backoff with
// jitter, so that those who failed together do not come back together: Metcalfe and Boggs, Ethernet, 1976).
type backoff struct{ failures int }

// next is what is due after one more failure, without jitter.
func (b *backoff) next() time.Duration {
	pause := min(retryFirst<<min(b.failures, 16), retryMost)
	b.failures++
	return pause
}

// pause is how long a peer that has failed once more is left alone: half to one and a half times what is due.
func (e *Engine) pause(p *peer) time.Duration {
	pause := p.backoff.next()
	switch {
	case e.without(Backoff):
		return 0
	case e.without(Jitter):
		return pause
	}
	return pause/2 + time.Duration(e.rand.Int64N(int64(pause)))
}

func (b *backoff) reset() { b.failures = 0 }
