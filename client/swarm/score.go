package swarm

import (
	"math"
	"time"
)

// The weights of a score where Config does not say otherwise.
const (
	DefaultAlpha = 1
	DefaultBeta  = 1
	DefaultK     = 2
)

// lapseHalf is how long it takes until a failure counts half.
const lapseHalf = 10 * time.Second

// score says who is asked when there is less to ask for than peers have room for:
//
//	score = α·quality − β·load/threshold
//
// quality is 0 to 1, load how many pieces' bytes were asked of the peer in this transfer, and threshold the share of
// each when all are alike, times K: threshold = ceil(pieces / peers × K). Load beyond it counts no more: peers that cannot
// keep up are not to be asked in place of others only because those have done their share.
func (e *Engine) score(p *peer) float64 {
	if e.without(Shared) {
		return e.config.Alpha * e.quality(p)
	}
	return e.config.Alpha*e.quality(p) - e.config.Beta*min(1, e.load(p)/e.threshold())
}

func (e *Engine) load(p *peer) float64 { return float64(p.served) / float64(e.pieceLength) }

func (e *Engine) threshold() float64 {
	return math.Ceil(float64(e.pieces) / float64(max(1, len(e.present))) * e.config.K)
}

// quality is high for a peer that is fast, near, and has not failed lately; one of which nothing is known yet counts as
// the best, so that it is tried.
func (e *Engine) quality(p *peer) float64 {
	fast, near := 1.0, 1.0
	if p.rate > 0 && e.topRate > 0 {
		fast = min(1, p.rate/e.topRate)
	}
	if p.wait > 0 && e.leastWait > 0 {
		near = min(1, e.leastWait/p.wait)
	}
	return (0.75*fast + 0.25*near) / (1 + p.lapsed(e.now))
}

// lapsed is how many failures the peer has had, old ones counting less.
func (p *peer) lapsed(now time.Duration) float64 {
	if p.lapses == 0 {
		return 0
	}
	return p.lapses * math.Exp2(-float64(now-p.lapsedAt)/float64(lapseHalf))
}

func (p *peer) lapse(now time.Duration) {
	p.lapses = p.lapsed(now) + 1
	p.lapsedAt = now
}

// rank learns what the best of the peers are like.
func (e *Engine) rank() {
	e.topRate, e.leastWait = 0, 0
	for _, p := range e.present {
		e.topRate = max(e.topRate, p.rate)
		if p.wait > 0 && (e.leastWait == 0 || p.wait < e.leastWait) {
			e.leastWait = p.wait
		}
	}
}

// best is the place among the hungry of the one with the highest score.
func (e *Engine) best() int {
	if len(e.hungry) == 1 {
		return 0
	}
	if e.without(Scored) {
		return e.rand.IntN(len(e.hungry))
	}
	best, most := 0, math.Inf(-1)
	for k, p := range e.hungry {
		if s := e.score(p); s > most {
			best, most = k, s
		}
	}
	return best
}
