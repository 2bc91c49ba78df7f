package check

import (
	"time"

	"shoal/wire"
)

// answerTime is how long a request may wait for its reply; one for a block waits for others' as well.
const (
	answerTime = time.Minute
	blockTime  = 10 * time.Minute
	maxOpen    = 1 << 16 // requests of one connection
)

// fromInitiator, fromPeer and fromServer are the events that each may send (rule F6).
var (
	fromInitiator = kinds(wire.KindCancel, wire.KindHave, wire.KindBye)
	fromPeer      = kinds(wire.KindHave, wire.KindChoke, wire.KindUnchoke, wire.KindWithdraw, wire.KindBye)
	fromServer    = kinds(wire.KindEpoch, wire.KindGone, wire.KindRevoked, wire.KindBye)
	servedByBoth  = kinds(wire.KindHello, wire.KindAuth, wire.KindPing, wire.KindBye, wire.KindCancel)
	servedByPeer  = kinds(wire.KindJoin, wire.KindLeave, wire.KindManifest, wire.KindHashes, wire.KindRequest, wire.KindRenew,
		wire.KindExchange, wire.KindHave)
)

func kinds(all ...wire.Kind) map[wire.Kind]bool {
	set := map[wire.Kind]bool{}
	for _, k := range all {
		set[k] = true
	}
	return set
}

// ask is what the checker notes of a request until it is answered.
type ask struct {
	canceled time.Time // when CANCEL came
	told     bool      // that it was not answered in time
	peer     peerAsk
}

// take takes a whole frame.
func (c *Conn) take(f *Frame) {
	c.link(f)
	switch {
	case c.broken != nil:
		c.goesOn(f)
	case c.greet(f) || c.broken != nil:
	case f.From == Initiator && f.IsReply():
		c.breakOff(f, "F5", "a reply to a responder, which asks for nothing")
	case f.From == Initiator:
		c.fromInitiator(f)
	default:
		c.fromResponder(f)
	}
	if f.Kind == wire.KindBye && c.bye[f.From] == nil {
		c.bye[f.From] = f
	}
	if c.trace.OnFrame != nil {
		c.trace.OnFrame(f)
	}
}

// link finds the request of a reply.
func (c *Conn) link(f *Frame) {
	if asked := c.open[f.ID]; f.From == Responder && f.IsReply() && asked != nil && asked.Kind == f.Kind {
		f.Request = asked
	}
}

// goesOn holds rule F7: who hears what is against a rule closes, and does not serve it.
func (c *Conn) goesOn(f *Frame) {
	b := c.broken
	if f.From == b.From || f.Kind == wire.KindBye || b == f || c.wentOn {
		return
	}
	served := f.IsReply() && f.Flags&wire.FlagError == 0 && f.Kind == b.Kind && f.ID == b.ID && !b.IsReply()
	if late := f.At.Sub(b.At) > handshakeTime; served || late {
		c.violate(f, "F7", "the conversation goes on after %v", b.Header)
		c.wentOn = true // it is told once
	}
}

func (c *Conn) fromInitiator(f *Frame) {
	switch {
	case f.ID == 0 && !fromInitiator[f.Kind]:
		c.breakOff(f, "F6", "an event that no initiator sends")
	case c.Service != 0 && !c.serves(f.Kind):
		c.breakOff(f, "F2", "it is not served here")
	case f.ID == 0:
		c.event(f)
	default:
		c.ask(f)
		if c.broken == nil && f.Message != nil {
			c.request(f)
		}
	}
}

// serves reports whether the responder's role serves what has that kind.
func (c *Conn) serves(k wire.Kind) bool {
	return servedByBoth[k] || servedByPeer[k] == (c.Service == wire.ServicePeer)
}

// ask notes a request, whose id must not be open.
func (c *Conn) ask(f *Frame) {
	if was := c.open[f.ID]; was != nil && !c.blind {
		c.breakOff(f, "F3", "the id of %v, which has not been answered", was.Header)
		return
	}
	if len(c.open) >= maxOpen {
		c.lose() // nobody keeps so much in mind
	}
	c.open[f.ID] = f
}

func (c *Conn) fromResponder(f *Frame) {
	switch {
	case f.ID != 0 && !f.IsReply():
		c.breakOff(f, "F6", "a request by a responder")
	case f.ID == 0 && c.Service == wire.ServicePeer && !fromPeer[f.Kind], f.ID == 0 && c.Service == wire.ServiceServer && !fromServer[f.Kind]:
		c.breakOff(f, "F6", "an event that this responder does not send")
	case f.ID == 0:
		c.event(f)
	case f.Request == nil && !c.blind:
		c.breakOff(f, "F5", "a reply to nothing that was asked, or was answered already")
	default:
		delete(c.open, f.ID)
		if f.Message != nil {
			c.answered(f)
		}
	}
}

// answered takes the reply to a request.
func (c *Conn) answered(f *Frame) {
	if m, failed := f.Message.(*wire.ErrorReply); failed && f.Request != nil {
		c.checkCode(f, m)
	}
	if c.Service == wire.ServicePeer {
		c.fromPeer(f)
	} else if c.Service == wire.ServiceServer {
		c.fromServer(f)
	}
}

// request takes one of the initiator's.
func (c *Conn) request(f *Frame) {
	if c.Service == wire.ServicePeer {
		c.toPeer(f)
	} else if c.Service == wire.ServiceServer {
		c.toServer(f)
	}
}

// event takes one of either side's.
func (c *Conn) event(f *Frame) {
	if f.Message == nil {
		return
	}
	if c.Service == wire.ServicePeer {
		c.peerEvent(f)
	} else if c.Service == wire.ServiceServer {
		c.serverEvent(f)
	}
}
