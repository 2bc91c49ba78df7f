package simulation

import (
	"slices"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// maxJoined is how many connections a peer takes.
const maxJoined = 512

// rushTime is within which attempts to connect count as made at once.
const rushTime = 250 * time.Millisecond

// gaveStep is how many bytes come from a peer until the upload side hears of them.
const gaveStep = 256 << 10

// happen does what is due.
func (s *simulator) happen(h happening) {
	switch h.kind {
	case arrive:
		s.arrive(s.nodes[h.node])
	case die:
		s.leave(s.nodes[h.node], h.flag)
	case tick:
		s.tick(s.nodes[h.node])
	case lookup:
		s.lookup(s.nodes[h.node])
	case transmitted:
		s.transmitted(s.nodes[h.node])
	case have:
		s.have(s.nodes[h.node])
	case reach:
		s.reach(h.flow)
	default:
		if !h.flow.closed {
			s.onFlow(h.flow, h)
		}
	}
}

func (s *simulator) tick(n *node) {
	if n.dead {
		return
	}
	s.stepUpload(n, upload.Event{Kind: upload.Tick})
	s.step(n, swarm.Event{Kind: swarm.Tick})
	s.after(swarm.TickEvery, happening{kind: tick, node: n.index})
}

// reach is a request to join that comes to the source.
func (s *simulator) reach(f *flow) {
	src := f.src
	s.crowding(src)
	if f.closed || src.dead && src.group.Hang {
		return
	}
	if src.dead || src.group.Selfish || src.joins >= maxJoined {
		s.after(s.latency(src, f), happening{kind: lost, flow: f})
		return
	}
	f.join()
	s.after(s.latency(src, f), happening{kind: joinReply, flow: f})
	ev := f.toUpload(upload.Joined, block{})
	ev.Peer = f.dst.id(f.place)
	s.stepUpload(src, ev)
	f.sink = src.upload.Handle(ev.Peer)
	if src.upload.SuperSeeding() {
		for i := range s.pieces {
			if f.dst.have.Has(i) {
				s.stepUpload(src, upload.Event{Kind: upload.PeerHas, Peer: ev.Peer, Piece: i})
			}
		}
	}
}

// crowding counts the attempts to connect to a peer.
func (s *simulator) crowding(n *node) {
	if s.now-n.rushFrom >= rushTime {
		n.rushFrom, n.rush = s.now, 0
	}
	n.rush++
	s.rush = max(s.rush, n.rush)
}

// onFlow is what comes to either end of a flow that is open.
func (s *simulator) onFlow(f *flow, h happening) {
	ev := f.toEngine(0, h.block)
	switch h.kind {
	case ask, takeBack:
		s.asked(f, h)
		return
	case delivered:
		s.delivered(f, h.block)
		return
	case toldAll:
		s.toldAll(f)
		return
	case lost:
		s.closeFlow(f)
		ev.Kind = swarm.Lost
	case joinReply:
		if f.src.dead {
			return
		}
		f.connected = true
		ev.Kind, ev.Choked = swarm.Connected, f.src.upload.Choked(f.dst.id(f.place))
		if f.all = !f.src.upload.SuperSeeding(); f.all {
			ev.Whole, ev.Bitfield = f.src.held == s.pieces, f.src.have
		}
	case refusal:
		ev.Kind, ev.Code = swarm.Refused, shoal.Code(h.node)
	case told:
		ev.Kind = swarm.Have
	case choked:
		ev.Kind = swarm.Choked
	case unchoked:
		ev.Kind = swarm.Unchoked
	case manifest:
		if f.src.dead {
			return
		}
		ev.Kind = swarm.ManifestVerified
		if f.src.group.Lie == Forges {
			ev.Kind = swarm.ManifestBad
		}
		s.step(f.dst, ev)
		ev = swarm.Event{Kind: swarm.Opened}
		if h := f.src.group.Lie == Forges; h {
			return
		}
	case hashes:
		s.hashes(f, ev)
		return
	}
	s.step(f.dst, ev)
}

// asked takes a request for a block, or takes it back.
func (s *simulator) asked(f *flow, h happening) {
	src := f.src
	if src.dead {
		return
	}
	switch src.group.Lie {
	case Silent:
		return
	case Stale:
		if h.kind == ask {
			s.after(s.latency(src, f), happening{kind: refusal, flow: f, block: h.block, node: int32(shoal.NotHeld)})
		}
		return
	}
	kind := upload.Asked
	if h.kind == takeBack {
		kind = upload.Canceled
	}
	s.stepUpload(src, f.toUpload(kind, h.block))
}

// delivered is a block that is there.
func (s *simulator) delivered(f *flow, b block) {
	n := f.dst
	if n.dead {
		return
	}
	n.got += int64(b.length)
	if s.lies {
		s.place(f, b)
	}
	if f.gave += b.length; f.gave >= gaveStep {
		s.stepUpload(n, upload.Event{Kind: upload.Gave, Peer: f.src.id(0), Length: int(f.gave)})
		f.gave = 0
	}
	s.step(n, f.toEngine(swarm.BlockArrived, b))
}

// place notes who has sent a block first.
func (s *simulator) place(f *flow, b block) {
	units := f.dst.parts[b.piece]
	if units == nil {
		_, length := s.object.PieceRange(int(b.piece))
		units = make([]int32, max(1, (length+shoal.BlockUnit-1)/shoal.BlockUnit))
		f.dst.parts[b.piece] = units
	}
	from := f.src.index + 1
	if f.src.group.Lie == Flips || f.src.group.Lie == Forges {
		from = -from
	}
	for u := b.begin / shoal.BlockUnit; u <= (b.begin+max(b.length, 1)-1)/shoal.BlockUnit; u++ {
		if units[u] == 0 {
			units[u] = from
		}
	}
}

// hashes answers a request for HASHES.
func (s *simulator) hashes(f *flow, ev swarm.Event) {
	if f.src.dead || f.src.group.Lie == Silent || f.src.group.Lie == Trickles {
		return
	}
	ev.Kind = swarm.HashesVerified
	if f.src.group.Lie != "" {
		ev.Kind = swarm.HashesBad
	}
	for u, from := range f.dst.bad[int32(ev.Piece)] {
		if from < 0 && ev.Kind == swarm.HashesVerified {
			s.step(f.dst, swarm.Event{Kind: swarm.BlockBad, Piece: ev.Piece, Begin: u * shoal.BlockUnit, Length: shoal.BlockUnit})
		}
	}
	s.step(f.dst, ev)
}

// have tells all who are connected of what is new.
func (s *simulator) have(n *node) {
	news := n.news
	n.news = n.news[:0]
	if n.dead {
		return
	}
	for _, f := range s.listeners(n, news) {
		for _, i := range news {
			if !s.holders[i].has(f.dst.index) {
				s.step(f.dst, f.toEngine(swarm.Have, block{piece: i}))
			}
		}
	}
	for _, seed := range s.supers {
		if !seed.upload.SuperSeeding() {
			s.supers = nil // there is one at most
			break
		}
		if session, known := n.sessions[seed.index]; known && n.out[session] != nil {
			for _, i := range news {
				s.stepUpload(seed, upload.Event{Kind: upload.PeerHas, Peer: n.id(0), Piece: int(i)})
			}
		}
	}
}

// listeners are the flows on which some of the news are any. Who has a piece already has no use for it, and is most of them
// in a large swarm.
func (s *simulator) listeners(n *node, news []int32) []*flow {
	s.audience = s.audience[:0]
	for _, j := range n.in {
		if j.flow != nil && slices.ContainsFunc(news, func(i int32) bool { return !s.holders[i].has(j.dst) }) {
			s.audience = append(s.audience, j.flow)
		}
	}
	s.audience = slices.DeleteFunc(s.audience, func(f *flow) bool { return !f.connected || !f.all })
	for depth := range 4 {
		for _, f := range s.audience {
			s.touched += f.touchEnd(int(news[0]), depth)
		}
	}
	return s.audience
}

func (s *simulator) toldAll(f *flow) {
	if f.all || !f.connected {
		return
	}
	f.all = true
	ev := f.toEngine(swarm.Have, block{})
	for ev.Piece = range s.pieces {
		if f.src.have.Has(ev.Piece) {
			s.step(f.dst, ev)
		}
	}
}
