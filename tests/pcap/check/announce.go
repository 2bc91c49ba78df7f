package check

import (
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// The offers of a session: ANNOUNCE, and the events that it leads to (rules S6, S7, E1 to E3).

// maxOffers is how many offers a server must be able to hold for a session (rule S7).
const maxOffers = 10_000

// announced takes ANNOUNCE.
func (c *Conn) announced(f *Frame, m *wire.Announce) {
	if len(m.Candidates) == 0 || c.server.process == nil {
		return
	}
	all, wrong := candidatesOf(m.Candidates, c.Device, about(c.now(f.At)))
	if wrong != nil {
		c.breakOff(f, wrong.rule, "the candidates: %s", wrong.text)
		return
	}
	c.trace.lore.keepAddresses(all)
	for _, candidate := range all {
		known := &c.trace.lore.processes
		if p := known.get(candidate.Addr); p != nil && p.device == c.Device {
			p.hear(c.server.process)
			p.session, c.server.process = c, p
		} else {
			known.put(candidate.Addr, c.server.process)
		}
	}
}

// candidatesOf verifies a statement CANDIDATES by a device that holds now (rule S6).
func candidatesOf(raw []byte, by shoal.DeviceID, now moment) ([]identity.Candidate, *fault) {
	all, f := parseChain(raw)
	switch {
	case f != nil:
		return nil, f
	case len(all) != 1:
		return nil, wrong("X1", "bytes left over")
	case all[0].says != identity.SaysCandidates:
		return nil, wrong("S6", "a statement of kind %d", all[0].says)
	case all[0].issuer != by:
		return nil, wrong("S6", "a statement of another device")
	case all[0].expires <= now.earliest.UnixMilli():
		return nil, wrong("S6", "a statement that expired at %v", time.UnixMilli(all[0].expires).UTC())
	}
	if f := all[0].hold(now); f != nil {
		return nil, f
	}
	return readCandidates(all[0])
}

// offered takes the reply to ANNOUNCE.
func (c *Conn) offered(f *Frame, m *wire.Announce) {
	s := &c.server
	s.listed = s.listed || len(m.Candidates) > 0
	for _, o := range m.Offers {
		_, epoch := s.epochs[o.Swarm.Group]
		_, gone := s.gone[goneFile{o.Swarm.Group, o.Swarm.Object.ID}]
		switch {
		case o.Pieces == 0:
			delete(s.offers, o.Swarm)
			continue
		case int64(o.Pieces) > int64(o.Swarm.Object.Pieces()):
			c.violate(f, "S6", "an offer of %d pieces of %d", o.Pieces, o.Swarm.Object.Pieces())
		case !s.listed && !c.blind:
			c.violate(f, "S6", "an offer before there are candidates")
		case !epoch && !gone && !c.blind:
			c.violate(f, "E3", "neither EPOCH nor GONE came ahead of it, for an offer in the group %q", o.Swarm.Group)
		}
		if len(s.offers) <= maxOffers {
			s.offers[o.Swarm] = true
		}
	}
}

// serverEvent takes EPOCH, GONE and REVOKED.
func (c *Conn) serverEvent(f *Frame) {
	if c.server.process == nil {
		return
	}
	if len(c.server.owed) > 0 && f.Kind != wire.KindRevoked && f.Kind != wire.KindBye && f.From == Responder && !c.blind {
		c.server.owed = nil
		c.violate(f, "E4", "ahead of REVOKED, which this server told others")
	}
	c.meet(f)
	switch m := f.Message.(type) {
	case *wire.Epoch:
		c.raised(f, m)
		c.epochTold(f, m.Group, m.Epoch)
		c.server.process.hearEpoch(m.Group, heard{m.Epoch, f.At})
		if len(c.server.epochs) < maxGroups {
			c.server.epochs[m.Group] = heard{m.Epoch, f.At}
		}
	case *wire.Gone:
		c.gone(f, m)
	case *wire.Revocation:
		c.revocationTold(f, m)
	}
}

// raised holds rule E1: when somebody is told that an epoch was raised, so is everybody who got a ticket at the one before.
func (c *Conn) raised(f *Frame, m *wire.Epoch) {
	before := c.serverLore().epochs[m.Group]
	if m.Reason == wire.EpochCurrent || m.Epoch <= before.epoch || before.epoch == 0 {
		return
	}
	for other := range c.trace.conns {
		known := other.server.epochs[m.Group]
		if other == c || other.Identity != c.Identity || other.server.members[m.Group] != before.epoch || known.epoch >= m.Epoch {
			continue
		}
		other.owe(duty{"E1", f.At.Add(time.Second), Responder, "no EPOCH, which others were told", func(f *Frame) bool {
			told, ok := f.Message.(*wire.Epoch)
			return ok && told.Group == m.Group && told.Epoch >= m.Epoch
		}})
	}
}

// epochTold holds rule G4: the epochs of a group that a server tells of only grow.
func (c *Conn) epochTold(f *Frame, g shoal.Group, epoch uint64) {
	known := c.serverLore().epochs
	was := known[g]
	switch {
	case epoch < was.epoch && f.At.Sub(was.at) > slack:
		c.violate(f, "G4", "the epoch %d of the group %q, which was %d", epoch, g, was.epoch)
	case epoch > was.epoch && len(known) < maxGroups:
		known[g] = heard{epoch, f.At}
	}
}

// gone takes GONE, which ends an offer of the process that hears it (rule P18).
func (c *Conn) gone(f *Frame, m *wire.Gone) {
	if len(c.server.gone) < maxGroups {
		c.server.gone[goneFile{m.Group, m.File}] = f
	}
	for other := range c.trace.conns {
		if other.Service != wire.ServicePeer || other.process() == nil || other.process() != c.server.process {
			continue
		}
		for _, h := range other.peer.handles {
			if h.Swarm.Group == m.Group && h.Swarm.Object.ID == m.File {
				other.owe(duty{"P18", f.At.Add(2 * time.Second), Responder, "no WITHDRAW after GONE", h.ended})
			}
		}
	}
}
