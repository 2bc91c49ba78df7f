package swarm

import "time"

const (
	// wasteLimit is the part of the object that may be asked for a second time, at most; and one block always may.
	wasteLimit = 0.005
	// worthWhile is how much sooner a block must be expected from a second peer.
	worthWhile = 20 * time.Millisecond
)

// ending reports whether everything is there or asked for.
func (e *Engine) ending() bool {
	if len(e.rarity.order) > 0 || e.without(Endgame) {
		return false
	}
	for _, a := range e.partials {
		if a.unasked > 0 {
			return false
		}
	}
	return true
}

// again is the end game (Cohen 2003): when all is asked for, a peer that has nothing to do is asked for the block that
// another will be the last to send, if it will be sooner. The first to come cancels the other. Unlike Cohen's, not every
// block is asked of everybody: rates are known here, and so is who will be late. And only what is on its way is asked of
// two; what waits behind that is taken from the one and given to the other.
func (e *Engine) again(p *peer) (a *partial, begin, length int, why appetite) {
	if !e.ending() {
		return nil, 0, 0, idle
	}
	latest, of, owner, place := 0.0, request{}, p, 0
	for _, other := range e.present {
		if other == p {
			continue
		}
		ahead := 0
		for k, r := range other.requests {
			ahead += r.length
			if r.void || !p.hasPiece(r.piece) {
				continue
			}
			if at := e.expected(other, ahead); at > latest && e.single(r) {
				latest, of, owner, place = at, r, other, k
			}
		}
	}
	if latest == 0 || place == 0 && e.doubled+int64(of.length) > max(int64(of.length), int64(wasteLimit*float64(e.size))) {
		return nil, 0, 0, idle
	}
	if here := e.expected(p, p.asked+of.length); 1.25*here+worthWhile.Seconds() > latest {
		return nil, 0, 0, idle
	}
	if place > 0 { // not on its way yet
		e.release(owner, place)
		e.withdrawn = e.takeBack(owner, of, e.withdrawn)
	} else {
		e.doubled += int64(of.length)
	}
	return e.partial(of.piece), of.begin, of.length, full
}

// expected is in how many seconds a peer will have sent so many bytes.
func (e *Engine) expected(p *peer, bytes int) float64 {
	if p.rate == 0 {
		return max(1, 2*(e.now-p.arrived).Seconds())
	}
	silent := 0.0
	if len(p.requests) > 0 {
		silent = (e.now - p.arrived).Seconds()
	}
	left := float64(bytes)/p.rate + p.delay - silent
	return max(left, silent, 0) // what is overdue may be as long in coming again
}

// single reports whether one peer alone is asked for a block.
func (e *Engine) single(r request) bool {
	a := e.partial(r.piece)
	if a == nil || a.alone {
		return false
	}
	for u, end := span(r.begin, r.length); u < end; u++ {
		if a.units[u].state != 1 {
			return false
		}
	}
	return true
}
