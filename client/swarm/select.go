package swarm

import "shoal"

// firstPieces is how many pieces are taken at random, so that there is soon something to give to others: the rarest is
// slow to come, because few have it (Cohen 2003, "random first piece").
const firstPieces = 4

// want puts a peer that has room among those to be asked.
func (e *Engine) want(p *peer) {
	if p.appetite == hungry || !e.mayAsk(p) || !e.hasRoom(p) {
		return
	}
	e.setAppetite(p, hungry)
	e.hungry = append(e.hungry, p)
}

func (e *Engine) setAppetite(p *peer, a appetite) {
	if p.appetite == starved {
		e.starving--
	}
	if a == starved {
		e.starving++
	}
	p.appetite = a
}

func (e *Engine) mayAsk(p *peer) bool {
	return p.phase == present && !p.choked && !p.late && e.now >= p.retryAt && (e.opened || e.config.Eager && p.served < eagerMost)
}

func (e *Engine) hasRoom(p *peer) bool {
	return p.asked < e.window(p) && len(p.requests) < maxRequests
}

// wake looks again at the peers that nothing could be asked of.
func (e *Engine) wake(of appetite) {
	for _, p := range e.present {
		if p.appetite == of || of == idle && p.appetite != full {
			e.want(p)
		}
	}
}

// feed gives blocks to those who have room, one by one, to the best of them first.
func (e *Engine) feed(actions []Action) []Action {
	for len(e.hungry) > 0 {
		k := e.best()
		p := e.hungry[k]
		a, begin, length, why := e.work(p)
		if why == full {
			actions = e.request(p, a, begin, length, actions)
			if e.mayAsk(p) && e.hasRoom(p) {
				continue
			}
		}
		e.hungry[k] = e.hungry[len(e.hungry)-1]
		e.hungry = e.hungry[:len(e.hungry)-1]
		e.setAppetite(p, why)
	}
	return actions
}

// sate takes a peer out of the hungry.
func (e *Engine) sate(p *peer) {
	for k, other := range e.hungry {
		if other == p {
			e.hungry = append(e.hungry[:k], e.hungry[k+1:]...)
			break
		}
	}
	e.setAppetite(p, full)
}

// work finds a block to ask p for: of a piece in assembly first, so that pieces get finished; then of a new one; then,
// when all is asked for, one that another owes. Where there is none, why says what to wait for.
func (e *Engine) work(p *peer) (a *partial, begin, length int, why appetite) {
	if e.lags(p) {
		return nil, 0, 0, lagging
	}
	want := e.blockSize(p)
	if !e.without(PartialsFirst) || len(e.partials) >= e.slots {
		a = e.unfinished(p)
	}
	// What others have begun is left to them while p has something rarer.
	joins := a != nil && a.piece != p.current && len(e.partials) < e.slots && !e.config.InOrder
	if (a == nil || joins) && len(e.rarity.order) > 0 {
		if i := e.choose(p); i >= 0 && (a == nil || e.rarity.count(i) < e.rarity.count(a.piece)) {
			if len(e.partials) >= e.slots && !e.makeRoom() {
				return nil, 0, 0, starved
			}
			a = e.begin(i)
		}
	}
	if a == nil {
		if a = e.unfinished(p); a == nil {
			return e.again(p)
		}
	}
	if a.alone && a.owner == nil {
		a.owner = p
	}
	begin, length = a.block(want)
	return a, begin, length, full
}

// lagFactor is how many times faster another must be for a peer to lag.
const lagFactor = 8

// lags reports whether a peer is so slow that it is not to hold one of the last places in assembly, where fast ones would
// wait for the rest of its piece.
func (e *Engine) lags(p *peer) bool {
	return p.rate > 0 && e.topRate > lagFactor*p.rate && (e.starving > 0 || len(e.partials) >= e.slots-1) && !e.without(Scored)
}

// unfinished is a piece in assembly of which p has something that nobody is asked for: the one that p works on already,
// or else the oldest; in order, the first.
func (e *Engine) unfinished(p *peer) (found *partial) {
	if p.current >= 0 && !e.config.InOrder {
		if a := e.partial(p.current); a != nil && a.isFor(p) {
			return a
		}
	}
	for _, a := range e.partials {
		if !a.isFor(p) {
			continue
		}
		if !e.config.InOrder {
			return a
		}
		if found == nil || a.piece < found.piece {
			found = a
		}
	}
	return found
}

// choose is a new piece for p; -1 if it has none that is wanted.
func (e *Engine) choose(p *peer) int {
	if e.config.InOrder && e.urgent(p) {
		return e.rarity.next(p)
	}
	if e.without(Rarest) || e.held < firstPieces && !e.without(RandomFirst) {
		return e.rarity.any(p)
	}
	return e.rarity.pick(p)
}

// makeRoom throws away a piece that cannot be finished, because nobody who is here has the rest.
func (e *Engine) makeRoom() bool {
	for _, a := range e.partials {
		if a.asked == 0 && a.missing > 0 && e.rarity.count(a.piece) == 0 && e.wholes == 0 {
			e.discarded = append(e.discarded, a.piece)
			e.end(a)
			e.rarity.want(a.piece)
			return true
		}
	}
	return false
}

