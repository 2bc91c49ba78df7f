package vectors

import (
	"encoding/hex"
	"maps"
	"strconv"
)

// recordCase is a record in the making; each vector differs from a good one in one way.
type recordCase struct {
	ticket      map[string]any
	signer      byte  // of the ticket
	from, until int64 // of the candidates
	device      byte  // whose candidates they are
	before      []Hex
	between     []Hex // after the ticket
	after       []Hex // after the candidates
	now         int64
	demand      Demand
	revocations []Hex
}

func (m *maker) record(name, rule string, change func(*recordCase)) {
	c := recordCase{
		ticket: map[string]any{
			"group": "lab", "device": hex.EncodeToString(public(deviceSeed)), "user": "ada", "rights": 3, "epoch": "7", "grace": 43200,
		},
		signer: ticketSeed, from: issued, until: issued + 3_600_000, device: deviceSeed, now: issued + 1000,
		before: []Hex{m.names(saysTicketKey, realmSeed, ticketSeed)},
		demand: Demand{Device: public(deviceSeed), Group: "lab", Rights: 2, Epoch: "7", Reachable: true},
	}
	if change != nil {
		change(&c)
	}
	const host, port = "192.0.2.7", 4919
	body := m.encode("candidates", map[string]any{"addresses": []any{map[string]any{"secured": 1, "host": host, "port": port}}})
	ticket := m.signUntil(saysTicket, c.signer, m.encode("ticket", c.ticket), statementContext, issued, issued+600_000)
	v := Chain{
		Name: "record: " + name, Realm: public(realmSeed), Ends: saysCandidates, Now: strconv.FormatInt(c.now, 10),
		Chain: join(join(c.before...), ticket, join(c.between...), m.signUntil(saysCandidates, c.device, body, statementContext, c.from, c.until),
			join(c.after...)),
		Demand: &c.demand, Rule: rule, Revocations: c.revocations,
	}
	if rule == "" {
		v.Candidates = []string{host + " " + strconv.Itoa(port)}
	}
	m.made.Chains = append(m.made.Chains, v)
}

func (m *maker) records() {
	field := func(name string, v any) func(*recordCase) {
		return func(c *recordCase) {
			c.ticket = maps.Clone(c.ticket)
			c.ticket[name] = v
		}
	}
	m.record("of a member", "", nil)
	m.record("with the right to offer alone", "", field("rights", 2))
	m.record("in its last millisecond, no server being there", "", func(c *recordCase) { c.now, c.demand.Reachable = issued+3_599_999, false })
	m.record("after a successor of the root key", "", func(c *recordCase) {
		c.before = []Hex{m.names(saysSuccessor, realmSeed, laterSeed), m.names(saysTicketKey, laterSeed, ticketSeed)}
	})
	m.record("at the moment it expires", "C1", func(c *recordCase) { c.now, c.demand.Reachable = issued+3_600_000, false })
	m.record("issued more than 60 seconds in the future", "C1", func(c *recordCase) { c.from = issued + 61_001 })
	m.record("whose ticket expired", "C1", func(c *recordCase) { c.now = issued + 600_000 })
	m.record("whose ticket's grace is over, no server being there", "C9", func(c *recordCase) {
		c.from, c.now, c.demand.Reachable = issued+43_700_000, issued+43_800_000, false
		c.until = c.now + 1000
	})
	m.record("with another device's candidates", "C8", func(c *recordCase) { c.device = otherSeed })
	m.record("of another group", "C8", field("group", "other"))
	m.record("without the right", "C8", field("rights", 1))
	m.record("of an earlier epoch", "C8", field("epoch", "6"))
	m.record("by another realm's ticket key", "C4", func(c *recordCase) { c.signer = otherSeed })
	m.record("of another realm", "C4", func(c *recordCase) { c.before = []Hex{m.names(saysTicketKey, otherSeed, ticketSeed)} })
	m.record("by a ticket key that was revoked", "C6", func(c *recordCase) {
		c.revocations = []Hex{m.names(saysRevoked, realmSeed, ticketSeed)}
	})
	m.record("with a successor of the device", "C5", func(c *recordCase) {
		c.between, c.device = []Hex{m.names(saysSuccessor, deviceSeed, otherSeed)}, otherSeed
	})
	m.record("with more after it", "C5", func(c *recordCase) { c.after = []Hex{m.names(saysSuccessor, deviceSeed, otherSeed)} })
	ticket := m.encode("candidates", map[string]any{"addresses": []any{}})
	m.made.Chains = append(m.made.Chains, Chain{
		Name: "record: without a ticket", Realm: public(realmSeed), Ends: saysCandidates, Now: strconv.FormatInt(issued, 10),
		Chain: m.sign(saysCandidates, realmSeed, ticket, statementContext), Rule: "C5",
		Demand: &Demand{Device: public(realmSeed), Group: "lab", Rights: 2, Epoch: "7", Reachable: true},
	})
}
