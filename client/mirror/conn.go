package mirror

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shoal"
)

const (
	// gather is how long a request waits for what else is asked for at the same time, and belongs to the same range.
	gather = time.Millisecond
	// longest is how many bytes are asked for in one request.
	longest = 4 << 20
)

// Conn is a mirror that answers. Its methods may be called concurrently.
type Conn struct {
	source    *Source
	sink      Sink
	transport *http.Transport
	url       *url.URL // where redirects have led
	ranges    bool
	etag      string // of what was there first, as modified is
	modified  string
	received  atomic.Int64

	ctx    context.Context // ends with the Conn
	cancel context.CancelCauseFunc

	mu     sync.Mutex // guards the rest, and canceled of each block
	cond   sync.Cond  // queue or ended has changed
	wanted map[extent]*block
	queue  []*block // of those wanted, the ones that no request is under way for, in the order in which they were asked for
	ended  bool
}

// extent is where a block lies, in bytes from the beginning of its piece.
type extent struct{ piece, begin, length int }

// block is one that was asked for.
type block struct {
	extent
	offset   int64 // in the file
	canceled bool
}

func (b *block) end() int64 { return b.offset + int64(b.length) }

var errClosed = errors.New("nothing more is wanted")

// Pieces are those that can be asked for, in PROTOCOL.md's form; nil for all. Without ranges they are the first ones.
func (c *Conn) Pieces() shoal.Bitfield {
	o := c.source.Object
	if c.ranges || o.Size <= rangeless {
		return nil
	}
	set := shoal.NewBitfield(o.Pieces())
	for i := range o.Pieces() {
		if offset, length := o.PieceRange(i); offset+length <= rangeless {
			set.Set(i)
		}
	}
	return set
}

// Received is how many bytes of files have come.
func (c *Conn) Received() int64 { return c.received.Load() }

// Context ends with the Conn.
func (c *Conn) Context() context.Context { return c.ctx }

// Fetch asks for a block. The sink hears how that went, unless it is canceled or the Conn ends.
func (c *Conn) Fetch(piece, begin, length int) {
	offset, _ := c.source.Object.PieceRange(piece)
	b := &block{extent: extent{piece, begin, length}, offset: offset + int64(begin)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted[b.extent] = b
	c.queue = append(c.queue, b)
	c.cond.Signal()
}

// Cancel takes a request back. The block may come all the same, if it is on its way.
func (c *Conn) Cancel(piece, begin, length int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.wanted[extent{piece, begin, length}]
	if b == nil {
		return
	}
	b.canceled = true
	delete(c.wanted, b.extent)
	if k := slices.Index(c.queue, b); k >= 0 {
		c.queue = slices.Delete(c.queue, k, k+1)
	}
}

// Close ends everything. The sink hears the reason, if there is one.
func (c *Conn) Close(reason error) {
	if reason == nil {
		reason = errClosed
	}
	c.cancel(reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.cond.Broadcast()
}

// Run hands what comes to the sink, until something fails or the Conn is closed.
func (c *Conn) Run(sink Sink) {
	c.sink = sink
	slots := connections
	if !c.ranges {
		slots = 1 // as each request brings everything
	}
	free := make(chan struct{}, slots)
	var readers sync.WaitGroup
	for c.await() {
		select {
		case free <- struct{}{}:
		case <-c.ctx.Done():
			continue
		}
		select {
		case <-time.After(gather):
		case <-c.ctx.Done():
		}
		blocks := c.take()
		readers.Go(func() {
			defer func() { <-free }()
			if err := c.read(blocks); err != nil {
				c.Close(err)
			}
		})
	}
	readers.Wait()
	c.transport.CloseIdleConnections()
	if reason := context.Cause(c.ctx); reason != errClosed {
		sink.Lost(reason)
	}
}

// await waits until something is wanted. It returns false when the Conn has ended.
func (c *Conn) await() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.ended {
		c.cond.Wait()
	}
	return !c.ended
}

// take is what to ask for next: the block that has waited longest, and those that follow it in the file; without ranges
// all that are wanted, in the order of the file.
func (c *Conn) take() (blocks []*block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ranges {
		blocks, c.queue = c.queue, nil
		slices.SortFunc(blocks, func(a, b *block) int { return cmp.Compare(a.offset, b.offset) })
		return blocks
	}
	for k := 0; k >= 0 && len(c.queue) > 0; {
		b := c.queue[k]
		blocks = append(blocks, b)
		c.queue = slices.Delete(c.queue, k, k+1)
		if b.end()-blocks[0].offset >= longest {
			break
		}
		k = slices.IndexFunc(c.queue, func(next *block) bool { return next.offset == b.end() })
	}
	return blocks
}
