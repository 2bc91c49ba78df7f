package peer

import (
	"math/rand/v2"
	"sync"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
	"shoal/client/tickets"
	"shoal/wire"
)

// item is one object on the shelf, with the connections that joined it. Its machine decides who is served, with what, and
// when.
type item struct {
	swarm  shoal.Swarm
	shelf  *Shelf
	limits *Limits

	mu      sync.Mutex // guards the rest
	content store.Content
	members map[peerID]*member
	gone    error           // why it is no longer on the shelf
	machine *upload.Machine // nil while nobody has joined
	began   time.Time       // when machine was made
	held    shoal.Bitfield  // the pieces that machine knows of, in PROTOCOL.md's form; nil for all
	actions []upload.Action // what machine has said last
	unsent  []upload.Event  // blocks that were to be sent and are not any more: machine has yet to hear of that
	alone   chan struct{}   // closed when it is known whether nobody else has everything; nil unless somebody is asking

	onlySeed bool // nobody else had everything when that was asked last
}

// peerID is how a machine tells members apart: a device, and the number of its connection to this process.
type peerID = swarm.PeerID

// member is a connection's part in a swarm.
type member struct {
	item   *item
	id     peerID
	handle uint32
	out    *sender
	told   shoal.Bitfield // the pieces that the other side has, as it says; its reading goroutine's

	// The item's mu guards the rest.

	// announced is what the other side was told that we have, in PROTOCOL.md's form; nil when that is everything.
	announced shoal.Bitfield
	all       bool // further pieces are announced to it
	admission tickets.Admission
	expelled  error // why it may have no more
}

// join adds a member and answers its JOIN with what it may know of at that moment. Further pieces, and a withdrawal, are
// told after that, so that none is missed and none is told twice (rule P12).
func (it *item) join(m *member, id uint32, picky bool) error {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone != nil {
		return it.gone
	}
	m.item = it
	held := it.content.Bitfield()
	it.prepare(held)
	it.members[m.id] = m
	it.step(upload.Event{Kind: upload.Joined, Peer: m.id, Picky: picky})
	for _, a := range it.actions {
		m.all = m.all || a.Kind == upload.RevealAll && a.Peer == m.id
	}
	if m.announced = held; !m.all {
		m.announced = shoal.NewBitfield(it.swarm.Object.Pieces())
	}
	m.out.reply(wire.KindJoin, id, &wire.JoinReply{Handle: m.handle, Whole: m.announced == nil, Bitfield: m.announced})
	it.act(0)
	return nil
}

// prepare makes the machine ready for one more member.
func (it *item) prepare(held shoal.Bitfield) {
	if it.machine == nil {
		it.began, it.held = time.Now(), append([]byte(nil), held...)
		it.machine = upload.New(upload.Config{Object: it.swarm.Object, Whole: held == nil, Bitfield: it.held, Seed: rand.Uint64()})
		it.step(upload.Event{Kind: upload.OnlySeed, Whole: it.onlySeed || it.alone != nil})
		it.shelf.setBusy(it, true)
		return
	}
	if it.held == nil {
		return
	}
	// A piece may be there that nobody has been told of yet.
	for i := range it.swarm.Object.Pieces() {
		if held == nil || held.Has(i) {
			it.hold(i)
		}
	}
}

// hold tells the machine of a piece that is here.
func (it *item) hold(piece int) {
	if it.machine == nil || it.held == nil || it.held.Has(piece) {
		return
	}
	it.held.Set(piece)
	it.tell(upload.Event{Kind: upload.Held, Piece: piece}, 0)
}

// came tells everybody of a piece that is here now.
func (it *item) came(piece int) {
	it.hold(piece)
	for _, m := range it.members {
		if m.all {
			m.announce(piece)
		}
	}
}

// leave ends a member's part.
func (it *item) leave(m *member) {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.remove(m)
}

// remove is leave for who holds mu.
func (it *item) remove(m *member) {
	if it.members[m.id] != m {
		return
	}
	delete(it.members, m.id)
	it.tell(upload.Event{Kind: upload.Left, Peer: m.id}, 0)
	if len(it.members) == 0 {
		it.machine, it.held, it.onlySeed = nil, nil, false
		it.shelf.setBusy(it, false)
	}
}

// current is the item's content, or why there is none any more.
func (it *item) current() (store.Content, error) {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.content, it.gone
}

// open is the item's content, kept open until its Release: what takes its place may close it at any time.
func (it *item) open() (store.Content, error) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone != nil {
		return nil, it.gone
	}
	return it.content, it.content.Hold()
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

// open is item.open for a member.
func (m *member) open() (store.Content, error) {
	if err := m.over(); err != nil {
		return nil, err
	}
	return m.item.open()
}

// knows reports whether the other side was told of a piece (rule P6).
func (m *member) knows(piece int) bool {
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	return m.announced == nil || m.announced.Has(piece)
}

// announce tells the other side of a piece, once. The item's mu is held.
func (m *member) announce(piece int) {
	if m.announced != nil && !m.announced.Has(piece) {
		m.announced.Set(piece)
		m.out.have(m.handle, uint32(piece))
	}
}
