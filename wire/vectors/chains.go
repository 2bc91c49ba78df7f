package vectors

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Chain is a chain of statements, and what a receiver of it knows and expects.
type Chain struct {
	Name        string `json:"name"`
	Chain       Hex    `json:"chain"`
	Realm       Hex    `json:"realm"` // the root key that the receiver trusts
	Ends        uint64 `json:"ends"`  // the kind expected: SERVER_KEY, CANDIDATES, TICKET or REVOKED
	Now         string `json:"now"`   // the receiver's time, in milliseconds
	Revocations []Hex  `json:"revocations,omitempty"`
	// Server is the key that the server answers with, Root the one to be trusted from now on.
	Server Hex `json:"server,omitempty"`
	Root   Hex `json:"root,omitempty"`
	// Demand is what is asked of a ticket, Ticket the fields of one that must be accepted.
	Demand *Demand        `json:"demand,omitempty"`
	Ticket map[string]any `json:"ticket,omitempty"`
	// Candidates is "host port" for each candidate of a record that must be accepted, which is one of Demand's device.
	Candidates []string `json:"candidates,omitempty"`
	Rule       string   `json:"rule"` // for which it must be refused, or ""
}

// Demand is what a receiver asks of a ticket.
type Demand struct {
	Device    Hex    `json:"device"`
	Group     string `json:"group"`
	Rights    uint32 `json:"rights"`
	Epoch     string `json:"epoch"`     // the highest that is known
	Reachable bool   `json:"reachable"` // whether a server of the realm is
}

// names makes a statement whose body is the named key, of a type of shoal.x with that one member.
func (m *maker) names(says uint64, signer, named byte) Hex {
	return m.namesUntil(says, signer, named, issued, expires)
}

func (m *maker) namesUntil(says uint64, signer, named byte, from, until int64) Hex {
	bodies := map[uint64][2]string{
		saysServerKey: {"server_key", "server"}, saysTicketKey: {"ticket_key", "signer"},
		saysSuccessor: {"successor", "replacement"}, saysRevoked: {"revoked", "untrusted"},
	}
	body := m.encode(bodies[says][0], map[string]any{bodies[says][1]: hex.EncodeToString(public(named))})
	return m.signUntil(says, signer, body, statementContext, from, until)
}

func join(statements ...Hex) Hex { return slices.Concat(statements...) }

func (m *maker) certificates() {
	add := func(name, rule string, trusted, root byte, now int64, statements ...Hex) {
		v := Chain{
			Name: "certificate: " + name, Chain: join(statements...), Realm: public(trusted), Ends: saysServerKey,
			Now: strconv.FormatInt(now, 10), Server: public(serverSeed), Rule: rule,
		}
		if rule == "" {
			v.Root = public(root)
		}
		m.made.Chains = append(m.made.Chains, v)
	}
	server := m.names(saysServerKey, realmSeed, serverSeed)
	toLater := m.names(saysSuccessor, realmSeed, laterSeed)
	toLast := m.names(saysSuccessor, laterSeed, lastSeed)
	byLast := m.names(saysServerKey, lastSeed, serverSeed)
	add("by the root key", "", realmSeed, realmSeed, issued, server)
	add("by the root key's successor", "", realmSeed, laterSeed, issued, toLater, m.names(saysServerKey, laterSeed, serverSeed))
	add("by the successor's successor", "", realmSeed, lastSeed, issued, toLater, toLast, byLast)
	add("by a successor that is trusted already", "", lastSeed, lastSeed, issued, toLater, toLast, byLast)
	add("what comes before the trusted key is passed over", "", laterSeed, lastSeed, issued,
		m.namesUntil(saysSuccessor, realmSeed, laterSeed, issued, issued), toLast, byLast)
	add("a server key's successor", "", realmSeed, realmSeed, issued,
		m.names(saysServerKey, realmSeed, otherSeed), m.names(saysSuccessor, otherSeed, serverSeed))
	seven := make([]Hex, 7)
	for i := range seven {
		seven[i] = m.names(saysSuccessor, realmSeed, realmSeed)
	}
	add("8 statements", "", realmSeed, realmSeed, issued, append(seven, server)...)
	add("9 statements", "C4", realmSeed, realmSeed, issued, append(slices.Clone(seven), seven[0], server)...)
	add("nothing", "C4", realmSeed, realmSeed, issued)
	add("none by the trusted key", "C4", otherSeed, realmSeed, issued, toLater, toLast, byLast)
	add("a successor left out", "C4", realmSeed, realmSeed, issued, toLater, byLast)
	add("in another order", "C4", realmSeed, realmSeed, issued, toLater, byLast, toLast)
	add("a successor that expired", "C1", realmSeed, realmSeed, issued,
		m.namesUntil(saysSuccessor, realmSeed, laterSeed, issued-1, issued), m.names(saysServerKey, laterSeed, serverSeed))
	add("a successor from the future", "C1", realmSeed, realmSeed, issued,
		m.namesUntil(saysSuccessor, realmSeed, laterSeed, issued+60_001, expires), m.names(saysServerKey, laterSeed, serverSeed))
	forged := bytes.Clone(toLater)
	forged[len(forged)-64] ^= 1
	add("a successor with a wrong signature", "C1", realmSeed, realmSeed, issued, forged, m.names(saysServerKey, laterSeed, serverSeed))
	add("by a ticket key", "C5", realmSeed, realmSeed, issued,
		m.names(saysTicketKey, realmSeed, ticketSeed), m.names(saysServerKey, ticketSeed, serverSeed))
	add("by a server key", "C5", realmSeed, realmSeed, issued,
		m.names(saysServerKey, realmSeed, otherSeed), m.names(saysServerKey, otherSeed, serverSeed))
	add("a ticket key", "C5", realmSeed, realmSeed, issued, m.names(saysTicketKey, realmSeed, serverSeed))
	add("a successor of the root key", "C5", realmSeed, realmSeed, issued, m.names(saysSuccessor, realmSeed, serverSeed))
	add("for another server", "H7", realmSeed, realmSeed, issued, m.names(saysServerKey, realmSeed, otherSeed))
	add("a byte left over", "X1", realmSeed, realmSeed, issued, server, Hex{0})
	add("half a statement after it", "X1", realmSeed, realmSeed, issued, server, server[:80])
}

