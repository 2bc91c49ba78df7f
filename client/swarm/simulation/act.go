package simulation

import (
	"slices"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
)

// step tells a peer's engine of an event, and does what it says. What comes of that is told when all of it is done.
func (s *simulator) step(n *node, ev swarm.Event) {
	if n.stepping {
		n.pending = append(n.pending, ev)
		return
	}
	n.stepping = true
	s.stepNow(n, &ev)
	for k := 0; k < len(n.pending); k++ {
		s.stepNow(n, &n.pending[k])
	}
	n.pending, n.stepping = n.pending[:0], false
}

func (s *simulator) stepNow(n *node, ev *swarm.Event) {
	if n.engine == nil || n.dead || n.done > 0 || n.failed {
		return
	}
	s.steps++
	ev.Now = s.now - n.began
	n.actions = n.engine.Step(*ev, n.actions[:0])
	for i := 0; i < len(n.actions) && !n.dead; i++ {
		s.act(n, &n.actions[i])
	}
}

func (s *simulator) act(n *node, a *swarm.Action) {
	wanted := block{int32(a.Piece), int32(a.Begin), int32(a.Length)}
	var f *flow
	if a.Peer != (swarm.PeerID{}) && a.Kind != swarm.Connect {
		if f = n.out[a.Peer.Session]; f == nil {
			return // it is gone, which the engine does not know yet
		}
	}
	switch a.Kind {
	case swarm.Connect:
		f = s.newFlow(s.nodeOf(a.Peer), n, int32(a.Peer.Session), a.Handle)
		n.out[f.session] = f
		n.outs++
		// A handshake takes two round trips.
		s.after(3*s.latency(n, f), happening{kind: reach, flow: f})
	case swarm.FetchManifest:
		s.after(s.latency(n, f)+s.latency(f.src, f), happening{kind: manifest, flow: f})
	case swarm.FetchHashes:
		s.after(s.latency(n, f)+s.latency(f.src, f), happening{kind: hashes, flow: f, block: wanted})
	case swarm.Request:
		s.after(s.latency(n, f), happening{kind: ask, flow: f, block: wanted})
	case swarm.Cancel:
		s.after(s.latency(n, f), happening{kind: takeBack, flow: f, block: wanted})
	case swarm.Verify:
		s.verify(n, a.Piece)
	case swarm.Discard:
		delete(n.parts, int32(a.Piece))
	case swarm.Drop:
		s.closeFlow(f)
	case swarm.Done:
		s.finish(n)
	case swarm.Fail, swarm.GiveUp:
		n.failed = true
		s.waiting--
	}
}

// verify finds out whether a piece is as it should be.
func (s *simulator) verify(n *node, piece int) {
	if s.lies {
		units := n.parts[int32(piece)]
		delete(n.parts, int32(piece))
		for _, from := range units {
			if from < 0 {
				n.bad[int32(piece)] = units
				s.step(n, swarm.Event{Kind: swarm.PieceBad, Piece: piece})
				return
			}
		}
	}
	if s.holds(n, piece); n.started == 0 {
		n.started = max(s.now, 1)
	}
	s.stepUpload(n, upload.Event{Kind: upload.Held, Piece: piece})
	if !n.group.Selfish && n.joins+n.outs > 0 {
		if len(n.news) == 0 { // else they go with what waits already
			d := n.delay + 100*time.Microsecond + min(seconds(float64(len(n.ring))*float64(s.quantum)/n.up), 50*time.Millisecond)
			s.after(d, happening{kind: have, node: n.index})
		}
		n.news = append(n.news, int32(piece))
	}
	s.step(n, swarm.Event{Kind: swarm.PieceVerified, Piece: piece})
	if at := n.group.LeaveAt; at > 0 && n.done == 0 && float64(n.held) >= at*float64(s.pieces) {
		s.leave(n, false)
	}
}

// finish ends a download.
func (s *simulator) finish(n *node) {
	n.done = max(s.now, 1)
	n.sources = slices.Collect(n.engine.Peers)
	s.waiting--
	if s.first == 0 {
		s.first = n.done
		for _, m := range s.nodes {
			if m.group.Whole && m.group.Lie == "" {
				s.seeded += m.sent
			}
		}
	}
	for i := range n.sources { // those it was connected to, in the order in which it found them
		if f := n.out[n.sources[i].Peer.Session]; f != nil {
			s.closeFlow(f)
			s.stepUpload(f.src, upload.Event{Kind: upload.PeerWhole, Peer: n.id(0)})
		}
	}
	if n.group.LeaveDone {
		s.leave(n, false)
	}
}

// stepUpload tells a peer's upload side of an event, and does what it says.
func (s *simulator) stepUpload(n *node, ev upload.Event) {
	if n.upload == nil || n.dead {
		return
	}
	s.steps++
	ev.Now = s.now - n.began
	actions := n.upload.Step(ev, n.answers[:0])
	n.answers = nil
	for _, a := range actions {
		s.answer(n, a)
	}
	n.answers = actions[:0]
}

func (s *simulator) answer(n *node, a upload.Action) {
	f := n.in[a.Peer.Session].flow
	if f == nil {
		return
	}
	b := block{int32(a.Piece), int32(a.Begin), int32(a.Length)}
	switch a.Kind {
	case upload.Serve:
		f.sending, f.left = b, b.length
		s.enter(f)
		s.transmit(n)
	case upload.Refuse:
		if a.Code != shoal.Canceled {
			s.after(s.latency(n, f), happening{kind: refusal, flow: f, block: b, node: int32(a.Code)})
		}
	case upload.Choke:
		s.after(s.latency(n, f), happening{kind: choked, flow: f})
	case upload.Unchoke:
		s.after(s.latency(n, f), happening{kind: unchoked, flow: f})
	case upload.Reveal:
		s.after(s.latency(n, f), happening{kind: told, flow: f, block: b})
	case upload.RevealAll:
		s.after(s.latency(n, f), happening{kind: toldAll, flow: f})
	}
}

// sent tells the upload side that a block has left.
func (s *simulator) sent(f *flow, b block) {
	s.stepUpload(f.src, f.toUpload(upload.Sent, b))
}
