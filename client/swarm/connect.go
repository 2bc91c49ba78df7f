package swarm

import (
	"time"

	"shoal"
)

const (
	// maxConnected is how many peers are connected at a time: all that a LOOKUP gives.
	maxConnected = 50
	// maxKnown is how many are known at all; others are ignored.
	maxKnown = 1 << 12
)

// found takes a source that is said to be there.
func (e *Engine) found(id PeerID) {
	if e.index.Find(&id) != nil || e.banned[id.Device] || len(e.known) >= maxKnown {
		return
	}
	p := &peer{id: id, number: uint16(len(e.known)), current: -1}
	e.known = append(e.known, p)
	e.index.Put(id, p)
	e.foundAt = e.now
}

// connect tries the peers that are not connected and whose pause is over.
func (e *Engine) connect(actions []Action) []Action {
	for k := 0; k < len(e.known) && e.connected < e.limit; k++ {
		p := e.known[k]
		if p.phase == away && !p.banned && e.now >= p.retryAt {
			p.phase, p.heard, p.arrived = connecting, e.now, e.now
			e.connected++
			actions = append(actions, Action{Kind: Connect, Peer: p.id, Handle: Handle{p}})
		}
	}
	return actions
}

func (e *Engine) isConnected(p *peer, ev *Event) {
	if p.phase != connecting {
		return
	}
	p.phase, p.whole, p.choked, p.mute, p.since, p.heard, p.arrived = present, ev.Whole, ev.Choked, ev.Mute, e.now, e.now, e.now
	e.present = append(e.present, p)
	if p.whole {
		e.wholes++
	} else {
		if p.has == nil {
			p.has = newBitfield(e.pieces)
		}
		clear(p.has)
		copy(p.has, ev.Bitfield)
		for i := e.pieces; i < 8*len(p.has); i++ {
			p.has.clear(i)
		}
		for i := range e.pieces {
			if p.has.get(i) {
				e.rarity.more(i)
			}
		}
	}
	e.want(p)
}

// has takes a piece that a peer has now.
func (e *Engine) has(p *peer, i int) {
	if p.phase != present || i < 0 || i >= e.pieces || p.hasPiece(i) {
		return
	}
	p.has.set(i)
	e.rarity.more(i)
	if p.appetite == idle && (e.rarity.isWanted(i) || e.isOpen(i)) {
		e.want(p)
	}
}

// isOpen reports whether piece i is in assembly and not all of it is asked for.
func (e *Engine) isOpen(i int) bool {
	a := e.partial(i)
	return a != nil && a.unasked > 0
}

// drop ends a connection from this side.
func (e *Engine) drop(p *peer, why shoal.Code, actions []Action) []Action {
	if p.phase != away {
		actions = append(actions, Action{Kind: Drop, Peer: p.id, Code: why})
	}
	e.lose(p)
	return actions
}

// lose takes back what p owed, so that others get it at once, and puts off the next attempt.
func (e *Engine) lose(p *peer) {
	if p.phase == away {
		return
	}
	e.void(p)
	e.leave(p)
	if p.phase == present {
		for k, other := range e.present {
			if other == p {
				e.present = append(e.present[:k], e.present[k+1:]...)
				break
			}
		}
		e.forget(p)
	}
	e.setLate(p, false)
	p.phase, p.manifest, p.hashes, p.choked, p.ceiling = away, false, false, false, 0
	e.connected--
	p.retryAt = e.now + e.pause(p)
}

// leave lets others have the pieces that p was to send alone.
func (e *Engine) leave(p *peer) {
	for _, a := range e.partials {
		if a.owner == p {
			a.owner, e.released = nil, true
		}
	}
}

// void takes back all that p was asked for.
func (e *Engine) void(p *peer) {
	e.sate(p)
	for len(p.requests) > 0 {
		e.release(p, len(p.requests)-1)
	}
}

// forget takes what p has out of the rarity of pieces.
func (e *Engine) forget(p *peer) {
	if p.whole {
		e.wholes--
		p.whole = false
		return
	}
	for i := range e.pieces {
		if p.has.get(i) {
			e.rarity.less(i)
		}
	}
	clear(p.has)
}

// askManifest asks one peer for what proves the object, and another when that one takes its time.
func (e *Engine) askManifest(actions []Action) []Action {
	if e.proven {
		return actions
	}
	var next *peer
	patience := askNext + time.Duration(e.pieces)*askNextPiece
	for _, p := range e.present {
		switch {
		case p.manifest && e.now-p.arrived < patience:
			return actions
		case !p.manifest && !p.mute && next == nil:
			next = p
		}
	}
	if next == nil {
		return actions
	}
	next.manifest, next.heard, next.arrived = true, e.now, e.now
	return append(actions, Action{Kind: FetchManifest, Peer: next.id})
}

const (
	// replaceEvery is how often the worst peer makes room for one that was not tried yet, when no more may be connected.
	replaceEvery = 30 * time.Second
	// probation is how long a peer is connected before it can be the worst.
	probation = 20 * time.Second
)