func (m *maker) revocations() {
	add := func(name, rule string, trusted byte, now int64, statements ...Hex) {
		m.made.Chains = append(m.made.Chains, Chain{
			Name: "revocation: " + name, Chain: join(statements...), Realm: public(trusted), Ends: saysRevoked,
			Now: strconv.FormatInt(now, 10), Rule: rule,
		})
	}
	toLater := m.names(saysSuccessor, realmSeed, laterSeed)
	good := m.names(saysRevoked, realmSeed, ticketSeed)
	add("by the root key", "", realmSeed, issued, good)
	add("by its successor", "", realmSeed, issued, toLater, m.names(saysRevoked, laterSeed, realmSeed))
	add("that expired", "C1", realmSeed, expires, good)
	add("by another realm", "C4", realmSeed, issued, m.names(saysRevoked, otherSeed, ticketSeed))
	add("by a ticket key", "C5", realmSeed, issued,
		m.names(saysTicketKey, realmSeed, ticketSeed), m.names(saysRevoked, ticketSeed, serverSeed))
	add("with more after it", "C5", realmSeed, issued, good, toLater)
}

// ticketCase is a ticket in the making; each vector differs from a good one in one way.
type ticketCase struct {
	name, rule  string
	fields      map[string]any
	from, until int64
	signer      byte
	before      []Hex
	now         int64
	demand      Demand
	revocations []Hex
}

func (m *maker) ticket(name, rule string, change func(*ticketCase)) {
	c := ticketCase{
		name: name, rule: rule, from: issued, until: issued + 600_000, signer: ticketSeed, now: issued + 1000,
		fields: map[string]any{
			"group": "lab", "device": hex.EncodeToString(public(deviceSeed)), "user": "ada", "rights": 3, "epoch": "7", "grace": 43200,
		},
		before: []Hex{m.names(saysTicketKey, realmSeed, ticketSeed)},
		demand: Demand{Device: public(deviceSeed), Group: "lab", Rights: 1, Epoch: "7", Reachable: true},
	}
	if change != nil {
		change(&c)
	}
	body := m.encode("ticket", c.fields)
	v := Chain{
		Name: "ticket: " + name, Realm: public(realmSeed), Ends: saysTicket, Now: strconv.FormatInt(c.now, 10),
		Chain:  append(join(c.before...), m.signUntil(saysTicket, c.signer, body, statementContext, c.from, c.until)...),
		Demand: &c.demand, Rule: rule, Revocations: c.revocations,
	}
	if rule == "" {
		v.Ticket = maps.Clone(c.fields)
	}
	m.made.Chains = append(m.made.Chains, v)
}

