// Package peer is the data plane of a client: it serves pieces to other peers (Server, Shelf), fetches them from others
// (Pool), and drives the engine of a download over those connections (Transfer).
package peer

import (
	"maps"
	"slices"
	"sync"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm/upload"
)

// Shelf is what this process serves. Being on it is what makes an object be served, and only in the group it was put
// there for. For concurrent use.
type Shelf struct {
	mu     sync.RWMutex // guards items and limits
	items  map[shoal.Swarm]*item
	limits map[shoal.Swarm]*Limits

	busyMu sync.Mutex // guards busy; taken under an item's mu
	busy   map[*item]struct{}
}

// NewShelf makes an empty shelf.
func NewShelf() *Shelf {
	return &Shelf{items: map[shoal.Swarm]*item{}, limits: map[shoal.Swarm]*Limits{}, busy: map[*item]struct{}{}}
}

// Put serves content in swarm from now on; what takes another's place must be the same object. Only the whole does: those who
// joined count on what they were told of. Put reports whether content is served.
func (s *Shelf) Put(swarm shoal.Swarm, content store.Content) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[swarm]
	if it == nil {
		it = &item{swarm: swarm, shelf: s, limits: s.limitsOf(swarm), members: map[peerID]*member{}}
		s.items[swarm] = it
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.content != nil && it.content != content && !content.Whole() {
		return false
	}
	it.content = content
	if content.Whole() && it.machine != nil {
		for i := range swarm.Object.Pieces() {
			it.came(i)
		}
	}
	return true
}

// Have tells all who joined the swarm that a further piece is there, if it is in what is served.
func (s *Shelf) Have(swarm shoal.Swarm, piece int) {
	it := s.find(swarm)
	if it == nil {
		return
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.content.Has(piece) {
		it.came(piece)
	}
}

// Withdraw takes the object off the shelf and tells all who joined the swarm why. It reports whether it was there.
func (s *Shelf) Withdraw(swarm shoal.Swarm, why error) bool { return s.withdraw(swarm, nil, why) }

// withdraw is Withdraw; if only is not nil, then only where that is what is served.
func (s *Shelf) withdraw(swarm shoal.Swarm, only store.Content, why error) bool {
	s.mu.Lock()
	it := s.items[swarm]
	if it == nil || only != nil && !it.serves(only) {
		s.mu.Unlock()
		return false
	}
	delete(s.items, swarm)
	if l := s.limits[swarm]; l != nil && l.Up.Rate() == 0 && l.Down.Rate() == 0 {
		delete(s.limits, swarm)
	}
	s.mu.Unlock()
	it.mu.Lock()
	defer it.mu.Unlock()
	it.gone = why
	for _, m := range it.members {
		it.remove(m)
		m.out.withdraw(m, why)
	}
	return true
}

// Gave notes that the download of a swarm has had so many verified bytes from a device: it gets a share of what is served
// for that.
func (s *Shelf) Gave(swarm shoal.Swarm, device shoal.DeviceID, bytes int64) {
	if it := s.find(swarm); it != nil {
		it.mu.Lock()
		defer it.mu.Unlock()
		it.tell(upload.Event{Kind: upload.Gave, Peer: peerID{Device: device}, Length: int(bytes)}, 0)
	}
}

// setBusy notes whether anybody has joined an item.
func (s *Shelf) setBusy(it *item, busy bool) {
	s.busyMu.Lock()
	defer s.busyMu.Unlock()
	if busy {
		s.busy[it] = struct{}{}
	} else {
		delete(s.busy, it)
	}
}

// each calls do with every item that somebody has joined, its mu held.
func (s *Shelf) each(do func(*item)) {
	s.busyMu.Lock()
	items := slices.Collect(maps.Keys(s.busy))
	s.busyMu.Unlock()
	for _, it := range items {
		it.mu.Lock()
		do(it)
		it.mu.Unlock()
	}
}

// Limits are those of one swarm, for its download here too. There are none at first.
func (s *Shelf) Limits(swarm shoal.Swarm) *Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limitsOf(swarm)
}

// limitsOf is Limits for who holds mu.
func (s *Shelf) limitsOf(swarm shoal.Swarm) *Limits {
	l := s.limits[swarm]
	if l == nil {
		l = new(Limits)
		s.limits[swarm] = l
	}
	return l
}

func (s *Shelf) find(swarm shoal.Swarm) *item {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.items[swarm]
}
