package check

import (
	"time"

	"shoal"
	"shoal/wire"
)

const (
	maxBlocks     = 256 // that may be asked for on a connection (rule P8)
	maxBlockBytes = 64 << 20
	// ticketEnds is how long a peer may serve on when a ticket does not count any more (rule P16).
	ticketEnds = 2 * time.Second
)

// request36 takes REQUEST.
func (c *Conn) request36(f *Frame, m *wire.Request) {
	p := &c.peer
	p.blocks++
	p.bytes += int64(m.Length)
	if f.ask.peer.many = p.blocks > maxBlocks || p.bytes > maxBlockBytes; f.ask.peer.many && !c.blind {
		c.violate(f, "P8", "%d requests for %d bytes are unanswered", p.blocks, p.bytes)
	}
	h := f.ask.peer.handle
	if h == nil {
		return
	}
	f.ask.peer.valid = h.Swarm.Object.CheckBlock(int(m.Piece), int64(m.Begin), int64(m.Length)) == nil
	f.ask.peer.announced = !h.unsure && h.has(m.Piece)
	if h.choked {
		f.ask.peer.choked = f.At
	}
}

// endRequest takes note that a REQUEST was answered.
func (c *Conn) endRequest(f *Frame) *wire.Request {
	m, ok := f.Request.Message.(*wire.Request)
	if ok {
		c.peer.blocks--
		c.peer.bytes -= int64(m.Length)
	}
	return m
}

// piece takes PIECE.
func (c *Conn) piece(f *Frame, m *wire.PieceHead) {
	asked := c.endRequest(f)
	h := f.Request.ask.peer.handle
	if h == nil || asked == nil {
		return
	}
	switch {
	case h.choked && !h.unsure:
		c.violate(f, "P19", "the handle is choked")
	case !f.Request.ask.peer.valid:
		c.violate(f, "P5", "the block does not lie where one may: piece %d, %d+%d", asked.Piece, asked.Begin, asked.Length)
	case !h.has(asked.Piece) && !h.unsure:
		c.violate(f, "P6", "piece %d was not announced", asked.Piece)
	case m.Piece != asked.Piece || m.Begin != asked.Begin || f.Data != int(asked.Length):
		c.violate(f, "P7", "piece %d, %d+%d, where %d, %d+%d was asked for", m.Piece, m.Begin, f.Data, asked.Piece, asked.Begin, asked.Length)
	default:
		c.serves16(f, h)
		c.endBlock(f, h, blockAsked{asked.Piece, int64(asked.Begin) + int64(asked.Length)})
	}
}

// serves16 holds rule P16: nothing is served when no ticket counts any more.
func (c *Conn) serves16(f *Frame, h *Handle) {
	by := c.process()
	if c.blind || len(h.tickets) == 0 {
		return
	}
	counts, now := false, c.now(f.At)
	for _, t := range h.tickets {
		end := t.Expires
		if by == nil || !by.reaches(f.At.Add(-ticketEnds)) {
			end = end.Add(t.Grace)
		}
		raised := by != nil && by.highest[t.Group].epoch > t.Epoch && f.At.Sub(by.highest[t.Group].at) > ticketEnds+slack
		counts = counts || !now.After(end.Add(ticketEnds+slack)) && !raised
	}
	if !counts {
		c.violate(f, "P16", "no ticket of the handle counts any more")
	}
}

// peerRefused takes an error: it must be for the reason that its code says.
func (c *Conn) peerRefused(f *Frame, e *wire.ErrorReply) {
	asked := &f.Request.ask.peer
	switch f.Request.Message.(type) {
	case *wire.Request:
		c.endRequest(f)
	case *wire.Join:
		c.endJoining(f)
		if e.Code == shoal.Limit && !asked.many && !c.blind {
			c.violate(f, "P2", "nothing is joined twice, nor too many")
		}
		if e.Code == shoal.Changed {
			return
		}
	}
	_, onHandle := handleOf(f.Request.Message)
	if c.blind || !onHandle {
		return
	}
	if asked.shut {
		if e.Code != shoal.NotFound && e.Code != shoal.Internal {
			c.violate(f, "P4", "the handle is not open, and the answer %v", e.Code)
		}
		return
	}
	c.refusedFor(f, e, asked)
}

// refusedFor holds the reasons of an error about a handle that was open when it was asked.
func (c *Conn) refusedFor(f *Frame, e *wire.ErrorReply, asked *peerAsk) {
	h := asked.handle
	switch e.Code {
	case shoal.NotFound:
		if h.withdrawn == nil && !h.left && f.Kind != wire.KindRenew {
			c.owe(duty{"P4", f.At.Add(time.Second), Responder, "the handle was open, and is not withdrawn", h.ended})
		}
	case shoal.Changed:
		if h.withdrawn == nil {
			c.owe(duty{"P11", f.At.Add(time.Second), Responder, "no WITHDRAW of what has changed", h.ended})
		}
	case shoal.NotHeld:
		if asked.announced {
			c.violate(f, "P6", "the piece was announced")
		}
	case shoal.BadRequest:
		switch {
		case f.Kind == wire.KindRequest && asked.valid:
			c.violate(f, "P5", "the block lies in its piece")
		case f.Kind == wire.KindHashes && asked.valid && !oneBlock(h.Swarm.Object):
			c.violate(f, "P13", "the object is not one block")
		}
	case shoal.Canceled:
		if f.Request.ask.canceled.IsZero() {
			c.violate(f, "P9", "it was not canceled")
		}
	case shoal.Busy:
		if !h.choked && h.chokedAt.Before(f.Request.At) {
			c.violate(f, "P19", "the handle is not choked")
		}
	case shoal.Limit:
		c.limited(f, asked)
	}
}

// limited holds the reasons of a limit.
func (c *Conn) limited(f *Frame, asked *peerAsk) {
	switch {
	case f.Kind == wire.KindRequest && !asked.many:
		c.violate(f, "P8", "no more is asked for than may be")
	case f.Kind == wire.KindExchange && !asked.soon:
		c.violate(f, "P25", "it does not come too soon")
	}
}

func oneBlock(o shoal.Object) bool { return o.Pieces() == 1 && shoal.BlockValueCount(o, 0) == 1 }
