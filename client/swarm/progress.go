package swarm

import (
	"slices"

	"shoal"
)

// open begins the download proper, with what is on disk already.
func (e *Engine) open(onDisk bitfield, actions []Action) []Action {
	if e.opened {
		return actions
	}
	e.proven, e.opened = true, true
	for i := range e.pieces {
		if onDisk.get(i) {
			e.hold(i)
			if a := e.partial(i); a != nil { // it has been written since the transfer began
				actions = append(e.recant(a, actions), Action{Kind: Discard, Piece: i})
				e.end(a)
			}
		}
	}
	for _, a := range e.partials {
		if a.missing == 0 {
			actions = append(actions, Action{Kind: Verify, Piece: a.piece})
		}
	}
	for _, p := range e.present {
		e.want(p)
	}
	return actions
}

// hold counts piece i as here.
func (e *Engine) hold(i int) {
	if e.have.get(i) {
		return
	}
	e.have.set(i)
	e.held++
	if e.isWanted(i) {
		e.missing--
	}
	e.rarity.drop(i)
}

// verified notes that piece i is there, and takes it back from others who were asked for it.
func (e *Engine) verified(i int, actions []Action) []Action {
	if i < 0 || i >= e.pieces {
		return actions
	}
	e.heard = e.now
	e.hold(i)
	e.succeeds(i)
	a := e.partial(i)
	if a == nil {
		return actions
	}
	actions = e.recant(a, actions)
	e.end(a)
	return actions
}

// tick looks at what only time brings about.
func (e *Engine) tick(actions []Action) []Action {
	if e.proven && !e.opened || e.rests() {
		e.heard = e.now // it is our disk that takes its time, or who reads
	}
	e.rank()
	actions = e.watch(actions)
	actions = e.replace(actions)
	actions = e.connect(actions)
	actions = e.askManifest(actions)
	if len(e.disputes) > 0 {
		actions = e.investigate(actions)
	}
	for _, p := range e.present {
		e.want(p)
	}
	return actions
}

// finish adds what follows from the state as a whole.
func (e *Engine) finish(actions []Action) []Action {
	if e.missing == 0 && e.proven {
		e.ended = true
		return append(actions, Action{Kind: Done})
	}
	waiting := e.proven == e.opened && !e.busy() && !e.rests()
	if waiting && !e.waiting {
		actions = append(actions, Action{Kind: Wait})
	}
	e.waiting = waiting
	if len(e.troubles) > 0 {
		if i := e.hopeless(); i >= 0 {
			e.ended = true
			return append(actions, Action{Kind: Fail, Piece: i, Code: shoal.Corrupt})
		}
	}
	if e.config.Timeout > 0 && e.now-e.heard >= e.config.Timeout {
		e.ended = true
		actions = append(actions, Action{Kind: GiveUp})
	}
	return actions
}

// busy reports whether anything is on its way: from a peer, or to the disk.
func (e *Engine) busy() bool {
	for _, a := range e.partials {
		if a.asked > 0 || a.missing == 0 {
			return true
		}
	}
	return slices.ContainsFunc(e.known, (*peer).owes)
}
