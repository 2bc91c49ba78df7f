package upload

import "time"

// superseed is how the only seed gives out each piece once, so that what it uploads is soon a whole copy among the
// others: it shows everybody other pieces, a few at a time, and the next when one of them has been sent (super-seeding:
// Hoffman, BEP 16). There a further piece is shown when the last was seen at another peer, which leaves the uplink idle
// meanwhile; here that only limits those who keep what they get to themselves.
type superseed struct {
	fresh  []int   // pieces that were not revealed to anybody, in the order in which they will be; the last first
	to     []int32 // for each piece, how many bytes of it are to be sent before it counts as given out
	seen   []uint16
	given  int             // pieces that were given out
	active time.Duration   // when a piece was given out last, or somebody joined
	owner  []*peer         // to whom each piece was revealed first; nil when that one is gone
	asked  []bool          // for each piece, whether that one has asked for it
	shown  []time.Duration // for each piece, when it was revealed last
}

const (
	// creditFirst is how many pieces a peer is shown at first that it has not asked for. Each time it had nothing to wait
	// for, and asks for one as soon as it hears of it, it is shown twice as many, so that a long way does not leave it
	// waiting; creditMost at most.
	creditFirst = 2
	creditMost  = 64
	// creditAlone is creditFirst for who joins when nobody else is there, and may stay alone.
	creditAlone = 16
	// hoardMost is how many pieces a peer may have from here that nobody else has, unless it is alone.
	hoardMost = 4
	// quietMost is how long nobody takes what is shown until everything is.
	quietMost = 3 * time.Second
)

func (m *Machine) setOnlySeed(only bool, actions []Action) []Action {
	m.onlySeed = only
	switch {
	case only && m.whole && m.super == nil && m.config.Without&SuperSeed == 0 && m.pieces > 1:
		s := &superseed{
			fresh: m.rand.Perm(m.pieces), to: make([]int32, m.pieces), seen: make([]uint16, m.pieces), owner: make([]*peer, m.pieces),
			asked: make([]bool, m.pieces), shown: make([]time.Duration, m.pieces),
		}
		for i := range s.to {
			_, length := m.config.Object.PieceRange(i)
			s.to[i] = int32(min(length, 1<<30))
		}
		m.super = s
	case !only && m.super != nil:
		actions = m.revealAll(actions)
	}
	return actions
}

// revealAll ends super-seeding.
func (m *Machine) revealAll(actions []Action) []Action {
	m.super = nil
	for _, p := range m.order {
		if !p.all {
			p.all = true
			actions = append(actions, Action{Kind: RevealAll, Peer: p.id})
		}
	}
	return actions
}

// reveal shows a peer further pieces, as many as it may know of.
func (m *Machine) reveal(p *peer, actions []Action) []Action {
	s := m.super
	for !p.all && p.credit < p.allowed && len(s.fresh) > 0 && !m.hoards(p) {
		i := s.fresh[len(s.fresh)-1]
		s.fresh = s.fresh[:len(s.fresh)-1]
		if s.owner[i] != nil { // one to whom all was revealed has asked for it
			continue
		}
		if p.device.has.Has(i) { // it has that from elsewhere, so it is out already
			s.to[i] = 0
			s.given++
			continue
		}
		p.revealed.Set(i)
		p.credit++
		s.owner[i], s.shown[i] = p, m.now
		actions = append(actions, Action{Kind: Reveal, Peer: p.id, Piece: i})
	}
	return m.ended(actions)
}

// hoards reports whether a peer has had more than its share of what nobody else has. One that gets all it can take at
// first, because it was the first to ask, cannot pass it on as fast as several can.
func (m *Machine) hoards(p *peer) bool {
	return len(m.order) > 1 && p.hoard >= hoardMost && m.config.Without&SpreadFirst == 0
}

// touch notes that a piece which was shown to a peer is asked for, or will not be.
func (m *Machine) touch(p *peer, piece int, idle bool, actions []Action) []Action {
	s := m.super
	if s.owner[piece] == nil && p.all && s.to[piece] > 0 {
		s.owner[piece], s.asked[piece] = p, true
		return actions
	}
	if s.owner[piece] != p || s.asked[piece] {
		return actions
	}
	s.asked[piece] = true
	p.credit--
	took := m.now - s.shown[piece]
	if p.prompt == 0 || took < p.prompt {
		p.prompt = took
	}
	if idle && took <= 2*p.prompt {
		p.allowed = min(2*p.allowed, creditMost)
	}
	return m.reveal(p, actions)
}

// handed counts what was sent of a piece.
func (m *Machine) handed(p *peer, ev *Event, actions []Action) []Action {
	s := m.super
	if s.owner[ev.Piece] != p || s.to[ev.Piece] <= 0 {
		return actions
	}
	if s.to[ev.Piece] -= int32(ev.Length); s.to[ev.Piece] > 0 {
		return actions
	}
	s.given++
	s.active = m.now
	p.hoard++
	if actions = m.reveal(p, actions); m.super == nil || m.busy > 0 || len(m.turn) > 0 {
		return actions
	}
	// All have more than they pass on. That is better than an idle uplink.
	least := p
	for _, other := range m.order {
		if !other.all && other.credit < other.allowed && other.hoard < least.hoard {
			least = other
		}
	}
	hoard := least.hoard
	least.hoard = 0
	actions = m.reveal(least, actions)
	least.hoard = hoard
	return actions
}

// spread notes that a device has a piece.
func (m *Machine) spread(d *device, piece int, actions []Action) []Action {
	s := m.super
	p := s.owner[piece]
	if p == nil {
		return actions
	}
	if p.device == d {
		if s.to[piece] > 0 { // it had that before
			s.to[piece] = 0
			s.given++
			return m.touch(p, piece, false, actions)
		}
		return actions
	}
	if s.seen[piece]++; s.seen[piece] == 1 && s.to[piece] <= 0 {
		p.hoard--
		return m.reveal(p, actions)
	}
	return actions
}

// returned takes back what a peer was shown and has not had.
func (m *Machine) returned(p *peer, actions []Action) []Action {
	s := m.super
	for i, owner := range s.owner {
		if owner != p {
			continue
		}
		s.owner[i], s.asked[i] = nil, false
		if s.to[i] > 0 || s.seen[i] == 0 { // what it had and did not pass on has gone with it
			if s.to[i] <= 0 {
				s.given--
			}
			_, length := m.config.Object.PieceRange(i)
			s.to[i] = int32(min(length, 1<<30))
			s.fresh = append(s.fresh, i)
		}
	}
	for _, other := range m.order {
		actions = m.reveal(other, actions)
		if m.super == nil {
			break
		}
	}
	return actions
}

// ended ends super-seeding when every piece was given out.
func (m *Machine) ended(actions []Action) []Action {
	if m.super != nil && m.super.given >= m.pieces {
		return m.revealAll(actions)
	}
	return actions
}
