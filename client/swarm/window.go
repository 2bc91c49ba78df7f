package swarm

import (
	"math/bits"
	"time"

	"shoal"
)

const (
	// The blocks asked of a peer take about as long as this to arrive, so that fast peers are asked in few words, and a
	// slow one holds nothing up.
	blockTime = 30 * time.Millisecond
	// slack is how long a peer can go on sending while this side has no time for it.
	slack = 30 * time.Millisecond
	// firstWindow is asked of a peer of which nothing is known yet, in bytes, and firstBlock at a time.
	firstWindow = 256 << 10
	firstBlock  = 16 << 10
	// eagerWindow is asked of a peer at a time before it is known what the pieces should be, in bytes, and eagerMost in all.
	eagerWindow = 64 << 10
	eagerMost   = 256 << 10
	// maxRequests is what may be open at a peer (PROTOCOL.md, rule P8).
	maxRequests = 256
)

// blockSize is how many bytes to ask of a peer at a time: a power of two from 16 KiB to 1 MiB, by its rate.
func (e *Engine) blockSize(p *peer) int {
	size := firstBlock
	switch {
	case e.without(FittedBlocks) || e.without(FittedWindow):
		size = shoal.BlockUnit
	case p.rate > 0:
		size = 1 << bits.Len(uint(p.rate*blockTime.Seconds()))
	}
	return min(max(size, shoal.BlockUnit), shoal.MaxBlock)
}

// window is how many bytes may be asked of a peer at a time: twice what is on its way at its rate and delay, so that the
// rate can grow, and what keeps it busy for a moment (the bandwidth-delay product and its gain: Cardwell et al., BBR,
// ACM Queue 2016).
func (e *Engine) window(p *peer) int {
	w := min(firstWindow, max(e.budget/(2*(len(e.present)+1)), 4*firstBlock)) // all may turn out to be slow
	switch {
	case e.without(FittedWindow):
		w = 5 * shoal.BlockUnit
	case p.rate > 0:
		w = int(p.rate*(2*p.delay+slack.Seconds())) + 2*e.blockSize(p)
	}
	if !e.opened {
		w = min(w, eagerWindow)
	}
	if p.ceiling > 0 {
		w = min(w, p.ceiling)
	}
	return min(max(w, shoal.BlockUnit), e.budget)
}

// measure learns from a block that has come: the rate is what the peer has delivered since the request was made, over
// the time that took (Cheng et al., Delivery Rate Estimation, draft-cheng-iccrg-delivery-rate-estimation); the delay is
// what is left of the time when all that was asked before has been allowed for.
func (p *peer) measure(r request, now, delay time.Duration) {
	p.delivered += int64(r.length)
	took := (now - r.at).Seconds()
	if d := delay.Seconds(); delay > 0 && d < took {
		took = d
	}
	if elapsed := (now - r.deliveredAt).Seconds(); elapsed > 0 {
		sample := float64(p.delivered-r.delivered) / elapsed
		switch {
		case p.rate == 0:
			p.rate = sample
		case sample > p.rate:
			p.rate += (sample - p.rate) / 4
		default:
			p.rate += (sample - p.rate) / 16
		}
	}
	p.estimate(max(took, 1e-4), now)
	if p.wait == 0 {
		p.wait = took
	}
	p.wait += (took - p.wait) / 8
	p.arrived = now
	if p.ceiling > 0 {
		p.ceiling += max(r.length/8, 1)
	}
}

// delayEvery is how often the delay may grow.
const delayEvery = 10 * time.Second

// estimate learns the delay: the least time that any block took. Once a window is open blocks also wait for each other, so
// that times grow with it; the delay follows them only where they are longer than the window explains, because the path
// has become longer.
func (p *peer) estimate(took float64, now time.Duration) {
	if p.delay == 0 || took < p.delay {
		p.delay = took
	}
	if p.least == 0 || took < p.least {
		p.least = took
	}
	if now-p.leastSince >= delayEvery {
		p.delay = max(p.delay, (p.least-slack.Seconds()-4*blockTime.Seconds())/2)
		p.least, p.leastSince = 0, now
	}
}

// curb makes the engine ask a peer for less, which has said that this was too much, and for nothing for a moment.
func (e *Engine) curb(p *peer) {
	p.ceiling = max(min(p.asked, e.window(p))/2, shoal.BlockUnit)
	p.retryAt = e.now + e.pause(p)/8
}
