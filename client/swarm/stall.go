package swarm

import (
	"time"

	"shoal"
)

const (
	// dropAfter is the silence after which a peer that owes something is dropped.
	dropAfter = 5 * time.Second
	// lateLeast is the silence, at least, after which others are asked for what a peer owes; a peer that takes its time
	// for each block has four of these times.
	lateLeast = 700 * time.Millisecond
	// trickle is how long a peer may send bytes without a block's end, however slow it is, before others are asked.
	trickle = 2 * time.Second
	// trickleMost is how long it may then go on like that and be kept, when there are others.
	trickleMost = 15 * time.Second
	// askNext is how long a peer may take for the manifest before another is asked too, and askNextPiece for each of the
	// pieces besides: it has 32 bytes of each.
	askNext      = 300 * time.Millisecond
	askNextPiece = 32 * time.Microsecond
)

// watch looks for peers that owe something and do not send.
func (e *Engine) watch(actions []Action) []Action {
	for k := 0; k < len(e.known); k++ {
		p := e.known[k]
		if p.late && len(p.requests) == 0 { // all was taken back: nothing can come that shows it is alive, but an answer
			e.setLate(p, false)
			p.retryAt = e.now + e.pause(p)
		}
		if p.phase == away || !p.owes() {
			continue
		}
		silent := e.now - p.heard
		without := e.now - p.arrived // a block
		switch {
		case silent >= dropAfter,
			len(p.requests) > 0 && without >= trickleMost && e.connected > 1 && !e.without(Stalls):
			p.lapse(e.now)
			actions = e.drop(p, shoal.Unreachable, actions)
		case p.phase == present && !p.late && len(p.requests) > 0 && !e.without(Stalls) && (silent >= e.patience(p) || without >= max(trickle, 2*e.patience(p))):
			e.distrust(p)
		}
	}
	return actions
}

// patience is the silence that is usual for a peer, and some more.
func (e *Engine) patience(p *peer) time.Duration {
	if p.wait == 0 {
		return min(max(lateLeast, time.Duration(6*e.leastWait*float64(time.Second))), 2*time.Second)
	}
	return min(max(lateLeast, time.Duration(4*p.wait*float64(time.Second))), dropAfter)
}

func (e *Engine) setLate(p *peer, late bool) {
	if p.late {
		e.lates--
	}
	if late {
		e.lates++
	}
	p.late = late
}

// distrust lets others be asked for what a peer owes. When it comes all the same it is welcome.
func (e *Engine) distrust(p *peer) {
	e.setLate(p, true)
	p.lapse(e.now)
	e.sate(p)
	for k := range p.requests {
		e.disown(p.requests[k])
		p.requests[k].void = true
	}
}

// revive asks a peer that has been silent for what nobody else was asked for meanwhile, and forgets the rest.
func (e *Engine) revive(p *peer) {
	if !p.late {
		return
	}
	e.setLate(p, false)
	for k := 0; k < len(p.requests); {
		r := &p.requests[k]
		a := e.partial(r.piece)
		if a == nil || !a.untouched(r.begin, r.length) {
			p.served -= int64(r.length)
			e.given = append(e.given, p.take(k))
			continue
		}
		a.ask(r.begin, r.length)
		r.void = false
		k++
	}
}

// untouched reports whether a block is neither there nor asked for.
func (a *partial) untouched(begin, length int) bool {
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u].state != 0 {
			return false
		}
	}
	return true
}
