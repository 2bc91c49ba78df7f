package upload

import "shoal"

// ask queues a block that a peer wants.
func (m *Machine) ask(p *peer, ev *Event, actions []Action) []Action {
	refuse := func(code shoal.Code) []Action {
		return append(actions, Action{Kind: Refuse, Code: code, Peer: p.id, Piece: ev.Piece, Begin: ev.Begin, Length: ev.Length})
	}
	switch {
	case m.config.Object.CheckBlock(ev.Piece, int64(ev.Begin), int64(ev.Length)) != nil:
		return refuse(shoal.BadRequest)
	case !m.have[ev.Piece] || !p.all && !p.revealed.Has(ev.Piece):
		return refuse(shoal.NotHeld)
	case p.choked:
		return refuse(shoal.Busy)
	case len(p.open) >= maxOpen || p.openBytes+ev.Length > maxOpenBytes:
		return refuse(shoal.Limit)
	}
	idle := len(p.open) == 0 && p.sending == 0
	p.open = append(p.open, block{int32(ev.Piece), int32(ev.Length), ev.Begin})
	p.openBytes += ev.Length
	m.line(p)
	if m.super != nil {
		actions = m.touch(p, ev.Piece, idle, actions)
	}
	return actions
}

// line puts a peer at the end of those who wait to be served.
func (m *Machine) line(p *peer) {
	if !p.inTurn && p.sending == 0 && len(p.open) > 0 {
		p.inTurn = true
		m.turn = append(m.turn, p)
	}
}

// serve sends a block of each peer in turn, so that all get the same while they want it (round robin: Nagle, On Packet
// Switches with Infinite Storage, RFC 970).
func (m *Machine) serve(actions []Action) []Action {
	for len(m.turn) > 0 && (m.config.Parallel == 0 || m.busy < m.config.Parallel) {
		p := m.turn[0]
		m.turn = m.turn[:copy(m.turn, m.turn[1:])]
		p.inTurn = false
		if len(p.open) == 0 {
			continue
		}
		b := p.open[0]
		p.take(0)
		p.sending++
		m.busy++
		actions = append(actions, Action{Kind: Serve, Peer: p.id, Piece: int(b.piece), Begin: b.begin, Length: int(b.length)})
	}
	return actions
}

// take removes open block k.
func (p *peer) take(k int) {
	p.openBytes -= int(p.open[k].length)
	p.open = append(p.open[:k], p.open[k+1:]...)
}

// sent ends a block's way.
func (m *Machine) sent(p *peer, ev *Event, actions []Action) []Action {
	p.sending--
	m.busy--
	p.sent += int64(ev.Length)
	p.ever += int64(ev.Length)
	m.line(p)
	if m.super != nil {
		actions = m.handed(p, ev, actions)
	}
	return actions
}

// cancel takes back a block that is not being sent yet.
func (m *Machine) cancel(p *peer, ev *Event, actions []Action) []Action {
	for k, b := range p.open {
		if int(b.piece) == ev.Piece && b.begin == ev.Begin && int(b.length) == ev.Length {
			p.take(k)
			return append(actions, Action{Kind: Refuse, Code: shoal.Canceled, Peer: p.id, Piece: int(b.piece), Begin: b.begin, Length: int(b.length)})
		}
	}
	return actions
}
