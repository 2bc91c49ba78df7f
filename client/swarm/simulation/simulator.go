package simulation

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// simulator is a simulation that runs.
type simulator struct {
	config   Config
	object   shoal.Object
	pieces   int
	quantum  int32 // bytes that a link sends at a time
	now      time.Duration
	queue    queue
	nodes    []*node
	alive    []*node   // in the order in which they arrived
	supers   []*node   // the only seed, while it reveals pieces one by one
	holders  []nodeSet // of each piece, who has it
	seeds    int       // honest peers that have everything from the beginning
	rand     *rand.Rand
	lies     bool
	waiting  int // downloaders that are neither done nor gone
	first    time.Duration
	seeded   int64 // bytes that the seeds had sent when the first was done
	rush     int   // the most of a node
	steps    int64
	known    int     // of what is next that was touched
	touched  int     // means nothing
	audience []*flow // who hears of news
}

// node is one peer. What a step needs comes first, and lies together.
type node struct {
	engine   *swarm.Engine // nil for those who need nothing
	upload   *upload.Machine
	began    time.Duration
	done     time.Duration // 0 for not
	down     float64       // bytes a second
	downFree time.Duration
	got      int64 // bytes
	index    int32
	here     bool // it has arrived
	dead     bool
	failed   bool
	stepping bool // its engine's actions are being done
	actions  []swarm.Action
	answers  []upload.Action
	pending  []swarm.Event // for the engine, when it was stepping
	up       float64       // bytes a second
	delay    time.Duration
	sent     int64    // bytes
	ring     []*flow  // that wait for the uplink
	burst    []part   // what the uplink sends at the moment
	busy     bool     // it does, or waits for what is on its way
	in       []joined // who joined it, by the Session under which its upload side knows them; some are free
	joins    int      // of them
	out      []*flow  // whom it joined, by the Session under which its engine knows them, from 1 on; nil for none
	outs     int      // of them
	have     shoal.Bitfield
	held     int
	news     []int32 // pieces that its neighbours are to hear of
	group    *Group
	started  time.Duration     // when the first piece was there; 0 for not yet
	sessions map[int32]int32   // in out, of those that its engine was told of
	parts    map[int32][]int32 // with lies: who sent each unit of the pieces in assembly; -1 - index when it is false
	bad      map[int32][]int32 // and of those that were bad
	rushFrom time.Duration
	rush     int               // attempts to connect since rushFrom
	sources  []swarm.PeerState // when it was done
}

// Run runs a simulation. The error has code BadRequest for what cannot be simulated.
func Run(c Config) (*Report, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.setDefaults()
	s := newSim(c)
	for s.waiting > 0 {
		if s.known == 0 {
			next := s.queue.peek(together)
			s.touch(next)
			s.known = len(next)
		}
		s.known = max(s.known-1, 0)
		h, ok := s.queue.pop()
		if s.now = max(s.now, h.at); !ok || s.now > time.Duration(c.Limit) {
			break
		}
		s.happen(h)
	}
	return s.report(), nil
}

func newSim(c Config) *simulator {
	s := &simulator{config: c, object: shoal.Object{Size: c.Size}, rand: rand.New(rand.NewPCG(c.Seed, 2))}
	s.pieces = s.object.Pieces()
	s.populate()
	return s
}

func rate(mbit, goodput float64) float64 {
	if mbit == 0 {
		mbit = noLimit
	}
	return mbit * 1e6 / 8 * goodput
}

// populate makes all peers, and lets them arrive at their times.
func (s *simulator) populate() {
	for g := range s.config.Groups {
		group := &s.config.Groups[g]
		s.lies = s.lies || group.Lie == Flips || group.Lie == Forges
		for k := range group.Count {
			n := &node{
				index: int32(len(s.nodes)), group: group, delay: time.Duration(group.Delay), out: make([]*flow, 1), sessions: map[int32]int32{},
				up: rate(group.Up, s.config.Goodput), down: rate(group.Down, s.config.Goodput),
			}
			s.nodes = append(s.nodes, n)
			if group.Lie == Trickles {
				n.up = 1
			}
			if group.Whole && group.Lie == "" {
				s.seeds++
			}
			if group.fetches() {
				s.waiting++
			}
			start := time.Duration(group.Start) + time.Duration(k)*time.Duration(group.Every)
			s.at(start, happening{kind: arrive, node: n.index})
			if group.DieAt > 0 {
				s.at(time.Duration(group.DieAt), happening{kind: die, node: n.index, flag: group.Hang})
			}
		}
	}
	s.holders = make([]nodeSet, s.pieces)
	for i := range s.holders {
		s.holders[i] = newNodeSet(len(s.nodes))
	}
	s.quantum = 16 << 10
	if len(s.nodes) > 200 {
		s.quantum = 64 << 10
	}
}

