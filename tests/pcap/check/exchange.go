package check

import (
	"slices"
	"time"

	"shoal/identity"
	"shoal/wire"
)

const (
	exchangeEvery = 15 * time.Second // rule P25
	exchangeSlack = time.Second
)

// exchange takes EXCHANGE (rules P24 and P25).
func (c *Conn) exchange(f *Frame, m *wire.Exchange) {
	h := f.ask.peer.handle
	if h == nil {
		return
	}
	if before, again := c.peer.exchanged[h.Swarm]; again {
		since := f.At.Sub(before)
		f.ask.peer.soon, f.ask.peer.early = since < exchangeEvery+exchangeSlack, since < exchangeEvery-exchangeSlack
	}
	if !f.ask.peer.early {
		c.peer.exchanged[h.Swarm] = f.At
	}
	if len(m.Record) == 0 {
		return
	}
	if said, wrong := c.record(m.Record, h, f); wrong != nil {
		c.violate(f, "P24", "rule %s: %s", wrong.rule, wrong.text)
	} else if said.ticket.Device != c.Device {
		c.violate(f, "P24", "a record of another device")
	}
}

// record verifies a record (rule C11).
func (c *Conn) record(raw []byte, h *Handle, f *Frame) (*chain, *fault) {
	said, bad := follow(raw, identity.SaysCandidates, nil, about(c.now(f.At)))
	if bad != nil {
		return nil, bad
	}
	d := demand{said.ticket.Device, h.Swarm.Group, identity.MayOffer}
	if bad := allows(said.ticket, d, c.process(), f.At, about(c.now(f.At))); bad != nil {
		return said, &fault{"C11", bad.text}
	}
	if !slices.ContainsFunc(said.candidates, func(to identity.Candidate) bool { return to.Security == wire.Plaintext }) {
		return said, wrong("C11", "a record without a candidate in plaintext")
	}
	return said, nil
}

// exchanged takes EXCHANGE's reply (rules P23, P25 and P26).
func (c *Conn) exchanged(f *Frame, m *wire.ExchangeReply) {
	asked, ok := f.Request.Message.(*wire.Exchange)
	h := f.Request.ask.peer.handle
	if !ok || h == nil {
		return
	}
	if f.Request.ask.peer.early {
		c.violate(f, "P25", "EXCHANGE came again too soon, and was served")
	}
	if len(m.Records) > int(asked.Most) {
		c.violate(f, "P23", "%d records, where %d are wanted", len(m.Records), asked.Most)
	}
	for i, raw := range m.Records {
		said, wrong := c.record(raw, h, f)
		switch {
		case wrong != nil:
			c.violate(f, wrong.rule, "record %d: %s", i, wrong.text)
			if said == nil {
				c.peer.liar = f
			}
		case said.ticket.Device == c.Device:
			c.violate(f, "P26", "record %d is one of the initiator's own device", i)
		default:
			c.trace.lore.keepAddresses(said.candidates)
		}
		if wrong == nil && slices.ContainsFunc(m.Records[:i], func(other []byte) bool { return string(other) == string(raw) }) {
			c.violate(f, "P26", "record %d is there twice", i)
		}
	}
}
