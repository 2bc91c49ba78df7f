package stream

import (
	"container/list"
	"slices"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/packet"
)

// conn is one connection.
type conn struct {
	flow    flow
	all     *Assembler
	element *list.Element // in all.used
	sides   [2]half
	began   bool // a SYN was captured
	over    bool // both sides have closed, or one has reset it
	now     time.Time
	handler Handler // nil until there is something to tell
}

// half is one direction of a connection.
type half struct {
	known    bool      // next is known
	next     uint32    // the sequence number of the byte that is to come next
	first    uint32    // what next was at first
	queue    []segment // what came too early, in order of its begin; they may overlap
	waiting  int       // bytes in queue, with their cost
	finished bool      // its FIN has come, and with that the byte number that nothing has
	fin      uint32
	closed   bool  // all has been handed on
	again    int64 // bytes that came once more
}

// segment is what waits for bytes before it.
type segment struct {
	begin uint32
	data  []byte
	cut   int // bytes after data that the capture does not have
	at    time.Time
}

func (s *segment) cost() int { return len(s.data) + segmentCost }

// after is how far sequence number a lies after b.
func after(a, b uint32) int { return int(int32(a - b)) }

// supersededBy reports whether p begins another connection, between the same two ports.
func (c *conn) supersededBy(p *packet.Packet, from check.Side) bool {
	if !p.SYN {
		return false
	}
	h := &c.sides[from]
	same := c.began && h.known && h.first == p.Sequence+1
	if p.ACK || from == responder { // the answer to a SYN, or one that crossed it
		return c.over || from == initiator || !same && h.known
	}
	return !same
}

// add takes a segment that one side sent.
func (c *conn) add(p *packet.Packet, from check.Side) {
	c.now = p.At
	h := &c.sides[from]
	sequence := p.Sequence
	if p.SYN {
		c.began = true
		sequence++
		if !h.known {
			h.known, h.next, h.first = true, sequence, sequence
		}
	}
	if p.ACK && !p.RST {
		c.acknowledged(1-from, p.Acknowledged)
	}
	if len(p.Payload)+p.Cut > 0 {
		c.segment(from, segment{sequence, p.Payload, p.Cut, p.At})
	}
	if p.FIN && !h.finished {
		h.finished, h.fin = true, sequence+uint32(len(p.Payload)+p.Cut)
	}
	c.giveUpWaiting(p.At)
	if p.RST {
		c.reset(from)
		return
	}
	for side := range c.sides {
		c.close(check.Side(side))
	}
}

// acknowledged tells that the other side has everything up to a sequence number: what is not here of that never will be.
func (c *conn) acknowledged(side check.Side, until uint32) {
	h := &c.sides[side]
	if !h.known {
		h.known, h.next, h.first = true, until, until
		return
	}
	if h.finished && after(until, h.fin) > 0 {
		until = h.fin
	}
	if n := after(until, h.next); n > 0 && n < plausible {
		c.passTo(side, until)
	}
}

// passTo hands on everything up to a sequence number, with gaps where it is missing.
func (c *conn) passTo(side check.Side, until uint32) {
	h := &c.sides[side]
	for after(until, h.next) > 0 {
		next := until
		if len(h.queue) > 0 && after(h.queue[0].begin, until) < 0 {
			next = h.queue[0].begin
		}
		if n := after(next, h.next); n > 0 {
			c.lose(side, n)
		}
		c.drain(side)
	}
}

// segment hands on what is new in s, or keeps it until what is before it has come. s.data is not kept.
func (c *conn) segment(side check.Side, s segment) {
	h := &c.sides[side]
	if !h.known {
		h.known, h.next, h.first = true, s.begin, s.begin
	}
	if h.closed {
		return // nothing can follow a FIN
	}
	switch early := after(s.begin, h.next); {
	case early >= plausible || early <= -plausible: // of another connection between the same ports
		c.forget(h)
		c.tell().Lost(side, c.now, -1)
		h.next = s.begin
		c.pass(side, s)
	case early > 0:
		c.keep(side, s)
	default:
		c.pass(side, s)
		c.drain(side)
	}
}