func (m *maker) tickets() {
	field := func(name string, v any) func(*ticketCase) { return func(c *ticketCase) { c.fields[name] = v } }
	const graceEnds = issued + 600_000 + 43_200_000
	m.ticket("that allows what is asked", "", nil)
	m.ticket("of a later epoch than is known", "", field("epoch", "8"))
	m.ticket("of the last epoch", "", field("epoch", strconv.FormatUint(1<<64-1, 10)))
	m.ticket("with rights that have no name yet", "", field("rights", 1<<32-1))
	m.ticket("with the longest names", "", func(c *ticketCase) {
		c.demand.Group = strings.Repeat("g", 64)
		c.fields["group"], c.fields["user"] = c.demand.Group, strings.Repeat("u", 255)
	})
	m.ticket("of one millisecond", "", func(c *ticketCase) { c.until, c.now = issued+1, issued })
	m.ticket("in its last millisecond", "", func(c *ticketCase) { c.now = issued + 599_999 })
	m.ticket("issued 60 seconds in the future", "", func(c *ticketCase) { c.now = issued - 60_000 })
	m.ticket("at the end of its grace, no server being there", "", func(c *ticketCase) {
		c.now, c.demand.Reachable = graceEnds-1, false
	})
	m.ticket("by a successor of the ticket key", "", func(c *ticketCase) {
		c.before, c.signer = append(c.before, m.names(saysSuccessor, ticketSeed, otherSeed)), otherSeed
	})
	m.ticket("after a successor of the root key", "", func(c *ticketCase) {
		c.before = []Hex{m.names(saysSuccessor, realmSeed, laterSeed), m.names(saysTicketKey, laterSeed, ticketSeed)}
	})
	m.ticket("though another key was revoked", "", func(c *ticketCase) {
		c.revocations = []Hex{m.names(saysRevoked, realmSeed, otherSeed)}
	})
	m.ticket("at the moment it expires", "C1", func(c *ticketCase) { c.now = issued + 600_000 })
	m.ticket("issued more than 60 seconds in the future", "C1", func(c *ticketCase) { c.now = issued - 60_001 })
	m.ticket("when the ticket key's certificate expired", "C1", func(c *ticketCase) {
		c.now, c.demand.Reachable = expires, false
		c.fields["grace"] = 2592000
	})
	m.ticket("when its grace is over, no server being there", "C9", func(c *ticketCase) {
		c.now, c.demand.Reachable = graceEnds, false
	})
	m.ticket("by another key", "C4", func(c *ticketCase) { c.signer = otherSeed })
	m.ticket("without the ticket key's certificate", "C4", func(c *ticketCase) { c.before = nil })
	m.ticket("by the root key itself", "C5", func(c *ticketCase) { c.before, c.signer = nil, realmSeed })
	m.ticket("by a server key", "C5", func(c *ticketCase) {
		c.before, c.signer = []Hex{m.names(saysServerKey, realmSeed, serverSeed)}, serverSeed
	})
	m.ticket("after a ticket", "C5", func(c *ticketCase) {
		body := m.encode("ticket", c.fields)
		c.before = append(c.before, m.signUntil(saysTicket, ticketSeed, body, statementContext, c.from, c.until))
	})
	m.ticket("by a ticket key that was revoked", "C6", func(c *ticketCase) {
		c.revocations = []Hex{m.names(saysRevoked, realmSeed, ticketSeed)}
	})
	m.ticket("of ten minutes and a millisecond", "C7", func(c *ticketCase) { c.until++ })
	m.ticket("that ends as it begins", "C7", func(c *ticketCase) { c.until, c.now = issued, issued-1 })
	m.ticket("with a grace of 30 days and a second", "C7", field("grace", 2592001))
	for _, group := range []string{"", ".", "a/b", "a\u202eb", "a\x00"} {
		m.ticket(fmt.Sprintf("for the group %q", group), "C7", func(c *ticketCase) { c.fields["group"], c.demand.Group = group, group })
	}
	m.ticket("of a group of 65 bytes", "X2", field("group", strings.Repeat("g", 65)))
	m.ticket("of a user without a name", "C7", field("user", ""))
	m.ticket("of a user whose name moves the cursor", "C7", field("user", "ada\x1b[2J"))
	m.ticket("of a user of 256 bytes", "X2", field("user", strings.Repeat("u", 256)))
	m.ticket("of another device", "C8", field("device", hex.EncodeToString(public(otherSeed))))
	m.ticket("of another group", "C8", field("group", "Lab"))
	m.ticket("of an earlier epoch", "C8", field("epoch", "6"))
	m.ticket("without the right", "C8", field("rights", 2))
	m.ticket("without rights", "C8", field("rights", 0))
}
