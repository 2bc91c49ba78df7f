// Package peer is the data plane of a client: it serves pieces to other peers (Server, Shelf), fetches them from others
// (Pool), and drives the engine of a download over those connections (Transfer).
package peer

import (
	"sync"

	"shoal"
	"shoal/client/store"
	"shoal/client/tickets"
	"shoal/wire"
)

// Shelf is what this process serves. Being on it is what makes an object be served, and only in the group it was put
// there for. For concurrent use.
type Shelf struct {
	mu    sync.RWMutex // guards items
	items map[shoal.Swarm]*item
}

// item is one object on the shelf, with the connections that joined it.
type item struct {
	swarm shoal.Swarm

	mu      sync.Mutex // guards the rest
	content store.Content
	members map[*member]struct{}
	gone    error // why it is no longer on the shelf
}

// member is a connection's part in a swarm.
type member struct {
	item   *item
	handle uint32
	out    *sender

	// The item's mu guards the rest.

	// announced is what the other side was told that we have, in PROTOCOL.md's form; nil when that is everything.
	announced []byte
	admission tickets.Admission
	expelled  error // why it may have no more
}

// NewShelf makes an empty shelf.
func NewShelf() *Shelf { return &Shelf{items: map[shoal.Swarm]*item{}} }

// Put serves content in swarm from now on; what takes another's place must be the same object. A part does not take the
// place of the whole: Put reports whether content is served.
func (s *Shelf) Put(swarm shoal.Swarm, content store.Content) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[swarm]
	if it == nil {
		it = &item{swarm: swarm, members: map[*member]struct{}{}}
		s.items[swarm] = it
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.content != nil && it.content.Whole() && !content.Whole() {
		return false
	}
	it.content = content
	return true
}

// Have tells all who joined the swarm that a further piece is there.
func (s *Shelf) Have(swarm shoal.Swarm, piece int) {
	it := s.find(swarm)
	if it == nil {
		return
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	for m := range it.members {
		if m.announced != nil && !bit(m.announced, piece) {
			m.announced[piece/8] |= 0x80 >> (piece % 8)
			m.out.have(m.handle, uint32(piece))
		}
	}
}

// Withdraw takes the object off the shelf and tells all who joined the swarm why. It reports whether it was there.
func (s *Shelf) Withdraw(swarm shoal.Swarm, why error) bool {
	s.mu.Lock()
	it := s.items[swarm]
	delete(s.items, swarm)
	s.mu.Unlock()
	if it == nil {
		return false
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	it.gone = why
	for m := range it.members {
		m.out.withdraw(m.handle, why)
	}
	clear(it.members)
	return true
}

func (s *Shelf) find(swarm shoal.Swarm) *item {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.items[swarm]
}

// join adds a member and answers its JOIN with what is there at that moment. Further pieces, and a withdrawal, are told
// after that, so that none is missed and none is told twice (rule P12).
func (it *item) join(m *member, id uint32) error {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone != nil {
		return it.gone
	}
	m.item = it
	m.announced = it.content.Bitfield()
	it.members[m] = struct{}{}
	m.out.reply(wire.KindJoin, id, &wire.JoinReply{Handle: m.handle, Whole: m.announced == nil, Bitfield: m.announced})
	return nil
}

func (it *item) leave(m *member) {
	it.mu.Lock()
	defer it.mu.Unlock()
	delete(it.members, m)
}

// current is the item's content, or why there is none any more.
func (it *item) current() (store.Content, error) {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.content, it.gone
}

// over is why a member gets nothing any more; nil while it does.
func (m *member) over() error {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	return m.ended()
}

// ended is over for who holds the item's mu.
func (m *member) ended() error {
	if m.expelled != nil {
		return m.expelled
	}
	return m.item.gone
}

// hold is item.hold for a member.
func (m *member) hold() (store.Content, error) {
	if err := m.over(); err != nil {
		return nil, err
	}
	return m.item.hold()
}

// hold is the item's content, kept open until its Release: what takes its place may close it at any time.
func (it *item) hold() (store.Content, error) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone != nil {
		return nil, it.gone
	}
	return it.content, it.content.Hold()
}

// knows reports whether the other side was told of a piece (rule P6).
func (m *member) knows(piece int) bool {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	return m.announced == nil || bit(m.announced, piece)
}

func bit(set []byte, i int) bool { return i/8 < len(set) && set[i/8]&(0x80>>(i%8)) != 0 }
