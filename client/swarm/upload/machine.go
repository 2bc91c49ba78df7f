package upload

import (
	"math/rand/v2"
	"time"

	"shoal"
	"shoal/client/swarm"
)

// Config is what a Machine starts from.
type Config struct {
	Object shoal.Object
	// Bitfield is what is here at the beginning, in PROTOCOL.md's form; Whole says that it is everything.
	Whole    bool
	Bitfield []byte
	// Seed makes the choices repeatable.
	Seed uint64
	// Parallel is how many blocks are sent at a time, one at most on each connection; 0 for one on each.
	Parallel int
	// Slots is how many peers have a slot in a crowd; 0 for Slots. Others are for simulations.
	Slots int
	// Without leaves rules out, to see in a simulation what they are worth.
	Without Rule
}

// Machine decides what is served in one swarm. Its owner serializes all calls.
type Machine struct {
	config Config
	pieces int
	whole  bool
	have   []bool
	held   int
	peers  swarm.Index[peer]
	order  []*peer // by when they joined
	device map[shoal.DeviceID]*device
	turn   []*peer // those who wait to be served
	busy   int     // blocks being sent

	slots    int // peers unchoked by merit
	rechoke  time.Duration
	rotate   time.Duration
	super    *superseed // nil while not
	onlySeed bool
	now      time.Duration
	rand     *rand.Rand
}

// peer is one connection that has joined.
type peer struct {
	id         swarm.PeerID
	device     *device
	joined     time.Duration
	choked     bool
	optimistic bool
	since      time.Duration // when it was unchoked or choked last
	sent       int64         // bytes since the last choice
	ever       int64         // bytes
	open       []block       // not being sent yet
	openBytes  int           // of them
	sending    int
	inTurn     bool
	all        bool // everything was revealed
	revealed   shoal.Bitfield
	credit     int           // pieces revealed to it that it has not asked for
	allowed    int           // the most of them
	prompt     time.Duration // the least time from revealing a piece until it was asked for
	hoard      int           // pieces sent to it that were not seen elsewhere
}

// device is what is known of one device from elsewhere.
type device struct {
	peers int // connections of it here
	whole bool
	has   shoal.Bitfield // nil for nothing known
	count int
	gave  float64 // bytes that it gave, the latest counting more
}

type block struct {
	piece, length int32
	begin         int
}

const (
	// maxOpen and maxOpenBytes are what a connection may have asked for (PROTOCOL.md, rule P8).
	maxOpen      = 256
	maxOpenBytes = 64 << 20
)

// New makes a Machine.
func New(c Config) *Machine {
	m := &Machine{
		config: c, pieces: c.Object.Pieces(), whole: c.Whole,
		device: map[shoal.DeviceID]*device{}, rand: rand.New(rand.NewPCG(c.Seed, 1)), slots: Slots,
	}
	if c.Slots > 0 {
		m.slots = c.Slots
	}
	if m.config.Without&Open != 0 {
		m.slots = fewSlots
	}
	m.peers = swarm.NewIndex[peer](m.rand.Uint64())
	m.have = make([]bool, m.pieces)
	for i := range m.have {
		if m.have[i] = c.Whole || shoal.Bitfield(c.Bitfield).Has(i); m.have[i] {
			m.held++
		}
	}
	return m
}

// Choked reports whether a peer that has joined gets nothing for now.
func (m *Machine) Choked(id swarm.PeerID) bool { p := m.peers.Find(&id); return p != nil && p.choked }

// Handle is that of a peer that has joined.
func (m *Machine) Handle(id swarm.PeerID) Handle { return Handle{m.peers.Find(&id)} }

// SuperSeeding reports whether pieces are revealed one by one; only then PeerHas makes a difference.
func (m *Machine) SuperSeeding() bool { return m.super != nil }

// Step takes one event and appends what is to be done about it to actions.
func (m *Machine) Step(ev Event, actions []Action) []Action {
	m.now = max(m.now, ev.Now)
	p := ev.Handle.peer
	if p == nil && ev.Kind <= Sent { // others are not of a connection
		p = m.peers.Find(&ev.Peer)
	}
	switch ev.Kind {
	case Joined:
		if p == nil {
			actions = m.join(&ev, actions)
		}
	case Left:
		if p != nil {
			actions = m.leave(p, actions)
		}
	case Asked:
		if p != nil {
			actions = m.ask(p, &ev, actions)
		}
	case Canceled:
		if p != nil {
			actions = m.cancel(p, &ev, actions)
		}
	case Sent:
		if p != nil && p.sending > 0 {
			actions = m.sent(p, &ev, actions)
		}
	case Gave:
		if d := m.device[ev.Peer.Device]; d != nil {
			d.gave += float64(ev.Length)
		}
	case PeerHas:
		actions = m.peerHas(&ev, actions)
	case PeerWhole:
		m.know(ev.Peer.Device).whole = true
	case Held:
		if ev.Piece >= 0 && ev.Piece < m.pieces && !m.have[ev.Piece] {
			m.have[ev.Piece] = true
			m.held++
			m.whole = m.held == m.pieces
		}
	case OnlySeed:
		actions = m.setOnlySeed(ev.Whole, actions)
	case Tick:
		actions = m.tick(actions)
	}
	return m.serve(actions)
}

func (m *Machine) know(id shoal.DeviceID) *device {
	d := m.device[id]
	if d == nil {
		d = &device{}
		m.device[id] = d
	}
	return d
}

func (m *Machine) join(ev *Event, actions []Action) []Action {
	p := &peer{id: ev.Peer, joined: m.now, since: m.now, device: m.know(ev.Peer.Device)}
	p.device.peers++
	m.peers.Put(p.id, p)
	m.order = append(m.order, p)
	if m.crowded() && !m.anySlot() {
		p.choked = true
		actions = append(actions, Action{Kind: Choke, Peer: p.id})
	}
	if m.super != nil {
		m.super.active = m.now
	}
	if m.super == nil || ev.Picky {
		p.all = true
		return append(actions, Action{Kind: RevealAll, Peer: p.id})
	}
	p.revealed, p.allowed = shoal.NewBitfield(m.pieces), creditFirst
	if len(m.order) == 1 {
		p.allowed = max(creditFirst, min(creditAlone, m.pieces/128))
	}
	return m.reveal(p, actions)
}

func (m *Machine) leave(p *peer, actions []Action) []Action {
	m.peers.Delete(&p.id)
	for k, other := range m.order {
		if other == p {
			m.order = append(m.order[:k], m.order[k+1:]...)
			break
		}
	}
	for k, other := range m.turn {
		if other == p {
			m.turn = append(m.turn[:k], m.turn[k+1:]...)
			break
		}
	}
	m.busy -= p.sending
	if p.device.peers--; p.device.peers == 0 {
		delete(m.device, p.id.Device)
	}
	if m.super != nil {
		actions = m.returned(p, actions)
	}
	return actions
}

func (m *Machine) peerHas(ev *Event, actions []Action) []Action {
	if ev.Piece < 0 || ev.Piece >= m.pieces {
		return actions
	}
	d := m.know(ev.Peer.Device)
	if d.has == nil {
		d.has = shoal.NewBitfield(m.pieces)
	}
	if d.has.Has(ev.Piece) {
		return actions
	}
	d.has.Set(ev.Piece)
	d.count++
	d.whole = d.whole || d.count == m.pieces
	if m.super != nil {
		actions = m.spread(d, ev.Piece, actions)
	}
	return actions
}
