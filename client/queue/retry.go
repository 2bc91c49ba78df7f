package queue

import (
	"math/rand/v2"
	"time"

	"shoal"
)

// Between two attempts at a download that fails lies twice as long as before the last one, from the first to the most, and
// up to a quarter more or less, so that downloads that failed together do not come back together.
const (
	retryFirst = 2 * time.Second
	retryMost  = 5 * time.Minute
)

// backoff is how long to wait after so many attempts that failed, 1 or more. random is in [0, 1).
func backoff(attempts int, random float64) time.Duration {
	pause := retryMost
	if shift := attempts - 1; shift < 16 {
		pause = min(retryFirst<<shift, retryMost)
	}
	return time.Duration(float64(pause) * (0.75 + random/2))
}

func jitter() float64 { return rand.Float64() }

// passes reports whether what failed with this code may succeed later without anybody's doing: when a server or source is
// back, when other sources come, when others have made room. What else fails is for whoever queued it.
func passes(code shoal.Code) bool {
	switch code {
	case shoal.Unreachable, shoal.Busy, shoal.Limit, shoal.NoSources, shoal.Corrupt, shoal.Changed, shoal.NoSpace, shoal.Canceled:
		return true
	}
	return false
}
