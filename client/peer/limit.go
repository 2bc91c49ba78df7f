package peer

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how many bytes of pieces a second may pass, for all together who share it. The zero Limit lets everything pass.
// It can be changed at any time, and that counts at once for those who wait already. For concurrent use.
type Limit struct{ bucket atomic.Pointer[bucket] }

// Limits are those of a process, or of one swarm in it.
type Limits struct{ Up, Down Limit }

// bucket is a Limit of one rate: a token bucket (Turner, New Directions in Communications, 1986) of x/time/rate.
type bucket struct {
	tokens  *rate.Limiter
	rate    int64         // bytes a second
	unit    int           // bytes that pass at a time, at most
	changed chan struct{} // closed when there is another rate
}

const (
	// unitTime is how long what passes at a time takes at the rate: short, so that all get their turn, and the other side
	// sees that it goes on; but long enough for a timer that is late.
	unitTime  = 100 * time.Millisecond
	unitLeast = 1 << 10
	unitMost  = 1 << 20
)

// Set makes the limit so many bytes a second; 0 or less lets everything pass.
func (l *Limit) Set(bytesPerSecond int64) {
	var next *bucket
	if bytesPerSecond > 0 {
		unit := min(max(int64(float64(bytesPerSecond)*unitTime.Seconds()), unitLeast), unitMost)
		next = &bucket{
			tokens: rate.NewLimiter(rate.Limit(bytesPerSecond), int(unit)), rate: bytesPerSecond, unit: int(unit), changed: make(chan struct{}),
		}
	}
	if before := l.bucket.Swap(next); before != nil {
		close(before.changed)
	}
}

// Rate is the limit in bytes a second; 0 for none.
func (l *Limit) Rate() int64 {
	if b := l.bucket.Load(); b != nil {
		return b.rate
	}
	return 0
}

// gate lets the bytes of one connection through, in the order in which they come, as two limits allow: those of the swarm
// and of the process. Its owner serializes all calls.
type gate struct {
	limits [2]*Limit         // either may be nil
	passed int               // how many of them have let through what waits
	bucket *bucket           // of the next one, where it has a place in the queue
	place  *rate.Reservation // that place
}

// unit is how many of n bytes may pass at a time.
func (g *gate) unit(n int64) int64 {
	for _, l := range g.limits {
		if l == nil {
			continue
		}
		if b := l.bucket.Load(); b != nil {
			n = min(n, int64(b.unit))
		}
	}
	return n
}

// open reports whether there are no limits at the moment.
func (g *gate) open() bool {
	for _, l := range g.limits {
		if l != nil && l.bucket.Load() != nil {
			return false
		}
	}
	return true
}

// wait waits until n bytes may pass, no more than unit said. It returns false if it was interrupted; then it keeps its
// place in the queue for the next call, which must be for the same bytes.
func (g *gate) wait(n int64, interrupt <-chan struct{}) bool {
	for g.passed < len(g.limits) {
		if g.bucket == nil && !g.queue(n) {
			g.passed++
			continue
		}
		if wait := g.place.Delay(); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-g.bucket.changed:
				timer.Stop()
				g.bucket = nil
				continue
			case <-interrupt:
				timer.Stop()
				return false
			}
		}
		g.bucket = nil
		g.passed++
	}
	g.passed = 0
	return true
}

// queue takes a place in the queue of the next limit. It reports whether there is one.
func (g *gate) queue(n int64) bool {
	l := g.limits[g.passed]
	if l == nil {
		return false
	}
	if g.bucket = l.bucket.Load(); g.bucket == nil {
		return false
	}
	g.place = g.bucket.tokens.ReserveN(time.Now(), min(int(n), g.bucket.unit)) // the rate may be another than that of unit
	return true
}

// forget makes the gate ready for other bytes.
func (g *gate) forget() {
	if g.bucket != nil {
		g.place.Cancel()
	}
	g.passed, g.bucket = 0, nil
}
