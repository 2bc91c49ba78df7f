package oncrpc

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// keepBuffer is the size of the buffers that a connection keeps between calls; flushAt is how many bytes of replies may
// wait while there are more calls to read.
const (
	keepBuffer = 64 << 10
	flushAt    = 64 << 10
)

// largeRecords are *[]byte of over keepBuffer bytes that connections have used for a record: who sends much goes on with
// what is warm.
var largeRecords sync.Pool

// serverConn is a connection as the server sees it. All but raw and what connSet has is its goroutine's.
type serverConn struct {
	server *Server
	raw    net.Conn // as accepted; whoever evicts the connection closes it
	nc     net.Conn // raw, or TLS over it
	in     *recordReader
	record []byte // the last record
	out    []byte // replies to be written
	call   Call

	set    *connSet // whose mutex guards what is below
	here   bool     // it is in the set
	proven bool     // its caller has proven something
	place  *list.Element
	among  *list.List // where place is
}

func (s *Server) newConn(nc net.Conn) *serverConn {
	c := &serverConn{server: s, raw: nc, nc: nc}
	c.in = newRecordReader(&source{conn: nc}, s.maxRecord())
	c.in.idle, c.in.whole, c.in.large = idleTime, recordTime, &largeRecords
	c.call.Remote = nc.RemoteAddr()
	return c
}

// run serves the connection until it ends, breaks a rule, or ctx ends.
func (c *serverConn) run(ctx context.Context) {
	defer c.raw.Close()
	defer context.AfterFunc(ctx, func() {
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
		_ = c.raw.SetWriteDeadline(time.Now().Add(farewellTime))
	})()
	c.in.src.waiting = func() error { return c.beforeWaiting(ctx) }
	err := c.serve(ctx)
	if err == nil || err == io.EOF || ctx.Err() != nil {
		_ = c.flush(ctx) // the last replies, to who has no more to ask
		return
	}
	if errors.Is(err, ErrRecord) {
		c.server.refused()
	}
	c.server.Log.Debug().Stringer("address", c.call.Remote).AnErr("reason", err).Msg("an RPC connection ended")
}

func (c *serverConn) serve(ctx context.Context) error {
	for ctx.Err() == nil {
		var err error
		if c.record, err = c.in.next(c.record); err != nil {
			return err
		}
		c.set.begin(c)
		start := len(c.out)
		c.out = openRecord(c.out)
		var upgrade bool
		c.out, upgrade, err = c.server.answer(ctx, &c.call, c.record, c.out)
		if err != nil {
			c.out = c.out[:start]
			return errors.Join(err, c.flush(ctx))
		}
		if cap(c.record) > keepBuffer { // who is silent keeps nothing large
			record := c.record
			c.record = nil
			largeRecords.Put(&record)
		}
		if err = closeRecord(c.out, start, 0); err != nil {
			return err
		}
		if upgrade || len(c.out) >= flushAt {
			if err = c.flush(ctx); err != nil {
				return err
			}
		}
		c.set.end(c)
		if upgrade {
			if err = c.startTLS(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// beforeWaiting is called when there is nothing more to do but to wait for the network.
func (c *serverConn) beforeWaiting(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	// Reading has set a deadline, and must not thereby undo the one that the end of ctx has set.
	return ctx.Err()
}

// flush writes the replies. What grew for a large one is given back.
func (c *serverConn) flush(ctx context.Context) error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.nc.SetWriteDeadline(time.Now().Add(writeTime))
	if ctx.Err() != nil { // only now, so that the deadline that the end of ctx sets is not undone
		err = c.nc.SetWriteDeadline(time.Now().Add(farewellTime))
	}
	if err == nil {
		_, err = c.nc.Write(c.out)
	}
	if c.out = c.out[:0]; cap(c.out) > keepBuffer {
		c.out = nil
	}
	if err != nil {
		return fmt.Errorf("writing replies: %w", err)
	}
	return nil
}

// startTLS turns the connection into one over TLS (RFC 9289 section 4.1). What came after the probe in plaintext is taken
// for the beginning of TLS, so that nobody can slip in a call.
func (c *serverConn) startTLS(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	conn := tls.Server(&prefixed{c.raw, c.in.r.Buffered(), c.in.r}, withALPN(c.server.TLS))
	if err := handshake(ctx, conn); err != nil {
		return err
	}
	c.nc = conn
	src := *c.in.src
	src.conn = conn
	in := newRecordReader(&src, c.in.limit)
	in.idle, in.whole, in.large = c.in.idle, c.in.whole, c.in.large
	c.in = in
	c.call.Secure = true
	return nil
}

// connSet is the connections of a listener.
type connSet struct {
	limit int
	mu    sync.Mutex // guards the rest, and what members say
	count int
	// strange and proven are *serverConn that are at no call, and have or have not proven something, who called last longest ago
	// first.
	strange, proven list.List
}

func newConnSet(limit int) *connSet {
	if limit <= 0 {
		limit = defaultConnections
	}
	return &connSet{limit: limit}
}

// enter adds c. Where there is no place, the connection that called last longest ago is closed, of those whose caller has
// proven nothing if there are such; false if all are at a call.
func (s *connSet) enter(c *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= s.limit {
		oldest := s.strange.Front()
		if oldest == nil {
			oldest = s.proven.Front()
		}
		if oldest == nil {
			return false
		}
		o := oldest.Value.(*serverConn)
		s.remove(o)
		o.raw.Close()
	}
	c.set = s
	c.here = true
	s.count++
	s.wait(c)
	return true
}

// wait puts c among those that are at no call. mu is held.
func (s *connSet) wait(c *serverConn) {
	c.among = &s.strange
	if c.proven {
		c.among = &s.proven
	}
	c.place = c.among.PushBack(c)
}

// busy takes c from among those. mu is held.
func (s *connSet) busy(c *serverConn) {
	if c.place != nil {
		c.among.Remove(c.place)
		c.place = nil
	}
}

// remove takes c out. mu is held.
func (s *connSet) remove(c *serverConn) {
	if c.here {
		s.busy(c)
		c.here = false
		s.count--
	}
}

func (s *connSet) leave(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(c)
}

// begin notes that c is at a call.
func (s *connSet) begin(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy(c)
}

// end notes that c has no call any more.
func (s *connSet) end(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.proven = c.call.Proven; c.here {
		s.wait(c)
	}
}