// keep queues a segment that came too early.
func (c *conn) keep(side check.Side, s segment) {
	h := &c.sides[side]
	at := len(h.queue)
	for at > 0 && after(h.queue[at-1].begin, s.begin) > 0 {
		at--
	}
	if at > 0 && h.queue[at-1].begin == s.begin && len(h.queue[at-1].data) >= len(s.data) {
		h.again += int64(len(s.data))
		return
	}
	s.data = slices.Clone(s.data)
	h.queue = slices.Insert(h.queue, at, s)
	h.waiting += s.cost()
	c.all.waiting += s.cost()
	for len(h.queue) > 0 && (h.waiting > maxWaiting || len(h.queue) > maxSegments || c.all.waiting > maxAllWaiting) {
		c.giveUp(side)
	}
}

// drain hands on what need not wait any more.
func (c *conn) drain(side check.Side) {
	h := &c.sides[side]
	n := 0
	for n < len(h.queue) && after(h.queue[n].begin, h.next) <= 0 {
		h.waiting -= h.queue[n].cost()
		c.all.waiting -= h.queue[n].cost()
		c.pass(side, h.queue[n])
		n++
	}
	h.queue = slices.Delete(h.queue, 0, n)
}

// pass hands on what is new in a segment that does not begin after the next byte.
func (c *conn) pass(side check.Side, s segment) {
	h := &c.sides[side]
	old := min(after(h.next, s.begin), len(s.data)+s.cut)
	h.again += int64(old)
	data, cut := s.data[min(old, len(s.data)):], s.cut
	if old > len(s.data) {
		cut -= old - len(s.data)
	}
	if len(data) > 0 {
		h.next += uint32(len(data))
		c.tell().Data(side, c.now, data)
	}
	if cut > 0 {
		c.lose(side, cut)
	}
}

// lose tells of n bytes that are missing.
func (c *conn) lose(side check.Side, n int) {
	c.sides[side].next += uint32(n)
	c.tell().Lost(side, c.now, int64(n))
}

// giveUpWaiting makes gaps of what has been waited for too long: a capture may have one direction only.
func (c *conn) giveUpWaiting(now time.Time) {
	for side := range c.sides {
		h := &c.sides[side]
		if len(h.queue) > 0 && now.Sub(h.queue[0].at) > maxWait {
			c.giveUp(check.Side(side))
		}
	}
}

// giveUp makes a gap of what is missing before the first that waits.
func (c *conn) giveUp(side check.Side) {
	h := &c.sides[side]
	if n := after(h.queue[0].begin, h.next); n > 0 {
		c.lose(side, n)
	}
	c.drain(side)
}

// close tells that a side has closed, when all before that has been handed on.
func (c *conn) close(side check.Side) {
	h := &c.sides[side]
	if !h.finished || h.closed || !h.known || after(h.fin, h.next) > 0 {
		return
	}
	h.closed = true
	c.forget(h) // nothing can follow
	c.over = c.sides[1-side].closed
	if c.handler != nil {
		c.handler.Close(side, c.now, false)
	}
}

func (c *conn) reset(side check.Side) {
	c.flush()
	c.over = true
	if c.handler != nil {
		c.handler.Close(side, c.now, true)
	}
}

// flush hands on all that waits.
func (c *conn) flush() {
	for side := range c.sides {
		for h := &c.sides[side]; len(h.queue) > 0; {
			c.giveUp(check.Side(side))
		}
	}
}

// forget drops what waits.
func (c *conn) forget(h *half) {
	c.all.waiting -= h.waiting
	h.queue, h.waiting = nil, 0
}

func (c *conn) finish() {
	if !c.over {
		c.flush()
	}
	if c.handler != nil {
		c.handler.End([2]int64{c.sides[0].again, c.sides[1].again})
	}
}

// tell returns who is told, from the first time on that there is something to tell.
func (c *conn) tell() Handler {
	if c.handler == nil {
		whole := c.began && c.sides[0].known && c.sides[1].known
		c.handler = c.all.open(c.flow.initiator, c.flow.responder, c.now, whole)
	}
	return c.handler
}
