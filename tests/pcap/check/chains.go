package check

import (
	"time"

	"shoal/identity"
)

// role is what the key that a chain has reached may issue (rule C5).
type role int

const (
	rootRole role = iota
	serverRole
	ticketRole
	deviceRole
	noRole // nothing can follow
)

// issues is rule C5: what the key that a statement names may issue in turn.
var issues = map[role]map[identity.Kind]role{
	rootRole: {
		identity.SaysSuccessor: rootRole, identity.SaysServerKey: serverRole, identity.SaysTicketKey: ticketRole,
		identity.SaysRevoked: noRole,
	},
	serverRole: {identity.SaysSuccessor: serverRole},
	ticketRole: {identity.SaysSuccessor: ticketRole, identity.SaysTicket: deviceRole},
	deviceRole: {identity.SaysCandidates: noRole},
}

// chain is what a chain has said, and the keys that it goes through.
type chain struct {
	first, root [32]byte // the realm's root key where it begins, and after all successions
	key         [32]byte // the one that it has reached
	role        role
	keys        [][32]byte // that issue a statement or are named by one
	issuers     [][32]byte
	ticket      *identity.Ticket
	candidates  []identity.Candidate
	last        *statement
}

// follow verifies a chain that is expected to end in ends, SERVER_KEY standing for a certificate (rules C1, C2, C4, C5,
// C7). Whoever hears it trusts a root key that a capture need not show: realm is it, or nil for the one that the chain begins
// with. What would be passed over by some is held to the rules, but that it may have expired.
func follow(raw []byte, ends identity.Kind, realm *[32]byte, at moment) (*chain, *fault) {
	all, f := parseChain(raw)
	if f != nil {
		return nil, f
	}
	if realm != nil {
		for len(all) > 0 && all[0].issuer != *realm {
			all = all[1:]
		}
		if len(all) == 0 {
			return nil, wrong("C4", "a chain with no statement by the realm")
		}
	} else {
		for len(all) > 1 && all[0].says == identity.SaysSuccessor && all[0].passedOver(at) {
			all = all[1:]
		}
	}
	c := &chain{first: all[0].issuer, root: all[0].issuer, key: all[0].issuer}
	c.keys = append(c.keys, c.key)
	for _, s := range all {
		if f := c.advance(s, at); f != nil {
			return nil, f
		}
	}
	if f := c.end(ends); f != nil {
		return nil, f
	}
	return c, nil
}

// passedOver reports whether a statement only counts for those who pass over it: it expired, and is right otherwise.
func (s *statement) passedOver(at moment) bool {
	return s.expires <= at.earliest.UnixMilli() && s.hold(moment{time.UnixMilli(s.issued), at.latest}) == nil
}

// end checks what the chain has come to.
func (c *chain) end(ends identity.Kind) *fault {
	right := c.last.says == ends
	if ends == identity.SaysServerKey {
		right = c.role == serverRole
	}
	if !right {
		return wrong("C5", "a chain that ends in a statement of kind %d, where one of kind %d is expected", c.last.says, ends)
	}
	return nil
}

// advance takes the next statement.
func (c *chain) advance(s *statement, at moment) *fault {
	to, may := issues[c.role][s.says]
	switch {
	case !may:
		return wrong("C5", "a statement of kind %d where it cannot stand in a chain", s.says)
	case s.issuer != c.key && s.says == identity.SaysCandidates:
		return wrong("C8", "candidates of another device than the one that the ticket is for")
	case s.issuer != c.key:
		return wrong("C4", "a statement that is not by the key which the one before it names")
	}
	if f := s.hold(at); f != nil {
		return f
	}
	c.role, c.last = to, s
	c.issuers = append(c.issuers, s.issuer)
	var f *fault
	switch s.says {
	case identity.SaysTicket:
		if c.ticket, f = readTicket(s); f == nil {
			c.key = c.ticket.Device
		}
	case identity.SaysCandidates:
		c.candidates, f = readCandidates(s)
	default:
		if c.key, f = s.key(); c.role == rootRole {
			c.root = c.key
		}
		if s.says != identity.SaysRevoked {
			c.keys = append(c.keys, c.key)
		}
	}
	return f
}