func (s *simulator) at(t time.Duration, h happening) {
	h.at = max(t, s.now)
	s.queue.push(h)
}

func (s *simulator) after(d time.Duration, h happening) { s.at(s.now+d, h) }

// id names a node to an engine or an upload side. They give the session back in all that concerns the node, so that it is
// for them to find their flow by.
func (n *node) id(session int32) swarm.PeerID {
	id := swarm.PeerID{Session: uint64(session)}
	binary.LittleEndian.PutUint32(id.Device[:], uint32(n.index))
	return id
}

func (s *simulator) nodeOf(id swarm.PeerID) *node {
	return s.nodes[binary.LittleEndian.Uint32(id.Device[:])]
}

// holds notes that a node has a piece.
func (s *simulator) holds(n *node, piece int) {
	n.have.Set(piece)
	s.holders[piece].add(n.index)
	n.held++
}

// arrive starts a peer.
func (s *simulator) arrive(n *node) {
	n.here, n.began = true, s.now
	s.alive = append(s.alive, n)
	n.have = make([]byte, (s.pieces+63)/64*8)
	if n.group.Whole {
		for i := range s.pieces {
			s.holds(n, i)
		}
	} else if !n.group.fetches() {
		for i := range int(n.group.Part * float64(s.pieces)) {
			s.holds(n, i)
		}
	} else {
		n.parts, n.bad = map[int32][]int32{}, map[int32][]int32{}
		n.engine = swarm.New(swarm.Config{
			Object: s.object, Eager: true, Seed: s.config.Seed<<20 + uint64(n.index), Peers: s.config.Peers,
			Alpha: s.config.Alpha, Beta: s.config.Beta, K: s.config.K, Without: s.config.Without,
		})
		s.after(0, happening{kind: lookup, node: n.index})
	}
	n.upload = upload.New(upload.Config{
		Object: s.object, Whole: n.group.Whole, Bitfield: n.have, Seed: s.config.Seed<<20 + uint64(n.index),
		Slots: s.config.Slots, Without: s.config.WithoutUpload,
	})
	if n.group.Whole && s.seeds == 1 && n.group.Lie == "" {
		s.stepUpload(n, upload.Event{Kind: upload.OnlySeed, Whole: true})
		if n.upload.SuperSeeding() {
			s.supers = append(s.supers, n)
		}
	}
	// Not all in the same moment.
	s.after(time.Duration(s.rand.Int64N(int64(swarm.TickEvery))), happening{kind: tick, node: n.index})
}

// lookup tells a peer of up to as many others as it connects to, whoever they are.
func (s *simulator) lookup(n *node) {
	if n.dead || n.done > 0 {
		return
	}
	want := s.config.Peers
	if len(s.alive) <= want+1 {
		for _, other := range s.alive {
			s.offer(n, other)
		}
	} else {
		for range want {
			s.offer(n, s.alive[s.rand.IntN(len(s.alive))])
		}
	}
	pause := 15 * time.Second
	if n.outs == 0 {
		pause = 2 * time.Second
	}
	s.after(pause, happening{kind: lookup, node: n.index})
}

func (s *simulator) offer(n, other *node) {
	if other != n && !other.group.Selfish && (!other.dead || other.group.Hang) {
		session, known := n.sessions[other.index]
		if !known {
			session = int32(len(n.out))
			n.sessions[other.index] = session
			n.out = append(n.out, nil)
		}
		s.step(n, swarm.Event{Kind: swarm.Found, Peer: other.id(session)})
	}
}

// leave ends a peer. With hang nobody is told.
func (s *simulator) leave(n *node, hang bool) {
	if n.dead || !n.here {
		return
	}
	n.dead = true
	if n.engine != nil && n.done == 0 {
		s.waiting--
	}
	for k, other := range s.alive {
		if other == n {
			s.alive = append(s.alive[:k], s.alive[k+1:]...)
			break
		}
	}
	if hang {
		return
	}
	for _, j := range n.in {
		if j.flow != nil {
			s.after(s.latency(n, j.flow), happening{kind: lost, flow: j.flow})
		}
	}
	s.hangUp(n)
}

// hangUp ends the flows to a peer.
func (s *simulator) hangUp(n *node) {
	for _, f := range n.out {
		if f != nil {
			s.closeFlow(f)
		}
	}
}

// closeFlow ends a flow, as its source sees it.
func (s *simulator) closeFlow(f *flow) {
	if f.closed {
		return
	}
	f.closed = true
	f.dst.out[f.session] = nil
	f.dst.outs--
	if f.place >= 0 {
		f.src.in[f.place] = joined{}
		f.src.joins--
		s.stepUpload(f.src, f.toUpload(upload.Left, block{}))
	}
}
