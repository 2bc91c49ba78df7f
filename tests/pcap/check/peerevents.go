package check

import (
	"shoal/wire"
)

// peerEvent takes an event between peers.
func (c *Conn) peerEvent(f *Frame) {
	c.openPeer()
	if number, of := handleOf(f.Message); of {
		f.Handle = c.peer.handles[number]
	}
	c.meet(f)
	switch m := f.Message.(type) {
	case *wire.Cancel:
		if asked := c.open[m.ID]; asked != nil && asked.ask.canceled.IsZero() {
			asked.ask.canceled = f.At
		}
	case *wire.Have:
		c.have(f, m)
	case *wire.Choke:
		c.choke(f, true)
	case *wire.Unchoke:
		c.choke(f, false)
	case *wire.Withdraw:
		c.withdraw(f, m)
	}
}

// never reports that an event is about a handle that there never was. One that was closed meanwhile is ignored.
func (c *Conn) never(f *Frame, number uint32, rule string) bool {
	if c.peer.handles[number] != nil || c.blind {
		return c.peer.handles[number] == nil
	}
	if !c.peer.closed.has(number) {
		c.violate(f, rule, "the handle %d is none", number)
	} else if h := c.peer.closed.get(number); f.From == Responder && h.withdrawn != nil {
		c.violate(f, "P11", "the handle %d was withdrawn", number)
	}
	return true
}

// have takes HAVE of either side (rules P12 and P22).
func (c *Conn) have(f *Frame, m *wire.Have) {
	rule := "P12"
	if f.From == Initiator {
		rule = "P22"
	}
	if c.never(f, m.Handle, rule) {
		return
	}
	h := c.peer.handles[m.Handle]
	for _, p := range m.Pieces {
		known := h.told[p]
		if f.From == Responder {
			known = h.has(p)
		}
		switch {
		case int64(p) >= int64(h.Swarm.Object.Pieces()):
			c.violate(f, rule, "piece %d of %d", p, h.Swarm.Object.Pieces())
			return
		case known && !h.unsure:
			c.violate(f, rule, "piece %d is named again", p)
			return
		case f.From == Initiator:
			h.told[p] = true
		case int(p/8) < len(h.announced):
			h.announced.Set(int(p))
		}
	}
}

// choke takes CHOKE and UNCHOKE (rules P19 and P20).
func (c *Conn) choke(f *Frame, choked bool) {
	number, _ := handleOf(f.Message)
	if c.never(f, number, "P20") {
		return
	}
	h := c.peer.handles[number]
	if h.choked == choked && !h.unsure {
		c.violate(f, "P20", "the handle is so already")
	}
	h.choked, h.chokedAt = choked, f.At
	for _, asked := range c.open {
		if asked.ask.peer.handle != h || asked.Kind != wire.KindRequest {
			continue
		}
		if choked && asked.ask.peer.choked.IsZero() {
			asked.ask.peer.choked = f.At
		}
	}
}

// withdraw takes WITHDRAW (rule P11).
func (c *Conn) withdraw(f *Frame, m *wire.Withdraw) {
	if c.never(f, m.Handle, "P11") {
		return
	}
	h := c.peer.handles[m.Handle]
	h.withdrawn = f
	c.shut(h)
}
