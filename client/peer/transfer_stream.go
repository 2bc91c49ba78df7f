package peer

import (
	"context"
	"fmt"
	"io"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm"
)

// How far a stream reads ahead of its reader: twice what that has read already, within these bounds, so that who wants a
// few bytes does not cause many to be fetched, and who wants all of them does not wait (the kernel's own read-ahead grows
// like that, too: Wu et al., On the Design of a New Linux Readahead Framework, 2008).
const (
	leastAhead = 4 << 20           // bytes
	mostAhead  = store.SpoolMemory // bytes
	leastNext  = 2                 // pieces
)

// stream hands the pieces of a transfer to a reader, in order.
type stream struct {
	object shoal.Object
	wanted shoal.Range
	to     io.Writer
	came   chan struct{} // capacity 1: a piece has come since the last one was looked for
}

// Stream downloads Range and writes its bytes to w, in order, each as soon as it is there and verified, and returns when w
// has taken the last. It is no further ahead of w than that seems to need. What has come lies in a nameless file in Dir
// until then, and is served meanwhile if the disk has room for all of it. An error of w ends the stream. w is used by one
// goroutine at a time, and is not used any more when Stream returns; to end a write that blocks is for w.
func (t Transfer) Stream(ctx context.Context, w io.Writer) error {
	s := &stream{object: t.Swarm.Object, wanted: t.Range, to: w, came: make(chan struct{}, 1)}
	config := t.ranged()
	config.Eager, config.InOrder, config.Reach = true, true, s.ahead(0)
	return t.run(ctx, config, goal{
		open: func(_ context.Context, proof *shoal.Manifest) (destination, error) {
			return store.OpenSpool(t.Dir, t.Swarm.Object, proof, t.Range, mostAhead+leastNext*t.Swarm.Object.PieceLength())
		},
		finish: func(context.Context) (store.Content, error) { return nil, nil },
	}, s)
}

// ahead is how many pieces to fetch, from the one on that a reader needs who has had so many bytes.
func (s *stream) ahead(read int64) int {
	return max(leastNext, int(min(max(2*read, leastAhead), mostAhead)/s.object.PieceLength()))
}

// deliver gives everything to the reader, and tells the transfer how far it is.
func (t *transfer) deliver(spool *store.Spool) error {
	s := t.stream
	first, count := s.object.PiecesOf(s.wanted)
	buf := make([]byte, min(copyUnit, max(1, s.object.PieceLength())))
	read := int64(0)
	for i := first; i < first+count; i++ {
		if i > first {
			t.inbox.put(event{Event: swarm.Event{Kind: swarm.Reach, Piece: i + s.ahead(read)}})
		}
		for !spool.Has(i) {
			select {
			case <-s.came:
			case <-t.ctx.Done():
				return context.Cause(t.ctx)
			}
		}
		offset, length := s.object.PieceRange(i)
		begin, end := max(offset, s.wanted.Begin), min(offset+length, s.wanted.End)
		var err error
		if piece := spool.Unread(i); piece != nil {
			err = s.write(piece[begin-offset : end-offset])
		} else {
			err = s.copy(t.ctx, io.NewSectionReader(spool, begin, end-begin), buf)
		}
		if err != nil {
			return err
		}
		spool.Passed(i)
		read += end - begin
	}
	return nil
}

func (s *stream) write(b []byte) error {
	if _, err := s.to.Write(b); err != nil {
		return fmt.Errorf("passing on what has come: %w", err)
	}
	return nil
}

// copyUnit is how many bytes are read from the disk at a time, at most.
const copyUnit = 256 << 10

func (s *stream) copy(ctx context.Context, from io.Reader, buf []byte) error {
	for ctx.Err() == nil {
		n, err := from.Read(buf)
		if n > 0 {
			if err := s.write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading what has come: %w", err)
		}
	}
	return context.Cause(ctx)
}

// feed begins to deliver from an open destination.
func (t *transfer) feed(from destination) {
	spool := from.(*store.Spool)
	if !spool.Kept() {
		t.Shelf = nil
	}
	t.helpers.Go(func() {
		switch err := t.deliver(spool); {
		case err == nil:
			t.inbox.put(event{delivered: true})
		case t.ctx.Err() == nil: // of which the owner hears by itself
			t.inbox.put(event{err: err})
		}
	})
}

// tell wakes who waits for a piece.
func (s *stream) tell() {
	select {
	case s.came <- struct{}{}:
	default:
	}
}
