package check

import (
	"slices"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// checkCertificate holds rules H7 and H8: who the responder proves to be.
func (c *Conn) checkCertificate(f *Frame, m *wire.HelloReply) {
	switch {
	case c.Service == wire.ServicePeer && len(m.Certificate) > 0:
		c.violate(f, "H8", "a peer with a certificate")
	case c.Service == wire.ServicePeer:
	case len(m.Certificate) == 0:
		c.violate(f, "H7", "a server without a certificate")
	default:
		certificate, wrong := follow(m.Certificate, identity.SaysServerKey, nil, about(f.At))
		if wrong != nil {
			c.violate(f, wrong.rule, "the certificate: %s", wrong.text)
			return
		}
		c.handshake.certificate = certificate
		if certificate.key != m.Identity {
			c.violate(f, "H7", "the certificate is for another key")
		}
		c.checkRevoked(f, certificate)
	}
}

// trustRoot holds rule C10: an initiator that came to trust a root key goes on only after a certificate in which that key
// issues a statement. It holds for a device and an address: who has two processes with folders of their own is two.
func (c *Conn) trustRoot(f *Frame) {
	certificate := c.handshake.certificate
	if certificate == nil {
		return
	}
	roots := &c.trace.lore.roots
	by := trusting{c.Device, c.Responder}
	was := roots.get(by)
	if was.succeeds(certificate) {
		c.violate(f, "C10", "the certificate is by a root key whose successor was accepted before")
		return
	}
	roots.put(by, trusted{certificate.first, certificate.root})
}

// checkRevoked holds rule C6 for what a server sends: it knows which keys it said are revoked.
func (c *Conn) checkRevoked(f *Frame, sent *chain) {
	for _, r := range c.serverLore().revoked {
		if slices.Contains(sent.keys, r.key) && f.At.Sub(r.at) > slack && c.now(f.At).Before(r.expires) {
			c.violate(f, "C6", "a chain by way of a key that this server said is revoked")
		}
	}
}

// revocationTold takes REVOKED (rules E4 and C6).
func (c *Conn) revocationTold(f *Frame, m *wire.Revocation) {
	said, wrong := follow(m.Chain, identity.SaysRevoked, nil, about(c.now(f.At)))
	if wrong != nil {
		c.violate(f, wrong.rule, "the revocation: %s", wrong.text)
		return
	}
	s, chain := c.serverLore(), string(m.Chain)
	if len(c.server.revoked) < maxRevocations {
		c.server.revoked[chain] = true
	}
	delete(c.server.owed, chain)
	c.server.process.revoked[said.key] = f.At
	if _, known := s.revoked[chain]; known || len(s.revoked) >= maxRevocations {
		return
	}
	s.revoked[chain] = revocation{said.key, time.UnixMilli(said.last.expires), f.At}
	for other := range c.trace.conns {
		if other != c && other.Service == wire.ServiceServer && other.Identity == c.Identity && other.handshake.done != nil && !other.server.revoked[chain] {
			other.owe(duty{"E4", f.At.Add(time.Second), Responder, "no REVOKED, which others were told", func(f *Frame) bool {
				told, ok := f.Message.(*wire.Revocation)
				return ok && string(told.Chain) == chain
			}})
		}
	}
}

// demand is what a ticket must allow (rules C8 and C9).
type demand struct {
	device shoal.DeviceID
	group  shoal.Group
	right  identity.Rights
}

// allows holds a ticket that has been verified against what is demanded of it by a process, which may not be known.
func allows(t *identity.Ticket, d demand, by *process, at time.Time, now moment) *fault {
	switch {
	case t.Device != d.device:
		return wrong("C8", "a ticket of another device")
	case t.Group != d.group:
		return wrong("C8", "a ticket of the group %q, where %q is meant", t.Group, d.group)
	case t.Rights&d.right != d.right:
		return wrong("C8", "a ticket with the rights %b", t.Rights)
	case !now.earliest.Before(t.Expires.Add(t.Grace)):
		return wrong("C9", "a ticket that expired at %v, with a grace of %v", t.Expires.UTC(), t.Grace)
	case !now.earliest.Before(t.Expires) && by != nil && by.reaches(at):
		return wrong("C1", "a ticket that expired at %v, by one who reaches a server", t.Expires.UTC())
	case by == nil:
		return nil
	}
	known := func(h heard) bool { return t.Epoch < h.epoch && at.Sub(h.at) > slack }
	switch {
	case known(by.latest[t.Group]):
		return wrong("C8", "a ticket of the epoch %d", t.Epoch)
	case known(by.highest[t.Group]):
		return wrong("E5", "a ticket of the epoch %d", t.Epoch)
	}
	return nil
}

// accepts verifies a ticket as the responder has to, which accepted it at that time.
func (c *Conn) accepts(raw []byte, d demand, at time.Time) (*identity.Ticket, *fault) {
	now := about(c.now(at))
	said, f := follow(raw, identity.SaysTicket, nil, now)
	if f != nil {
		return nil, f
	}
	by := c.process()
	if f := heardRevoked(said, by, at); f != nil {
		return nil, f
	}
	return said.ticket, allows(said.ticket, d, by, at, now)
}

// heardRevoked is rule C6 for what a process accepts.
func heardRevoked(said *chain, by *process, at time.Time) *fault {
	if by == nil {
		return nil
	}
	for key, heard := range by.revoked {
		if slices.Contains(said.keys, key) && at.Sub(heard) > slack {
			return wrong("C6", "a chain by way of a key that it was told is revoked")
		}
	}
	return nil
}

// checkCandidate holds rule C3: an initiator in plaintext does not go where TLS is spoken.
func (c *Conn) checkCandidate(f *Frame) {
	if c.trace.lore.addresses.get(c.Responder) == wire.TLS {
		c.violate(f, "C3", "the candidate at %v is one with TLS", c.Responder)
	}
}
