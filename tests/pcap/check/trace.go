// Package check holds what crossed the wire against wire/PROTOCOL.md: it takes the bytes of both directions of Shoal's
// plaintext conversations as a capture has them, decodes every frame, encodes it again, runs the state machine of both
// sides, and tells of each violation by the number of the rule. What the capture lost is a gap and never a violation: then
// nothing is checked that needs what is missing. What each rule is held to stands in Rules.
//
// The order of a capture is the order in which frames were sent, but for those of the two sides that crossed each other: a
// side is held to what it was told only where its own words show that it knew, or after slack.
package check

import (
	"fmt"
	"net/netip"
	"time"
)

// slack is how much later than a rule allows something may be in the capture: between the one who acts and the one who
// captures there are queues, and processes that wait for a processor.
const slack = 5 * time.Second

// Side is one of the two of a connection.
type Side int

// The initiator opened the connection.
const (
	Initiator Side = iota
	Responder
)

func (s Side) String() string {
	if s == Initiator {
		return "initiator"
	}
	return "responder"
}

// other is who the side talks to.
func (s Side) other() Side { return 1 - s }

// Violation is one rule broken once.
type Violation struct {
	Rule  string // its number in PROTOCOL.md
	At    time.Time
	Conn  *Conn
	From  Side   // who broke it
	Frame int    // the index of the frame that shows it among those of From; -1 where it is that there is none
	Text  string // what is wrong
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: %v, frame %d of the %v: %s", v.Rule, v.Conn, v.Frame, v.From, v.Text)
}

// Trace is all Shoal conversations of one capture. Not for concurrent use. The observers are set before the first Open and
// are called from within its methods and those of its Conns.
type Trace struct {
	OnViolation func(Violation)
	OnFrame     func(*Frame)

	now   time.Time // of the latest that was captured
	conns map[*Conn]bool
	count int
	lore  lore
}

// New is a Trace that has seen nothing.
func New() *Trace { return &Trace{conns: map[*Conn]bool{}, lore: newLore()} }

// Open tells of a connection. whole says that the capture has it from its first byte on.
func (t *Trace) Open(initiator, responder netip.AddrPort, at time.Time, whole bool) *Conn {
	c := &Conn{
		Initiator: initiator, Responder: responder, Opened: at, Index: t.count,
		trace: t, blind: !whole, open: map[uint32]*Frame{},
	}
	for side := range c.streams {
		c.streams[side] = stream{conn: c, from: Side(side), seeking: !whole}
	}
	t.count++
	t.conns[c] = true
	t.advance(at)
	return c
}

// Finish tells that the capture is over: what was to come until then and did not is told.
func (t *Trace) Finish() {
	for c := range t.conns {
		c.settle(t.now)
		delete(t.conns, c)
	}
}

// advance takes note of the time, which a capture of several interfaces may have out of order.
func (t *Trace) advance(at time.Time) {
	if at.After(t.now) {
		t.now = at
	}
}
