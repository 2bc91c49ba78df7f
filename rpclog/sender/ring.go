package sender

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rs/zerolog"
)

const (
	shards    = 8
	shardSize = 64 << 10 // bytes; twice that with the half that is being read
	maxLine   = 16 << 10 // bytes of a line that are kept
	lineHead  = 8 + 4    // ticket, length and level

	// Each granule of a shard that fills is added to ring.waiting, and with wakeAt bytes the reader is woken. That may cost
	// the caller many microseconds, so it is for when lines come faster all of a sudden; else the reader looks in time.
	granule = 16 << 10
	wakeAt  = shards * shardSize / 2
)

// ring takes lines from any number of goroutines and hands them to one reader, in order.
//
// A caller copies its line into one of several shards, so that callers seldom meet, and none waits for more than another
// one's copying. Under the shard's lock the line draws a ticket. The reader takes all shards at once, with every lock
// held, so that whatever drew a lower ticket than a line it has got is there too; it then reads by tickets. So two lines
// of which one was written before the other, by the same goroutine or not, keep their order.
//
// What finds no room is counted where it would have been.
type ring struct {
	tickets atomic.Uint64 // drawn so far, one for each call
	_       [56]byte
	waiting atomic.Int64 // bytes, rounded down to granules
	_       [56]byte
	full    atomic.Bool   // a line found no room; nor will others, until the reader comes
	signal  chan struct{} // wakes the reader; holds one
	_       [48]byte
	shards  [shards]shard

	spare [shards][]byte // the halves that are not being written; the reader's
}

type shard struct {
	mu     sync.Mutex // guards the rest
	buf    []byte     // lines in the order of their tickets: ticket, length and level, text; nil when there are no more readers
	used   int
	lost   uint64 // lines that found no room
	lostAt uint64 // the ticket of the first of them
	_      [128 - 56]byte
}

func newRing() *ring {
	r := &ring{signal: make(chan struct{}, 1)}
	// One piece of memory, of which the system provides only what is touched.
	rest := make([]byte, 2*shards*shardSize)
	for i := range r.shards {
		r.shards[i].buf, r.spare[i], rest = rest[:shardSize:shardSize], rest[shardSize:2*shardSize:2*shardSize], rest[2*shardSize:]
	}
	return r
}

// put takes a line, or counts it as lost. It does not keep line.
func (r *ring) put(level zerolog.Level, line []byte) {
	line = line[:min(len(line), maxLine)]
	// A goroutine's own shard, as long as its stack does not move: the shard's lines are in this processor's cache.
	var here byte
	home := uint(uint64(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B97F4A7C15 >> (64 - 3))
	if !r.full.Load() && r.putAt(home, level, line) {
		return
	}
	s := &r.shards[home]
	s.mu.Lock()
	// As long as this shard has no room the reader has not come since any other was found to have none.
	if !s.fits(line) {
		r.full.Store(true)
	} else if !r.full.Load() {
		r.add(s, level, line)
		return
	}
	if ticket := r.tickets.Add(1); s.lost == 0 {
		s.lostAt = ticket
	}
	s.lost++
	s.mu.Unlock()
}

// putAt takes a line if there is room in any shard.
func (r *ring) putAt(home uint, level zerolog.Level, line []byte) bool {
	busy := false
	for i := range uint(shards) {
		s := &r.shards[(home+i)%shards]
		if !s.mu.TryLock() {
			busy = true
		} else if r.add(s, level, line) {
			return true
		}
	}
	for i := uint(0); busy && i < shards; i++ {
		s := &r.shards[(home+i)%shards]
		s.mu.Lock()
		if r.add(s, level, line) {
			return true
		}
	}
	return false
}

func (s *shard) fits(line []byte) bool { return s.used+lineHead+len(line) <= len(s.buf) }

// add puts a line into a shard whose lock is held, if there is room, and releases the lock.
func (r *ring) add(s *shard, level zerolog.Level, line []byte) bool {
	if !s.fits(line) {
		s.mu.Unlock()
		return false
	}
	end := s.used + lineHead + len(line)
	b := s.buf[s.used:end]
	binary.LittleEndian.PutUint64(b, r.tickets.Add(1))
	binary.LittleEndian.PutUint32(b[8:], uint32(len(line))<<8|uint32(uint8(level)))
	copy(b[lineHead:], line)
	filled := end/granule - s.used/granule
	s.used = end
	s.mu.Unlock()
	if filled > 0 && r.waiting.Add(int64(filled)*granule) >= wakeAt {
		select {
		case r.signal <- struct{}{}:
		default: // it is being woken
		}
	}
	return true
}

// stretch is what one shard held.
type stretch struct {
	lines        []byte // what is left of them
	lost, lostAt uint64
}

// take reads what there is, in order: line for each line, valid until it returns, and lost where that many found no room.
// It returns how many bytes that were. There may be only one reader. After the last time lines are not taken any more, and
// counted as lost.
func (r *ring) take(last bool, line func(zerolog.Level, []byte), lost func(uint64)) (bytes int) {
	var taken [shards]stretch
	for i := range r.shards {
		r.shards[i].mu.Lock()
	}
	r.waiting.Store(0)
	r.full.Store(last)
	for i := range r.shards {
		s := &r.shards[i]
		bytes += s.used
		taken[i] = stretch{s.buf[:s.used], s.lost, s.lostAt}
		s.buf, r.spare[i] = r.spare[i], s.buf
		s.used, s.lost = 0, 0
		if last {
			s.buf = nil
		}
	}
	for i := range r.shards {
		r.shards[i].mu.Unlock()
	}
	for {
		var next *stretch
		first := ^uint64(0)
		for i := range taken {
			if ticket, any := taken[i].ticket(); any && ticket < first {
				next, first = &taken[i], ticket
			}
		}
		if next == nil {
			return bytes
		}
		if next.lost > 0 && next.lostAt == first {
			lost(next.lost)
			next.lost = 0
			continue
		}
		head := binary.LittleEndian.Uint32(next.lines[8:])
		end := lineHead + int(head>>8)
		line(zerolog.Level(int8(head)), next.lines[lineHead:end])
		next.lines = next.lines[end:]
	}
}

// ticket returns the lowest ticket that is left.
func (s *stretch) ticket() (ticket uint64, any bool) {
	if len(s.lines) > 0 {
		ticket, any = binary.LittleEndian.Uint64(s.lines), true
	}
	if s.lost > 0 && (!any || s.lostAt < ticket) {
		return s.lostAt, true
	}
	return ticket, any
}

// unread returns how many lines found no room since the reader took the last.
func (r *ring) unread() (lost uint64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		lost += s.lost
		s.mu.Unlock()
	}
	return lost
}
