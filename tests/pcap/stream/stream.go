// Package stream puts captured TCP segments together: into the two streams of each connection, in the order in which the
// capture has them. What a receiver acknowledged and the capture does not have was lost by the capture; it is told as a gap,
// at once. That, and a limit on what waits, is why this is not done by gopacket's reassembly: it waits for a lost segment
// until it is told to give up, and meanwhile hands on the answers to what is missing.
package stream

import (
	"container/list"
	"net/netip"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/packet"
)

// Handler takes what is said on one connection.
type Handler interface {
	// Data takes the next bytes of one side, valid until it returns.
	Data(from check.Side, at time.Time, b []byte)
	// Lost tells of n bytes that the capture does not have; n < 0 where it is not known how many.
	Lost(from check.Side, at time.Time, n int64)
	// Close tells that a side has said all, or by a reset that the connection is over.
	Close(from check.Side, at time.Time, reset bool)
	// End tells that nothing follows, and how many bytes each side sent again.
	End(again [2]int64)
}

// Limits of what waits for bytes that are missing before it. What exceeds them makes a gap.
const (
	maxWaiting     = 8 << 20  // bytes of one side
	maxAllWaiting  = 64 << 20 // bytes of all connections
	maxSegments    = 4096     // of one side
	segmentCost    = 128      // bytes that a segment takes besides its own
	maxWait        = 3 * time.Second
	maxConnections = 1 << 16 // those that were silent the longest are given up
	plausible      = 1 << 30 // how far apart sequence numbers of one connection are, at most
)

const (
	initiator = check.Initiator
	responder = check.Responder
)

// Assembler puts segments together. One goroutine may use it.
type Assembler struct {
	open    func(initiator, responder netip.AddrPort, at time.Time, whole bool) Handler
	conns   map[flow]*conn
	used    *list.List // of *conn, those used last in front
	waiting int        // bytes in all queues, with their cost
}

type flow struct{ initiator, responder netip.AddrPort }

// New is an Assembler that calls open at the first byte of each connection. whole says that the capture has it from its beginning
// on; else which side is the initiator may be a guess.
func New(open func(initiator, responder netip.AddrPort, at time.Time, whole bool) Handler) *Assembler {
	return &Assembler{open: open, conns: map[flow]*conn{}, used: list.New()}
}

// Add takes the next segment of the capture.
func (a *Assembler) Add(p *packet.Packet) {
	c, from := a.find(p)
	if c == nil || c.supersededBy(p, from) {
		if c != nil {
			a.end(c)
		}
		if c, from = a.begin(p); c == nil {
			return
		}
	}
	a.used.MoveToFront(c.element)
	if !c.over {
		c.add(p, from)
	}
}

// find returns the connection that p is of, and which side sent it; nil where there is none.
func (a *Assembler) find(p *packet.Packet) (*conn, check.Side) {
	if c := a.conns[flow{p.Source, p.Destination}]; c != nil {
		return c, initiator
	}
	return a.conns[flow{p.Destination, p.Source}], responder
}

// begin makes the connection that p is the first segment of, nil where that is none worth having.
func (a *Assembler) begin(p *packet.Packet) (*conn, check.Side) {
	sent, from := flow{p.Source, p.Destination}, initiator
	switch {
	case !p.SYN && len(p.Payload)+p.Cut == 0:
		return nil, from
	case p.SYN && p.ACK, !p.SYN && p.Source.Port() < p.Destination.Port(): // services have low ports, as a rule
		sent, from = flow{p.Destination, p.Source}, responder
	}
	if len(a.conns) == maxConnections {
		oldest, _ := a.used.Back().Value.(*conn)
		a.end(oldest)
	}
	c := &conn{flow: sent, all: a}
	c.element = a.used.PushFront(c)
	a.conns[sent] = c
	return c, from
}

func (a *Assembler) end(c *conn) {
	c.finish()
	a.used.Remove(c.element)
	delete(a.conns, c.flow)
}

// Finish tells that the capture is over.
func (a *Assembler) Finish() {
	for e := a.used.Back(); e != nil; e = a.used.Back() {
		c, _ := e.Value.(*conn)
		a.end(c)
	}
}
