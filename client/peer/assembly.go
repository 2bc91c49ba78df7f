package peer

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/wire"
)

// assemblies are the pieces of one transfer that are being put together, from blocks that any of its connections may
// bring. The connections' reading goroutines read into them; the transfer's owner confirms what has come, and gives the
// whole pieces away. For concurrent use.
type assemblies struct {
	object  shoal.Object
	buffers *store.Buffers

	mu     sync.Mutex // guards the rest, and all in each piece but the bytes of its buffer
	pieces map[int]*assembly
}

// assembly is one piece.
type assembly struct {
	buf     []byte
	pooled  bool // buf is from the buffers
	units   []unit
	readers int  // goroutines that write to buf
	over    bool // it is no longer in the map: who is last gives the buffer back
}

// unit is the state of 16 KiB of a piece.
type unit struct {
	from  *origin // who has sent it
	state unitState
}

type unitState uint8

const (
	awaited   unitState = iota
	reading             // it is being read
	placed              // it has come, and the owner has not heard of that
	confirmed           // the owner counts on it
)

// bufferPatience is how long a connection waits for memory that others hold. Those may be waiting for what comes behind
// on the same connection, so then the piece gets memory of its own.
const bufferPatience = 30 * time.Second

func unitSpan(r *wire.Request) (first, end int) {
	first = int(r.Begin) / shoal.BlockUnit
	return first, first + max(1, (int(r.Length)+shoal.BlockUnit-1)/shoal.BlockUnit)
}

// place is where a block is to be read, for done to end. nil is for a block that is to be thrown away: here says whether
// that is because all of it is there.
func (s *assemblies) place(from *origin, r *wire.Request) (buf []byte, a *assembly, here bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	piece := int(r.Piece)
	if from.dropped {
		return nil, nil, false, nil
	}
	if a = s.pieces[piece]; a == nil {
		s.mu.Unlock()
		made, err := s.newAssembly(from, piece)
		s.mu.Lock()
		if err != nil {
			return nil, nil, false, err
		}
		switch a = s.pieces[piece]; {
		case a != nil: // another was faster
			s.giveBack(made)
		case from.dropped:
			s.giveBack(made)
			return nil, nil, false, nil
		default:
			a = made
			s.pieces[piece] = a
		}
	}
	first, end := unitSpan(r)
	free, here, underway := true, true, false
	for _, u := range a.units[first:end] {
		free = free && (u.state == awaited || u.state == reading)
		here = here && u.state == confirmed
		underway = underway || u.state == reading
	}
	if free && underway {
		a = s.fork(a)
	}
	if !free || from.dropped { // it may have been while there was no memory
		return nil, nil, here, nil
	}
	a.mark(r, from, reading)
	a.readers++
	return a.buf[r.Begin : r.Begin+r.Length], a, false, nil
}

// fork makes a copy of a piece without the blocks that are being read, and puts it in the piece's place: who was asked for
// the same is not to wait for a connection that stands still in the middle of a block.
func (s *assemblies) fork(a *assembly) *assembly {
	b := &assembly{buf: make([]byte, len(a.buf)), units: slices.Clone(a.units)}
	for k := range b.units {
		begin, end := k*shoal.BlockUnit, min((k+1)*shoal.BlockUnit, len(a.buf))
		switch u := &b.units[k]; u.state {
		case reading:
			*u = unit{}
		case placed, confirmed:
			copy(b.buf[begin:end], a.buf[begin:end])
		}
	}
	for piece, other := range s.pieces {
		if other == a {
			s.pieces[piece] = b
		}
	}
	a.over = true
	return b
}

func (a *assembly) mark(r *wire.Request, from *origin, state unitState) {
	first, end := unitSpan(r)
	for k := first; k < end; k++ {
		a.units[k] = unit{from, state}
	}
}

// done ends the reading of a block, and reports whether it counts.
func (s *assemblies) done(a *assembly, from *origin, r *wire.Request, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.readers--
	if a.over {
		if a.readers == 0 {
			s.giveBack(a)
		}
		return false
	}
	if err != nil || from.dropped {
		a.mark(r, nil, awaited)
		return false
	}
	a.mark(r, from, placed)
	return true
}

// confirm notes that the owner has heard of a block. It is false for one that is not there any more, because its piece
// was discarded meanwhile.
func (s *assemblies) confirm(from *origin, r *wire.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.pieces[int(r.Piece)]
	if a == nil {
		return false
	}
	first, end := unitSpan(r)
	all := true
	for k := first; k < end; k++ {
		u := &a.units[k]
		if u.from == from && u.state == placed {
			u.state = confirmed
		}
		all = all && u.state == confirmed
	}
	return all
}

// drop makes what has come on a connection and was not confirmed void, and what may still come on it.
func (s *assemblies) drop(from *origin) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from.dropped = true
	for _, a := range s.pieces {
		for k := range a.units {
			if u := &a.units[k]; u.from == from && u.state == placed {
				*u = unit{}
			}
		}
	}
}

// take removes a piece, whose buffer is the caller's until giveBack.
func (s *assemblies) take(piece int) *assembly {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.pieces[piece]
	delete(s.pieces, piece)
	return a
}

// discard removes a piece.
func (s *assemblies) discard(piece int) {
	if a := s.take(piece); a != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.over = true; a.readers == 0 {
			s.giveBack(a)
		}
	}
}

// close gives all memory back. All connections were dropped.
func (s *assemblies) close() {
	s.mu.Lock()
	pieces := slices.Collect(maps.Keys(s.pieces))
	s.mu.Unlock()
	for _, piece := range pieces {
		s.discard(piece)
	}
}

func (s *assemblies) giveBack(a *assembly) {
	if a.pooled {
		s.buffers.Put(a.buf)
	}
}

// newAssembly makes a piece. A transfer that holds no memory waits for some; one that does may be what others wait for.
func (s *assemblies) newAssembly(from *origin, piece int) (*assembly, error) {
	_, length := s.object.PieceRange(piece)
	a := &assembly{units: make([]unit, max(1, (length+shoal.BlockUnit-1)/shoal.BlockUnit)), pooled: true}
	from.waiting.Store(true)
	defer from.waiting.Store(false)
	ctx, cancel := context.WithTimeout(from.ctx, bufferPatience)
	defer cancel()
	var err error
	if a.buf, err = s.buffers.Get(ctx, int(length)); err == nil {
		return a, nil
	}
	if err = context.Cause(from.ctx); err != nil {
		return nil, err
	}
	a.buf, a.pooled = make([]byte, length), false
	return a, nil
}

// senders are the sources of a whole piece, with how many of its bytes came from each.
func (a *assembly) senders(yield func(*origin, int64) bool) {
	for k := 0; k < len(a.units); {
		begin := k
		for k < len(a.units) && a.units[k].from == a.units[begin].from {
			k++
		}
		if !yield(a.units[begin].from, int64(min(k*shoal.BlockUnit, len(a.buf))-begin*shoal.BlockUnit)) {
			return
		}
	}
}
