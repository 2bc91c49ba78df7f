package peer

import (
	"sync"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/wire"
)

const (
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

	kernel backlog // the writing goroutine's, as turn is
	turn   turn

	mu        sync.Mutex // guards the rest
	room      sync.Cond  // the queue of frames got shorter, or the sender ended
	frames    []byte
	haves     map[uint32][]uint32 // pieces to announce, by handle
	asked     []block             // that their items' machines have not granted yet
	granted   []block             // that are to be sent
	openBytes int64               // of both
	sending   *block              // on its way
	cut       *time.Timer
	ended     bool
	over      chan struct{} // closed when ended
	wake      chan struct{} // capacity 1: there is something to do, or the sender ended
}

func newSender(c *wire.Conn, kernel backlog, check func(*item) error, up *Limit, places places) *sender {
	s := &sender{
		conn: c, bulk: newBulkWriter(c), kernel: kernel, check: check, turn: turn{up: up, places: places}, haves: map[uint32][]uint32{},
		over: make(chan struct{}), wake: make(chan struct{}, 1),
	}
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

func (s *sender) event(k wire.Kind, m wire.Message) {
	s.queue(func(b []byte) []byte { return wire.AppendEvent(b, k, m) })
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
	if !s.ended {
		s.ended = true
		close(s.over)
	}
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
			if err := s.serveNext(next); err != nil {
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

// next takes the frames that wait, or, when there are none, tells the next block. more is false when the sender has ended.
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
	if len(s.granted) > 0 {
		first := s.granted[0]
		b = &first
	}
	return spare[:0], b, true
}

// serveNext sends a block when its turn has come, unless there is something else to say before, or it was taken back.
func (s *sender) serveNext(b *block) error {
	if !s.turn.wait(b, s.wake) {
		return nil
	}
	defer s.turn.end()
	if s.begin(b) {
		return s.sendBlock(b)
	}
	return nil
}

// begin takes the block out of those that were granted, if it is still the first.
func (s *sender) begin(b *block) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.granted) == 0 || s.granted[0].id != b.id {
		return false
	}
	s.take(&s.granted, 0)
	s.sending = b
	return true
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
	sent := 0
	defer func() {
		s.sent()
		b.member.sent(b, sent)
	}()
	content, err := b.member.open()
	if err != nil {
		s.refuse(wire.KindRequest, b.id, err)
		return nil
	}
	defer content.Release()
	if err := s.check(b.member.item); err != nil {
		s.refuse(wire.KindRequest, b.id, err)
		return nil
	}
	s.kernel.fit(b.length)
	err = s.bulk.write(wire.PieceHead{Piece: b.piece, Begin: b.begin}, b.id, content, b.offset, int64(b.length), s.more)
	if err == nil {
		sent = int(b.length)
	}
	return err
}

// more lets a block's bytes go as the limits allow.
func (s *sender) more(left int64) (int64, error) {
	n := s.turn.more(left, s.over)
	if n == 0 {
		return 0, shoal.Errorf(shoal.Canceled, "the connection ends while a block waits for a limit")
	}
	return n, nil
}
