package swarm

import (
	"slices"
	"time"

	"shoal"
)

const (
	// failuresMost is at how many different sources in a row a piece may fail.
	failuresMost = 3
	// newSources is how long the transfer then waits for others to come.
	newSources = 10 * time.Second
)

// dispute is a bad piece of which several peers have sent blocks. It is settled by HASHES, which combine to the piece's
// hash and so prove which of its blocks were bad: who sent those is banned, and nobody else.
type dispute struct {
	piece  int
	length int
	from   []uint16 // who sent each unit
	asked  *peer    // for HASHES
	at     time.Duration
}

// trouble is at which devices a piece has failed in a row.
type trouble struct {
	piece   int
	devices []shoal.DeviceID
	at      time.Duration // of the last
}

// bad takes a piece that does not match its hash.
func (e *Engine) bad(i int, actions []Action) []Action {
	if i < 0 || i >= e.pieces {
		return actions
	}
	a := e.partial(i)
	if a == nil || a.missing > 0 {
		return actions
	}
	from := make([]uint16, len(a.units))
	for u := range a.units {
		from[u] = a.units[u].from
	}
	senders := slices.Compact(slices.Sorted(slices.Values(from)))
	e.end(a)
	e.rarity.want(i)
	e.released = true
	switch {
	case len(senders) == 1:
		actions = e.ban(e.known[senders[0]], i, actions)
	case !e.without(Blame) && !e.disputed(i):
		e.disputes = append(e.disputes, dispute{piece: i, length: a.length, from: from})
	}
	return actions
}

func (e *Engine) disputed(i int) bool { return e.dispute(i) >= 0 }

func (e *Engine) dispute(i int) int {
	return slices.IndexFunc(e.disputes, func(d dispute) bool { return d.piece == i })
}

// blame bans those who sent what HASHES prove to be bad.
func (e *Engine) blame(ev *Event, actions []Action) []Action {
	k := e.dispute(ev.Piece)
	if k < 0 || ev.Begin < 0 || ev.Length <= 0 || ev.Begin > e.disputes[k].length-ev.Length {
		return actions
	}
	from := e.disputes[k].from
	for u, end := span(ev.Begin, ev.Length); u < min(end, len(from)); u++ {
		actions = e.ban(e.known[from[u]], ev.Piece, actions)
	}
	return actions
}

// settle ends a dispute, or leaves it to another peer.
func (e *Engine) settle(p *peer, piece int, settled bool) {
	if !p.hashes {
		return
	}
	p.hashes = false
	k := e.dispute(piece)
	switch {
	case k < 0 || e.disputes[k].asked != p:
	case settled:
		e.disputes = slices.Delete(e.disputes, k, k+1)
	default:
		e.disputes[k].asked = nil
	}
}

// investigate asks for HASHES: one who has sent nothing of the piece, if there is such a one.
func (e *Engine) investigate(actions []Action) []Action {
	for k := range e.disputes {
		d := &e.disputes[k]
		if d.asked != nil && d.asked.hashes && e.now-d.at < dropAfter {
			continue
		}
		var who *peer
		for _, p := range e.present {
			if p.hashes || p.mute || !p.hasPiece(d.piece) || p == d.asked {
				continue
			}
			if who == nil || slices.Contains(d.from, who.number) && !slices.Contains(d.from, p.number) {
				who = p
			}
		}
		if who == nil {
			continue
		}
		if d.asked != nil {
			d.asked.hashes = false
		}
		if !who.owes() {
			who.heard = e.now
		}
		d.asked, d.at, who.hashes = who, e.now, true
		actions = append(actions, Action{Kind: FetchHashes, Peer: who.id, Piece: d.piece})
	}
	return actions
}

// ban drops a peer that sent something false; its device gets no more work in this transfer. piece is what it sent, -1
// for what is no piece.
func (e *Engine) ban(p *peer, piece int, actions []Action) []Action {
	e.fails(p, piece)
	if e.banned[p.id.Device] || e.without(Bans) {
		return actions
	}
	e.banned[p.id.Device] = true
	actions = append(actions, Action{Kind: Ban, Peer: p.id})
	for _, other := range e.known {
		if other.id.Device == p.id.Device {
			other.banned = true
			actions = e.drop(other, shoal.Corrupt, actions)
			actions = e.purge(other, actions)
		}
	}
	return e.connect(actions)
}

// purge throws away the unfinished pieces of which a banned peer has sent a part.
func (e *Engine) purge(banned *peer, actions []Action) []Action {
	for k := len(e.partials) - 1; k >= 0; k-- {
		a := e.partials[k]
		if a.missing == 0 || !a.sentBy(banned.number) {
			continue
		}
		actions = e.recant(a, actions)
		actions = append(actions, Action{Kind: Discard, Piece: a.piece})
		e.end(a)
		e.rarity.want(a.piece)
		e.released = true
	}
	return actions
}

// recant cancels all requests for a piece.
func (e *Engine) recant(a *partial, actions []Action) []Action {
	if a.asked == 0 && e.lates == 0 {
		return actions
	}
	for _, p := range e.present {
		for k := len(p.requests) - 1; k >= 0 && (a.asked > 0 || p.late); k-- {
			if p.requests[k].piece == a.piece {
				actions = e.cancel(p, k, actions)
			}
		}
	}
	return actions
}

// sentBy reports whether a unit of the piece came from a peer.
func (a *partial) sentBy(number uint16) bool {
	for u := range a.units {
		if a.units[u] == (unit{there, number}) {
			return true
		}
	}
	return false
}

// fails notes that a piece has failed at one more source.
func (e *Engine) fails(p *peer, piece int) {
	if piece < 0 {
		return
	}
	k := slices.IndexFunc(e.troubles, func(t trouble) bool { return t.piece == piece })
	if k < 0 {
		k = len(e.troubles)
		e.troubles = append(e.troubles, trouble{piece: piece})
	}
	t := &e.troubles[k]
	t.at = e.now
	if !slices.Contains(t.devices, p.id.Device) {
		t.devices = append(t.devices, p.id.Device)
	}
}

// hopeless is a piece that has failed at too many sources, and for which no other is there or has come since; -1 if there
// is none.
func (e *Engine) hopeless() int {
	if e.without(ThreeSources) {
		return -1
	}
	for _, t := range e.troubles {
		if len(t.devices) < failuresMost || e.now-max(t.at, e.foundAt) < newSources {
			continue
		}
		if !slices.ContainsFunc(e.known, func(p *peer) bool {
			return !p.banned && p.phase != away && !slices.Contains(t.devices, p.id.Device)
		}) {
			return t.piece
		}
	}
	return -1
}

// succeeds ends what fails has begun.
func (e *Engine) succeeds(piece int) {
	if len(e.troubles) > 0 {
		e.troubles = slices.DeleteFunc(e.troubles, func(t trouble) bool { return t.piece == piece })
	}
}
