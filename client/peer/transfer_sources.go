package peer

import (
	"context"
	"errors"
	"slices"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm"
	"shoal/client/tracker"
	"shoal/wire"
)

func (s *source) id() swarm.PeerID { return swarm.PeerID{Device: s.Device, Session: s.Session} }

// handle takes one event out of the inbox.
func (t *transfer) handle(e event) {
	if e.found != nil {
		t.copies = e.found.Least
		t.found(e.found.Sources)
		t.missing()
		return
	}
	if e.ticket {
		t.renew()
		return
	}
	if e.kept {
		t.keptCame(e)
		return
	}
	if e.delivered {
		t.ended = true
		return
	}
	if e.exchanged != nil {
		e.exchanged.exchanging = false
		t.meet()
		return
	}
	if e.Kind == 0 {
		if e.whole != nil {
			t.pieces.giveBack(e.whole)
		}
		t.fail(e.err)
		return
	}
	s := t.sources[e.Peer]
	switch e.Kind {
	case swarm.Connected:
		if s.cancel == nil { // dropped meanwhile
			e.joined.leave()
			return
		}
		s.cancel, s.joined = nil, e.joined
		if ticket, err := t.lease.Current(); err == nil { // it may be a later one than JOIN had
			s.joined.renew(ticket)
		}
		t.tell(s.joined)
		s.status.Connected = true // what went wrong before stays the reason until something comes
	case swarm.BlockArrived:
		if e.joined != s.joined { // it is void
			return
		}
		if !t.pieces.confirm(e.joined.from(), e.request()) {
			e.Kind, e.Code = swarm.Refused, shoal.Canceled
		}
	case swarm.PieceVerified, swarm.PieceBad:
		t.settled(e)
		return
	case swarm.Have:
		for _, p := range e.pieces {
			if e.joined == s.joined { // which it is no more once it was dropped
				e.Piece = int(p)
				t.step(e.Event)
			}
		}
		return
	case swarm.Reach:
	case swarm.ManifestVerified:
		if !t.opening {
			t.opening = true
			t.open(e.proof)
		}
	case swarm.Opened:
		t.opened(e.part)
	default:
		// What a connection says that was dropped meanwhile is void; but who sent something false has done so.
		if e.joined != s.joined {
			if errors.Is(e.err, shoal.Changed) {
				s.explain(e.err)
			}
			return
		}
		t.note(s, e)
	}
	t.step(e.Event)
}

// note keeps why a source does not serve us, and lets go of one that was lost.
func (t *transfer) note(s *source, e event) {
	if e.err != nil && e.err != errElsewhere {
		s.explain(e.err)
		t.Log.Debug().Err(e.err).Stringer("device", s.Device).Int("piece", e.Piece).Msg("a source failed")
	}
	if e.Kind == swarm.Lost {
		s.cancel, s.status.Connected = nil, false
		if s.joined != nil {
			t.leave(s)
		}
	}
}

// leave ends the transfer's part in a source's connection.
func (t *transfer) leave(s *source) {
	t.pieces.drop(s.joined.from())
	s.joined.leave()
	s.joined = nil
}

// explain keeps why a source does not serve us, unless there is a reason for that, too: what was on its way when a file
// changed is wrong, and after either the file is not found any more.
func (s *source) explain(err error) {
	code := shoal.CodeOf(err)
	switch {
	case code == shoal.NotFound && (s.why == shoal.Changed || s.why == shoal.Corrupt):
	case code == shoal.Corrupt && s.why == shoal.Changed:
	default:
		s.why, s.status.Reason = code, err.Error()
	}
}

// connect opens a connection in the background.
func (t *transfer) connect(s *source) {
	ctx, cancel := context.WithCancel(t.ctx)
	s.cancel = cancel
	id, from, mirror := s.id(), s.Source, s.mirror
	t.helpers.Go(func() {
		defer cancel()
		var err error
		if mirror != nil {
			err = t.openMirror(ctx, mirror, origin{id: id})
		} else {
			err = t.join(ctx, from)
		}
		if err != nil {
			t.inbox.put(event{Event: swarm.Event{Kind: swarm.Lost, Peer: id}, err: err})
		}
	})
}

func (t *transfer) join(ctx context.Context, from tracker.Source) error {
	c, err := t.Pool.connect(ctx, from)
	if err != nil {
		return err
	}
	ticket, err := t.ticket(ctx)
	if err == nil {
		err = c.join(ctx, wire.Join{Swarm: t.Swarm, Ticket: ticket, Picky: t.picky}, t)
	}
	if err != nil {
		t.Pool.release(c)
	}
	return err
}

