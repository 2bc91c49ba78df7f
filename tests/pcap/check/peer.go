package check

import (
	"slices"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// peerSide is what a connection between peers has shown.
type peerSide struct {
	handles   map[uint32]*Handle // that are open, or were left and the reply has not come
	closed    bounded[uint32, *Handle]
	joining   map[shoal.Swarm]*Frame
	exchanged map[shoal.Swarm]time.Time
	bytes     int64 // of blocks that are asked for
	blocks    int
	liar      *Frame // a reply to EXCHANGE with which the initiator should have ended the connection (rule P27)

	pieces  map[pieceOf]blockSums
	order   []pieceOf
	summing *summing
}

// Handle is a swarm that a connection has joined.
type Handle struct {
	Number uint32
	Swarm  shoal.Swarm

	whole     bool            // everything is announced by the responder
	announced shoal.Bitfield  // or these pieces
	told      map[uint32]bool // that the initiator has
	choked    bool
	chokedAt  time.Time
	unsure    bool   // what was announced, and whether it is choked, was lost in part
	left      bool   // LEAVE was sent
	withdrawn *Frame // WITHDRAW
	tickets   []*identity.Ticket
}

// maxHandles is how many swarms a connection may have joined (rule P2).
const maxHandles = 1024

// has reports whether a piece was announced.
func (h *Handle) has(piece uint32) bool { return h.whole || h.announced.Has(int(piece)) }

// ended reports whether a frame ends the handle.
func (h *Handle) ended(f *Frame) bool {
	m, ok := f.Message.(*wire.Withdraw)
	return ok && m.Handle == h.Number || h.left
}

// peerAsk is what is noted of a request to a peer.
type peerAsk struct {
	handle    *Handle // nil where there is none that is open
	shut      bool    // none is, for certain (rule P4)
	valid     bool    // a block lies where it may (rule P5)
	announced bool    // the piece was announced
	choked    time.Time
	many      bool // too much is open (rule P8)
	soon      bool // an EXCHANGE that comes too soon (rule P25)
	early     bool // one that comes so soon that slack does not matter
}

// openPeer begins what a peer's connection shows.
func (c *Conn) openPeer() {
	if c.peer.handles == nil {
		c.peer = peerSide{
			handles: map[uint32]*Handle{}, closed: newBounded[uint32, *Handle](maxHandles), joining: map[shoal.Swarm]*Frame{},
			exchanged: map[shoal.Swarm]time.Time{}, pieces: map[pieceOf]blockSums{},
		}
	}
}

// toPeer takes a request to a peer.
func (c *Conn) toPeer(f *Frame) {
	c.openPeer()
	if late := c.peer.liar; late != nil && f.At.Sub(late.At) > slack {
		c.peer.liar = nil
		c.violate(f, "P27", "the conversation goes on after a record that is malformed, or has a wrong signature")
	}
	if number, of := handleOf(f.Message); of {
		h := c.peer.handles[number]
		f.Handle, f.ask.peer.handle = h, h
		f.ask.peer.shut = !c.blind && (h == nil || h.left || h.withdrawn != nil)
		if f.ask.peer.shut {
			f.ask.peer.handle = nil
		}
	}
	switch m := f.Message.(type) {
	case *wire.Join:
		c.join(f, m)
	case *wire.Leave:
		if h := f.ask.peer.handle; h != nil {
			h.left = true
		}
	case *wire.Request:
		c.request36(f, m)
	case *wire.HashesRequest:
		if h := f.ask.peer.handle; h != nil {
			f.ask.peer.valid = int64(m.Piece) < int64(h.Swarm.Object.Pieces())
			f.ask.peer.announced = h.has(m.Piece)
		}
	case *wire.Exchange:
		c.exchange(f, m)
	}
}

// handleOf is the handle that a message is about.
func handleOf(m wire.Message) (number uint32, is bool) {
	switch m := m.(type) {
	case *wire.Leave:
		return m.Handle, true
	case *wire.ManifestRequest:
		return m.Handle, true
	case *wire.HashesRequest:
		return m.Handle, true
	case *wire.Request:
		return m.Handle, true
	case *wire.Renew:
		return m.Handle, true
	case *wire.Exchange:
		return m.Handle, true
	case *wire.Have:
		return m.Handle, true
	case *wire.Choke:
		return m.Handle, true
	case *wire.Unchoke:
		return m.Handle, true
	case *wire.Withdraw:
		return m.Handle, true
	}
	return 0, false
}

// fromPeer takes the reply to a request.
func (c *Conn) fromPeer(f *Frame) {
	c.openPeer()
	if f.Request == nil {
		return
	}
	asked := &f.Request.ask.peer
	f.Handle = asked.handle
	if m, failed := f.Message.(*wire.ErrorReply); failed {
		c.peerRefused(f, m)
		return
	}
	if asked.shut {
		c.violate(f, "P4", "the handle is not open")
		return
	}
	if h := asked.handle; h != nil && h.withdrawn != nil && f.Kind != wire.KindLeave {
		c.violate(f, "P11", "the handle was withdrawn")
		return
	}
	switch m := f.Message.(type) {
	case *wire.JoinReply:
		c.joined(f, m)
	case *wire.ManifestReply:
		c.manifest(f, m)
	case *wire.HashesReply:
		c.hashes(f, m)
	case *wire.PieceHead:
		c.piece(f, m)
	case *wire.ExchangeReply:
		c.exchanged(f, m)
	case *wire.Empty:
		c.peerDone(f)
	}
}

// peerDone takes the replies to LEAVE and RENEW.
func (c *Conn) peerDone(f *Frame) {
	h := f.Request.ask.peer.handle
	if h == nil {
		return
	}
	switch m := f.Request.Message.(type) {
	case *wire.Leave:
		c.shut(h)
	case *wire.Renew:
		t, wrong := c.accepts(m.Ticket, demand{c.Device, h.Swarm.Group, identity.MayFetch}, f.At)
		if wrong != nil {
			c.violate(f, "P15", "rule %s: %s", wrong.rule, wrong.text)
			return
		}
		h.tickets = append(h.tickets, t)
		if len(h.tickets) > 4 {
			h.tickets = h.tickets[1:]
		}
	}
}

// shut closes a handle.
func (c *Conn) shut(h *Handle) {
	if c.peer.handles[h.Number] == h {
		delete(c.peer.handles, h.Number)
		c.peer.closed.put(h.Number, h)
	}
}

// join takes JOIN (rule P2).
func (c *Conn) join(f *Frame, m *wire.Join) {
	if c.blind {
		return
	}
	open := 0
	for _, h := range c.peer.handles {
		if h.left || h.withdrawn != nil {
			continue
		}
		if open++; h.Swarm == m.Swarm {
			f.ask.peer.many = true
		}
	}
	if c.peer.joining[m.Swarm] != nil || open+len(c.peer.joining) >= maxHandles {
		f.ask.peer.many = true
	}
	if f.ask.peer.many {
		c.violate(f, "P2", "the swarm is joined, or %d are", open)
	} else {
		c.peer.joining[m.Swarm] = f
	}
}

// joined takes JOIN's reply (rules P2, P3 and P14).
func (c *Conn) joined(f *Frame, m *wire.JoinReply) {
	asked, ok := f.Request.Message.(*wire.Join)
	if !ok {
		return
	}
	c.endJoining(f)
	o := asked.Swarm.Object
	if was := c.peer.handles[m.Handle]; was != nil && was.withdrawn == nil && !was.left || f.Request.ask.peer.many {
		c.violate(f, "P2", "the handle %d is open, or the swarm is", m.Handle)
	}
	h := &Handle{Number: m.Handle, Swarm: asked.Swarm, whole: m.Whole, announced: slices.Clone(m.Bitfield), told: map[uint32]bool{}}
	if !m.Whole && !m.Bitfield.Fits(o.Pieces()) {
		c.violate(f, "P3", "a bitfield of %d bytes, for %d pieces", len(m.Bitfield), o.Pieces())
		h.unsure, h.announced = true, nil
	}
	t, wrong := c.accepts(asked.Ticket, demand{c.Device, asked.Swarm.Group, identity.MayFetch}, f.At)
	switch {
	case wrong != nil && wrong.rule == "E5", wrong != nil && wrong.rule == "C9", wrong != nil && wrong.rule == "C6":
		c.violate(f, wrong.rule, "%s", wrong.text)
	case wrong != nil:
		c.violate(f, "P14", "rule %s: %s", wrong.rule, wrong.text)
	}
	if t != nil {
		h.tickets = append(h.tickets, t)
	}
	f.Handle = h
	c.peer.handles[m.Handle] = h
}

// endJoining takes note that JOIN was answered.
func (c *Conn) endJoining(f *Frame) {
	if asked, ok := f.Request.Message.(*wire.Join); ok && c.peer.joining[asked.Swarm] == f.Request {
		delete(c.peer.joining, asked.Swarm)
	}
}