// request asks p for a block.
func (e *Engine) request(p *peer, a *partial, begin, length int, actions []Action) []Action {
	for _, i := range e.discarded {
		actions = append(actions, Action{Kind: Discard, Piece: i})
	}
	e.discarded = e.discarded[:0]
	actions = append(actions, e.withdrawn...)
	e.withdrawn = e.withdrawn[:0]
	if len(p.requests) == 0 {
		p.heard, p.arrived = e.now, e.now // its silence until now is no stall
	}
	p.requests = append(p.requests, request{
		piece: a.piece, begin: begin, length: length, at: e.now, delivered: p.delivered, deliveredAt: p.arrived,
	})
	p.asked += length
	p.served += int64(length)
	p.current = a.piece
	a.ask(begin, length)
	return append(actions, Action{Kind: Request, Peer: p.id, Piece: a.piece, Begin: begin, Length: length})
}

// arrived takes a block that has come.
func (e *Engine) arrived(p *peer, ev *Event, actions []Action) []Action {
	k := p.find(ev.Piece, ev.Begin, ev.Length)
	if k < 0 {
		return e.uncalled(p, ev, actions)
	}
	r := p.take(k)
	p.measure(r, e.now, ev.Delay)
	p.heard, e.heard = e.now, e.now
	p.backoff.reset()
	a := e.partial(r.piece)
	if a != nil && !r.void {
		a.unask(r.begin, r.length)
	}
	actions = e.count(p, a, ev, actions)
	e.revive(p)
	e.want(p)
	return actions
}

// uncalled takes a block that was asked for and canceled, and has come all the same.
func (e *Engine) uncalled(p *peer, ev *Event, actions []Action) []Action {
	if p.phase != present || e.config.Object.CheckBlock(ev.Piece, int64(ev.Begin), int64(ev.Length)) != nil {
		return actions
	}
	_, length := e.config.Object.PieceRange(ev.Piece)
	if end := ev.Begin + ev.Length; ev.Begin%shoal.BlockUnit != 0 || end%shoal.BlockUnit != 0 && end != int(length) {
		return actions
	}
	p.heard = e.now
	a := e.partial(ev.Piece)
	if a == nil && e.rarity.isWanted(ev.Piece) && len(e.partials) < e.slots {
		a = e.begin(ev.Piece)
		e.released = true // the rest of it is to be asked for
	}
	return e.count(p, a, ev, actions)
}

// count counts what has come for a piece in assembly. What comes too late, or for another piece, may have been given a
// buffer, which is of no use.
func (e *Engine) count(p *peer, a *partial, ev *Event, actions []Action) []Action {
	if a == nil || a.missing == 0 {
		e.wasted += int64(ev.Length)
		if a != nil && !e.opened { // all of it is there, and waits to be verified
			return actions
		}
		return append(actions, Action{Kind: Discard, Piece: ev.Piece})
	}
	fresh, owed := a.arrive(ev.Begin, ev.Length, p.number)
	e.wasted += int64(ev.Length - fresh)
	if owed {
		actions = e.recall(a, p, actions)
	}
	if a.missing == 0 && e.opened {
		actions = append(actions, Action{Kind: Verify, Piece: a.piece})
	}
	return actions
}

// recall cancels what others were asked for of a piece and has come meanwhile.
func (e *Engine) recall(a *partial, from *peer, actions []Action) []Action {
	for _, p := range e.present {
		if p == from {
			continue
		}
		for k := 0; k < len(p.requests); {
			r := &p.requests[k]
			if r.piece != a.piece || !a.has(r.begin, r.length) {
				k++
				continue
			}
			actions = e.cancel(p, k, actions)
		}
	}
	return actions
}

// has reports whether all of a block is there.
func (a *partial) has(begin, length int) bool {
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u].state < there {
			return false
		}
	}
	return true
}

// cancel takes back p's request k.
func (e *Engine) cancel(p *peer, k int, actions []Action) []Action {
	r := p.requests[k]
	e.release(p, k)
	if e.now-p.heard >= lateLeast/2 && !e.without(Stalls) { // others were faster, and it may be that it is not there at all
		p.lapse(e.now)
		p.retryAt = e.now + e.pause(p)
	}
	e.want(p)
	return e.takeBack(p, r, actions)
}

// takeBack tells a peer that a block is not needed any more.
func (e *Engine) takeBack(p *peer, r request, actions []Action) []Action {
	if e.without(Cancels) {
		return actions
	}
	return append(actions, Action{Kind: Cancel, Peer: p.id, Piece: r.piece, Begin: r.begin, Length: r.length})
}

// release ends p's request k without its block.
func (e *Engine) release(p *peer, k int) {
	r := p.take(k)
	p.served -= int64(r.length)
	e.disown(r)
}

// disown lets others be asked for what a request was for.
func (e *Engine) disown(r request) {
	if a := e.partial(r.piece); a != nil && !r.void {
		if a.unask(r.begin, r.length) {
			e.released = true
		}
		if a.asked == 0 {
			a.owner = nil
		}
	}
}