// reportPatience is how long a report that is under way keeps a transfer from ending.
const reportPatience = 2 * time.Second

// accuse tells the server in the background of a device that sent what is proven to be wrong. A mirror is none.
func (t *transfer) accuse(s *source) {
	if s.mirror != nil {
		return
	}
	device := s.Device
	t.Log.Warn().Stringer("device", device).Stringer("file", t.Swarm.Object.ID).Msg("a source sent what is proven to be wrong")
	t.helpers.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), reportPatience)
		defer cancel()
		if err := t.Tracker.Report(ctx, t.Swarm.Group, t.Swarm.Object.ID, device); err != nil {
			t.Log.Debug().Err(err).Stringer("device", device).Msg("reporting a source")
		}
	})
}

// drop ends a connection on the engine's word. One that stalled is of no use to other transfers either.
func (t *transfer) drop(s *source, why shoal.Code) {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
	if s.joined == nil {
		return
	}
	if why == shoal.Unreachable {
		s.why, s.status.Reason = why, "it stopped sending"
		s.joined.fail(shoal.Errorf(shoal.Unreachable, "%v stopped sending", s.Device))
	}
	s.status.Connected = false
	t.leave(s)
}

// fetchManifest fetches and verifies the manifest in the background.
func (t *transfer) fetchManifest(s *source) {
	j, id := s.joined, s.id()
	t.helpers.Go(func() {
		e := event{Event: swarm.Event{Kind: swarm.Lost, Peer: id}, joined: j}
		e.proof, e.err = j.manifest(t.ctx)
		if e.err == nil {
			e.Kind = swarm.ManifestVerified
			if e.err = e.proof.Verify(t.Swarm.Object); e.err != nil {
				e.Kind = swarm.ManifestBad
			}
		}
		t.inbox.put(e)
	})
}

// open opens the part in the background: that takes long when there is much to resume.
func (t *transfer) open(proof *shoal.Manifest) {
	t.helpers.Go(func() {
		part, err := t.goal.open(t.ctx, proof)
		if err != nil {
			t.inbox.put(event{err: err})
			return
		}
		t.inbox.put(event{Event: swarm.Event{Kind: swarm.Opened, Bitfield: heldBitfield(part)}, part: part})
	})
}

// opened takes the open part, and serves what is in it while the rest comes.
func (t *transfer) opened(part destination) {
	t.part = part
	if t.stream != nil {
		t.feed(part)
	}
	t.status.Resumed = heldBytes(part)
	t.status.Held = t.status.Resumed
	t.shelved = t.Shelf != nil && t.Shelf.Put(t.Swarm, part)
	for _, s := range t.order {
		if s.joined != nil {
			t.tell(s.joined)
		}
	}
}

// tell tells a peer of all that is here.
func (t *transfer) tell(j supplier) {
	if !j.curious() || !t.shelved {
		return
	}
	var held []int
	for i := range t.Swarm.Object.Pieces() {
		if t.part.Has(i) {
			held = append(held, i)
		}
	}
	j.tell(held...)
}

func heldBitfield(c store.Content) []byte {
	if held := c.Bitfield(); held != nil {
		return held
	}
	return slices.Repeat([]byte{0xff}, (c.Object().Pieces()+7)/8)
}

func heldBytes(c store.Content) (n int64) {
	for i := range c.Object().Pieces() {
		if c.Has(i) {
			_, length := c.Object().PieceRange(i)
			n += length
		}
	}
	return n
}

// The transfer is the sink of its connections: what comes is verified and written where it arrives, in the connection's
// goroutine, and the owner hears of the outcome.

func (t *transfer) connected(j supplier, whole bool, bitfield []byte) {
	_, mute := j.(*mirrored)
	t.inbox.put(event{
		Event: swarm.Event{Kind: swarm.Connected, Peer: j.from().id, Whole: whole, Bitfield: bitfield, Mute: mute}, joined: j,
	})
}

func (t *transfer) have(j supplier, pieces []uint32) {
	t.inbox.put(event{Event: swarm.Event{Kind: swarm.Have, Peer: j.from().id}, joined: j, pieces: pieces})
}

func (t *transfer) choked(j supplier, choked bool) {
	kind := swarm.Unchoked
	if choked {
		kind = swarm.Choked
	}
	t.inbox.put(event{Event: swarm.Event{Kind: kind, Peer: j.from().id}, joined: j})
}

func (t *transfer) lost(j supplier, err error) {
	t.inbox.put(event{Event: swarm.Event{Kind: swarm.Lost, Peer: j.from().id}, joined: j, err: err})
}
