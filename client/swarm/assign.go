package swarm

// assignAll gives work to every peer that has room for it.
func (e *Engine) assignAll(actions []Action) []Action {
	for _, p := range e.order {
		actions = e.assign(p, actions)
	}
	return actions
}

// assign gives p the manifest to fetch if that is still needed, and otherwise pieces up to its window.
func (e *Engine) assign(p *peer, actions []Action) []Action {
	if p.phase != present || e.banned[p.id.Device] {
		return actions
	}
	if !e.proven {
		return e.askManifest(p, actions)
	}
	if !e.opened {
		return actions
	}
	for len(p.inFlight) < e.window {
		i := e.nextPiece(p)
		if i < 0 {
			break
		}
		actions = e.request(p, i, actions)
	}
	return actions
}

// askManifest asks one peer at a time; one that stalls is dropped, and then the next is asked.
func (e *Engine) askManifest(p *peer, actions []Action) []Action {
	for _, other := range e.order {
		if other.manifest {
			return actions
		}
	}
	p.manifest, p.heard = true, e.now
	return append(actions, Action{Kind: FetchManifest, Peer: p.id})
}

func (e *Engine) request(p *peer, i int, actions []Action) []Action {
	if !p.owes() {
		p.heard = e.now // its silence until now is no stall
	}
	p.inFlight = append(p.inFlight, i)
	e.asked[i]++
	e.askedAt[i] = e.now
	_, length := e.config.Object.PieceRange(i)
	return append(actions, Action{Kind: Request, Peer: p.id, Piece: i, Length: int(length)})
}

// nextPiece is the first piece from the cursor on, around the end, that p has and nobody is asked for; or -1. The cursor
// moves past what needs no look any more, so that a download from whole peers costs one pass over the pieces.
func (e *Engine) nextPiece(p *peer) int {
	start, first := e.cursor, true
	for k := range e.pieces {
		i := (start + k) % e.pieces
		if e.have.get(i) || e.asked[i] > 0 {
			continue
		}
		if first {
			e.cursor, first = i, false
		}
		if p.hasPiece(i) {
			return i
		}
	}
	return -1
}

// askAgain is the end game: a peer with nothing to do is asked for the pieces that another has owed the longest, so that
// a slow peer holds up nobody. Each piece is asked of two peers at most.
func (e *Engine) askAgain(actions []Action) []Action {
	if !e.opened {
		return actions
	}
	for _, p := range e.order {
		if p.phase != present || len(p.inFlight) > 0 {
			continue
		}
		if i := e.oldest(p); i >= 0 {
			actions = e.request(p, i, actions)
		}
	}
	return actions
}

// oldest is the piece that p has and one other peer has owed the longest, for askAgainAfter at least; or -1.
func (e *Engine) oldest(p *peer) int {
	best := -1
	for _, other := range e.order {
		for _, i := range other.inFlight {
			if e.asked[i] == 1 && p.hasPiece(i) && e.now-e.askedAt[i] >= askAgainAfter &&
				(best < 0 || e.askedAt[i] < e.askedAt[best]) {
				best = i
			}
		}
	}
	return best
}
