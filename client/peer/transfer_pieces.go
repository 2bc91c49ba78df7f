package peer

import (
	"errors"

	"shoal"
	"shoal/client/swarm"
	"shoal/wire"
)

// errElsewhere is why a block that has come is thrown away, and does not count as there either: it is just coming from
// another source, or its piece was given up.
var errElsewhere = shoal.Errorf(shoal.Canceled, "the block is not needed from here any more")

// block implements sink: a block is read into its piece.
func (t *transfer) block(j supplier, r *wire.Request, read func([]byte) error) error {
	buf, a, here, err := t.pieces.place(j.from(), r)
	if err != nil {
		return err
	}
	switch {
	case a != nil:
		err := t.readLimited(j.from(), buf, read)
		if !t.pieces.done(a, j.from(), r, err) {
			if err == nil {
				err = errElsewhere
			}
			return err
		}
	case !here: // another connection is just bringing it
		return errElsewhere
	}
	t.inbox.put(event{Event: blockEvent(swarm.BlockArrived, j, r), joined: j})
	return nil
}

func blockEvent(kind swarm.EventKind, j supplier, r *wire.Request) swarm.Event {
	return swarm.Event{Kind: kind, Peer: j.from().id, Piece: int(r.Piece), Begin: int(r.Begin), Length: int(r.Length)}
}

// request is the one that a block's event is about.
func (e *event) request() *wire.Request {
	return &wire.Request{Piece: uint32(e.Piece), Begin: uint32(e.Begin), Length: uint32(e.Length)}
}

// refused implements sink.
func (t *transfer) refused(j supplier, r *wire.Request, err error) {
	e := event{Event: blockEvent(swarm.Refused, j, r), joined: j, err: err}
	e.Code = shoal.CodeOf(err)
	if e.Code == shoal.Canceled && err != errElsewhere { // nobody has canceled it
		e.Code = shoal.NotHeld
	}
	t.inbox.put(e)
}

// verify checks a whole piece and writes it, in the background: the next one is read meanwhile.
func (t *transfer) verify(piece int) {
	a := t.pieces.take(piece)
	if a == nil {
		return
	}
	t.helpers.Go(func() {
		t.Pool.writers <- struct{}{}
		defer func() { <-t.Pool.writers }()
		e := event{Event: swarm.Event{Kind: swarm.PieceVerified, Piece: piece}, whole: a}
		switch err := t.part.WritePiece(piece, a.buf); {
		case errors.Is(err, shoal.Corrupt):
			e.Kind, e.err, e.values = swarm.PieceBad, err, shoal.BlockValues(t.Swarm.Object, piece, a.buf)
		case err != nil:
			e = event{err: err, whole: a}
		case t.Shelf != nil:
			t.Shelf.Have(t.Swarm, piece)
		}
		t.inbox.put(e)
	})
}

// settled takes the outcome of verify. A piece that is there counts for those it came from.
func (t *transfer) settled(e event) {
	defer t.pieces.giveBack(e.whole)
	for from, n := range e.whole.senders {
		s := t.sources[from.id]
		if e.Kind == swarm.PieceBad {
			s.explain(e.err)
			t.Log.Debug().Err(e.err).Stringer("device", s.Device).Int("piece", e.Piece).Msg("a source failed")
			continue
		}
		s.status.Bytes += n
		t.status.Held += n
		if t.shelved {
			t.Shelf.Gave(t.Swarm, s.Device, n)
		}
		if s.joined != nil && from == s.joined.from() { // what was written after the connection was dropped excuses nothing
			s.why, s.status.Reason = 0, ""
		}
	}
	if e.Kind == swarm.PieceBad {
		t.bad[e.Piece] = e.values
	} else {
		if t.stream != nil {
			t.stream.tell()
		}
		t.exchanges()
	}
	for _, s := range t.order {
		if e.Kind == swarm.PieceVerified && t.shelved && s.joined != nil {
			s.joined.tell(e.Piece)
		}
	}
	t.step(e.Event)
}

// fetchHashes learns in the background which blocks of a bad piece were bad.
func (t *transfer) fetchHashes(s *source, piece int) {
	j, bad := s.joined, t.bad[piece]
	t.helpers.Go(func() {
		e := event{Event: swarm.Event{Kind: swarm.HashesRefused, Peer: j.from().id, Piece: piece}, joined: j}
		var values []shoal.Hash
		values, e.err = j.hashes(t.ctx, piece)
		if e.err == nil {
			if e.Kind = swarm.HashesVerified; !t.part.Manifest().VerifyBlockValues(t.Swarm.Object, piece, values) {
				e.Kind, e.err = swarm.HashesBad, shoal.Errorf(shoal.Corrupt, "the hashes of piece %d do not combine to its own", piece)
			}
		}
		for k := 0; e.Kind == swarm.HashesVerified && k < len(values) && k < len(bad); k++ {
			if values[k] != bad[k] {
				t.inbox.put(event{Event: swarm.Event{
					Kind: swarm.BlockBad, Peer: e.Peer, Piece: piece, Begin: k * shoal.BlockUnit, Length: shoal.BlockUnit,
				}, joined: j})
			}
		}
		t.inbox.put(e)
	})
}
