package check

import (
	"fmt"
	"net/netip"
	"time"

	"shoal"
	"shoal/wire"
)

// Conn is one connection, and what its two sides know of each other by what they said.
type Conn struct {
	Initiator, Responder netip.AddrPort
	Opened               time.Time
	Index                int // of the Trace's connections, from 0

	// What the handshake said, as soon as it did.
	Service  wire.Service   // that the initiator wanted, 0 until then
	Device   shoal.DeviceID // the initiator's
	Identity [32]byte       // the responder's key: a server's, or a peer's device
	Session  uint64         // the server's number for the connection

	trace   *Trace
	streams [2]stream
	blind   bool   // something was lost: what the sides know of each other is not known here
	broken  *Frame // the one after which the conversation should have ended (rule F7)
	wentOn  bool   // it did not, and that was told of

	open      map[uint32]*Frame // requests that are not answered, by their ids
	handshake handshake
	bye       [2]*Frame
	closed    [2]bool
	ended     bool
	duties    []duty
	settled   time.Time // when the duties were looked at

	server serverSide
	peer   peerSide
}

func (c *Conn) String() string {
	return fmt.Sprintf("connection %d from %v to %v", c.Index, c.Initiator, c.Responder)
}

// Data takes the next bytes of one direction, in the order of the capture. b is not kept.
func (c *Conn) Data(from Side, at time.Time, b []byte) {
	c.trace.advance(at)
	if c.ended {
		return
	}
	c.settle(at)
	c.streams[from].feed(at, b)
}

// Lost tells of n bytes of one direction that the capture does not have; n < 0 where it is not known how many.
func (c *Conn) Lost(from Side, n int64) {
	if n != 0 && !c.ended {
		c.streams[from].lose(n)
	}
}

// Close tells of the end of one direction: a FIN, or an RST, after which there is nothing in either.
func (c *Conn) Close(from Side, at time.Time, reset bool) {
	c.trace.advance(at)
	if c.ended {
		return
	}
	c.settle(at)
	c.closed[from] = true
	if reset || c.closed[from.other()] {
		c.end()
	}
}

// end forgets what is not needed any more.
func (c *Conn) end() {
	c.ended = true
	c.forgetPieces()
	c.open, c.duties, c.server, c.peer = nil, nil, serverSide{}, peerSide{}
	delete(c.trace.conns, c)
}

// lose takes note that frames were lost: what was asked may have been answered, and what was said taken back.
func (c *Conn) lose() {
	c.blind = true
	clear(c.open)
	c.duties, c.server.owed = nil, nil
	clear(c.peer.joining)
	for _, h := range c.peer.handles {
		h.unsure = true
	}
}

// alive reports whether neither side has said that it ends.
func (c *Conn) alive() bool {
	return !c.ended && !c.closed[0] && !c.closed[1] && c.bye[0] == nil && c.bye[1] == nil
}

// violate tells of a rule that the sender of f broke.
func (c *Conn) violate(f *Frame, rule, format string, args ...any) {
	c.report(Violation{Rule: rule, At: f.At, From: f.From, Frame: f.Index, Text: fmt.Sprintf("%v: ", f.Header) + fmt.Sprintf(format, args...)})
}

// breakOff is violate where nothing that follows has a meaning: the receiver must close (rule F7).
func (c *Conn) breakOff(f *Frame, rule, format string, args ...any) {
	if c.broken == nil {
		c.violate(f, rule, format, args...)
		c.broken = f
	}
}

// refuse is breakOff by what decoding says.
func (c *Conn) refuse(f *Frame, err error) { c.breakOff(f, ruleOf(err), "%v", err) }

func (c *Conn) report(v Violation) {
	v.Conn = c
	if c.trace.OnViolation != nil {
		c.trace.OnViolation(v)
	}
}
