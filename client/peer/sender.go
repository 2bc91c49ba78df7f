package peer

import (
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/wire"
)

const (
	// maxOpen and maxOpenBytes are what one connection may have asked for and not been answered (rule P8).
	maxOpen      = 256
	maxOpenBytes = 64 << 20
	// enoughQueued is how many bytes of frames may wait before the connection's requests do.
	enoughQueued = 256 << 10
	// writeTimeout is how long the other side may take to accept some bytes.
	writeTimeout = 60 * time.Second
	// cutAfter is how long a block may go on being sent whose swarm was withdrawn; then the connection ends.
	cutAfter = 500 * time.Millisecond
)

// sender writes one connection. Frames wait in two queues: blocks, and everything else, which goes first (rule F8).
type sender struct {
	conn  *wire.Conn
	bulk  bulkWriter
	check func(*item) error // whether the file is still what was published; it withdraws one that is not

	mu        sync.Mutex // guards the rest
	room      sync.Cond  // the queue of frames got shorter, or the sender ended
	frames    []byte
	haves     map[uint32][]uint32 // pieces to announce, by handle
	blocks    []block
	openBytes int64
	sending   *block // on its way
	cut       *time.Timer
	ended     bool
	wake      chan struct{} // capacity 1: there is something to do, or the sender ended
}

// block is a REQUEST that waits for its reply.
type block struct {
	id     uint32
	member *member
	piece  uint32
	begin  uint32
	length uint32
	offset int64 // in the file, bytes
}

func newSender(c *wire.Conn, check func(*item) error) *sender {
	s := &sender{conn: c, bulk: newBulkWriter(c), check: check, haves: map[uint32][]uint32{}, wake: make(chan struct{}, 1)}
	s.room.L = &s.mu
	return s
}

func (s *sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// queue appends frames. Once the sender has ended, there is nothing more to say (rule H10).
func (s *sender) queue(appendTo func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.frames = appendTo(s.frames)
	s.signal()
}

func (s *sender) reply(k wire.Kind, id uint32, m wire.Message) {
	s.queue(func(b []byte) []byte { return wire.AppendReply(b, k, id, m) })
}

func (s *sender) refuse(k wire.Kind, id uint32, err error) {
	s.queue(func(b []byte) []byte { return wire.AppendError(b, k, id, err) })
}

func (s *sender) have(handle, piece uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.haves[handle] = append(s.haves[handle], piece)
	s.signal()
}

// forget drops what a handle that ends still had to say.
func (s *sender) forget(handle uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.haves, handle)
}

// withdraw ends a handle. A block of it that is on its way may arrive, unless that takes long.
func (s *sender) withdraw(handle uint32, why error) {
	s.mu.Lock()
	delete(s.haves, handle)
	if s.sending != nil && s.sending.member.handle == handle && s.cut == nil {
		s.cut = time.AfterFunc(cutAfter, func() { link.Cut(s.conn.Conn) })
	}
	s.mu.Unlock()
	reason := wire.NewErrorReply(why)
	s.queue(func(b []byte) []byte {
		return wire.AppendEvent(b, wire.KindWithdraw, &wire.Withdraw{Handle: handle, Code: reason.Code, Text: reason.Text})
	})
}

// bye says why the connection ends, after what is queued already and instead of everything else, and makes run return.
func (s *sender) bye(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.haves)
	if !s.ended {
		s.frames = wire.AppendEvent(s.frames, wire.KindBye, wire.NewBye(why))
	}
	s.stop()
}

// isOpen reports whether a block is queued for the request.
func (s *sender) isOpen(id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.blocks, func(b block) bool { return b.id == id })
}

// block queues a block, unless the other side has too many open.
func (s *sender) block(b block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blocks) >= maxOpen || s.openBytes+int64(b.length) > maxOpenBytes {
		err := shoal.Errorf(shoal.Limit, "more than %d requests or %d bytes are open (rule P8)", maxOpen, maxOpenBytes)
		s.frames = wire.AppendError(s.frames, wire.KindRequest, b.id, err)
	} else {
		s.blocks = append(s.blocks, b)
		s.openBytes += int64(b.length)
	}
	s.signal()
}

// cancel answers a queued block by an error; one that is not queued any more is on its way, or was answered.
func (s *sender) cancel(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.blocks {
		if b.id == id {
			s.blocks = append(s.blocks[:i], s.blocks[i+1:]...)
			s.openBytes -= int64(b.length)
			s.frames = wire.AppendError(s.frames, wire.KindRequest, id, shoal.Errorf(shoal.Canceled, "canceled"))
			s.signal()
			return
		}
	}
}

// waitForRoom makes a reader wait while much is queued, so that who does not read is not read from either.
func (s *sender) waitForRoom() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.frames) > enoughQueued && !s.ended {
		s.room.Wait()
	}
}

// end makes run return, after the frames that are queued already.
func (s *sender) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

// stop is end for who holds mu.
func (s *sender) stop() {
	s.ended = true
	s.room.Broadcast()
	s.signal()
}

// run writes until end is called, or the connection breaks; that it then closes, so that its reader ends too.
func (s *sender) run() {
	if s.write() != nil {
		link.Cut(s.conn.Conn)
	}
	s.end()
}

func (s *sender) write() error {
	var spare []byte
	for {
		frames, next, more := s.next(spare)
		if len(frames) > 0 {
			_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := s.conn.Write(frames); err != nil {
				return err
			}
		}
		spare = frames
		if next != nil {
			if err := s.sendBlock(next); err != nil {
				return err
			}
			continue
		}
		if !more {
			return nil
		}
		if len(frames) == 0 {
			<-s.wake
		}
	}
}

// next takes the frames that wait, or, when there are none, the next block. more is false when the sender has ended.
func (s *sender) next(spare []byte) (frames []byte, b *block, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for handle, pieces := range s.haves {
		for len(pieces) > 0 {
			n := min(len(pieces), wire.MaxHave)
			s.frames = wire.AppendEvent(s.frames, wire.KindHave, &wire.Have{Handle: handle, Pieces: pieces[:n]})
			pieces = pieces[n:]
		}
		delete(s.haves, handle)
	}
	if len(s.frames) > 0 {
		frames, s.frames = s.frames, spare[:0]
		if cap(s.frames) > enoughQueued {
			s.frames = nil
		}
		s.room.Broadcast()
		return frames, nil, true
	}
	if s.ended {
		return nil, nil, false
	}
	if len(s.blocks) > 0 {
		first := s.blocks[0]
		s.blocks = s.blocks[:copy(s.blocks, s.blocks[1:])]
		s.openBytes -= int64(first.length)
		b = &first
		s.sending = b
	}
	return spare[:0], b, true
}

// sent ends what withdraw began for the block that was on its way.
func (s *sender) sent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = nil
	if s.cut != nil {
		s.cut.Stop()
		s.cut = nil
	}
}

// sendBlock answers a REQUEST: by the block, or by an error when the file has changed or is gone. An error it returns
// has left the connection in the middle of a frame.
func (s *sender) sendBlock(b *block) error {
	defer s.sent()
	content, err := b.member.hold()
	if err != nil {
		s.refuse(wire.KindRequest, b.id, err)
		return nil
	}
	defer content.Release()
	if err := s.check(b.member.item); err != nil {
		s.refuse(wire.KindRequest, b.id, err)
		return nil
	}
	return s.bulk.write(wire.PieceHead{Piece: b.piece, Begin: b.begin}, b.id, content, b.offset, int64(b.length))
}
