package upload

import (
	"cmp"
	"math"
	"slices"
	"time"

	"shoal"
)

const (
	// Slots is up to how many peers nobody is choked, and how many have a slot when there are more: as many as each
	// connects to, so that in a swarm without hubs all do. With fewer, swarms of 30 to 400 took up to twice as long.
	Slots = 50
	// rechokeEvery is how often the slots are given anew, and optimisticEvery the optimistic one, which is for finding out
	// who else is worth one: by then a newcomer has something to give.
	rechokeEvery    = 10 * time.Second
	optimisticEvery = 5 * time.Second
	// gaveHalf is how long it takes until what a device gave counts half.
	gaveHalf = 20 * time.Second
)

// wants reports whether a peer may want something: all but those who have everything do.
func (m *Machine) wants(p *peer) bool { return !p.device.whole }

func (m *Machine) wanting() (n int) {
	for _, p := range m.order {
		if m.wants(p) {
			n++
		}
	}
	return n
}

// crowded reports whether there are more peers than everybody can be served well.
func (m *Machine) crowded() bool { return len(m.order) > m.slots && m.wanting() > m.slots }

// anySlot reports whether one more peer can be served at once.
func (m *Machine) anySlot() bool {
	n := 0
	for _, p := range m.order {
		if !p.choked && m.wants(p) {
			n++
		}
	}
	return n <= m.slots
}

func (m *Machine) tick(actions []Action) []Action {
	if m.super != nil && len(m.order) > 0 && m.now-m.super.active > quietMost {
		actions = m.revealAll(actions)
	}
	if m.now < m.rotate {
		return actions
	}
	m.rotate = m.now + optimisticEvery
	if m.now >= m.rechoke {
		m.rechoke = m.now + rechokeEvery
		actions = m.choose(actions)
	}
	if !m.crowded() || m.config.Without&Optimistic != 0 {
		return actions
	}
	return m.gamble(actions)
}

// choose gives the slots to those who give the most to this device while it downloads, and when it does not, to those who
// spread what they get and then to those who have waited the longest (choking: Cohen 2003; the seed's turn: Legout et
// al. 2006). In small swarms nobody is choked.
func (m *Machine) choose(actions []Action) []Action {
	decay := math.Exp2(-float64(rechokeEvery) / float64(gaveHalf))
	for _, d := range m.device {
		d.gave *= decay
	}
	if !m.crowded() {
		for _, p := range m.order {
			actions = m.unchoke(p, false, actions)
		}
		return actions
	}
	ranked := slices.DeleteFunc(slices.Clone(m.order), func(p *peer) bool { return !m.wants(p) })
	m.rand.Shuffle(len(ranked), func(a, b int) { ranked[a], ranked[b] = ranked[b], ranked[a] })
	if m.config.Without&Reciprocity == 0 {
		slices.SortStableFunc(ranked, m.compare)
	}
	for k, p := range ranked {
		switch {
		case k < m.slots:
			actions = m.unchoke(p, false, actions)
		case !p.optimistic:
			actions = m.choke(p, actions)
		}
	}
	for _, p := range m.order {
		p.sent = 0
	}
	return actions
}

// compare orders peers by who deserves a slot.
func (m *Machine) compare(a, b *peer) int {
	if !m.whole {
		return cmp.Compare(b.device.gave, a.device.gave)
	}
	if m.super != nil && a.hoard != b.hoard {
		return cmp.Compare(a.hoard, b.hoard)
	}
	return cmp.Compare(a.sent, b.sent)
}

// gamble moves the optimistic slot: to one who has never had anything, or else to anybody.
func (m *Machine) gamble(actions []Action) []Action {
	var next *peer
	fresh, seen := false, 0
	for _, p := range m.order {
		if !p.choked || !m.wants(p) {
			continue
		}
		isNew := p.ever == 0
		if isNew && !fresh {
			fresh, seen = true, 0
		}
		if isNew == fresh {
			if seen++; m.rand.IntN(seen) == 0 {
				next = p
			}
		}
	}
	if next == nil {
		return actions
	}
	for _, p := range m.order {
		if p.optimistic {
			actions = m.choke(p, actions)
		}
	}
	return m.unchoke(next, true, actions)
}

func (m *Machine) unchoke(p *peer, optimistic bool, actions []Action) []Action {
	p.optimistic = optimistic
	if !p.choked {
		return actions
	}
	p.choked, p.since = false, m.now
	return append(actions, Action{Kind: Unchoke, Peer: p.id})
}

func (m *Machine) choke(p *peer, actions []Action) []Action {
	p.optimistic = false
	if p.choked {
		return actions
	}
	p.choked, p.since = true, m.now
	actions = append(actions, Action{Kind: Choke, Peer: p.id})
	for _, b := range p.open {
		actions = append(actions, Action{Kind: Refuse, Code: shoal.Busy, Peer: p.id, Piece: int(b.piece), Begin: b.begin, Length: int(b.length)})
	}
	p.open, p.openBytes = p.open[:0], 0
	return actions
}
