package report

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"shoal"
	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/packet"
)

// Collector makes a Report of what it is told. One goroutine may use it. What it keeps is bounded.
type Collector struct {
	report  Report
	numbers int // conversations so far
	kinds   map[kindKey]*Kind
	peers   map[shoal.DeviceID]*Peer
	objects map[shoal.Swarm]*Object
	gets    map[getKey]*Get // that go on
}

type kindKey struct {
	dialect dialect.Dialect
	name    string
}

type getKey struct {
	device shoal.DeviceID
	swarm  shoal.Swarm
}

// maxKinds bounds the kinds, whose names outside of Shoal are anybody's.
const maxKinds = 512

// NewCollector has been told nothing.
func NewCollector() *Collector {
	none := Report{ // in JSON an empty list is none, too
		Conversations: []*Conversation{}, Kinds: []*Kind{}, Peers: []*Peer{}, Objects: []*Object{}, Gets: []*Get{},
		Gaps: []Gap{}, Violations: []Violation{},
	}
	return &Collector{
		report: none,
		kinds:  map[kindKey]*Kind{}, peers: map[shoal.DeviceID]*Peer{}, objects: map[shoal.Swarm]*Object{}, gets: map[getKey]*Get{},
	}
}

// Packet tells of the time of a packet.
func (c *Collector) Packet(at time.Time) {
	if c.report.Begin.IsZero() || at.Before(c.report.Begin) {
		c.report.Begin = at
	}
	if at.After(c.report.End) {
		c.report.End = at
	}
}

// Open begins a conversation. The caller fills in what it learns.
func (c *Collector) Open(transport packet.Protocol, initiator, responder netip.AddrPort, at time.Time, whole bool) *Conversation {
	c.numbers++
	v := &Conversation{
		Number: c.numbers, Transport: transport.String(), Dialect: dialect.Unknown, Initiator: initiator, Responder: responder,
		Begin: at, End: at, Whole: whole, Closed: Open,
	}
	if len(c.report.Conversations) < maxConversations {
		c.report.Conversations = append(c.report.Conversations, v)
	} else {
		c.report.Omitted.Conversations++
	}
	return v
}

// Over tells that nothing more is said in a conversation. What is known of it may still change.
func (c *Collector) Over(v *Conversation) {
	for _, key := range v.gets {
		g := c.gets[key]
		if g == nil {
			continue
		}
		if delete(g.open, v); len(g.open) == 0 {
			delete(c.gets, key)
		}
	}
	v.gets = nil
}

// Close ends a conversation.
func (c *Collector) Close(v *Conversation) {
	c.Over(v)
	if v.Dialect == dialect.Shoal {
		c.peer(v.Device, v.Initiator.Addr()).carried(v.Bytes[check.Initiator], v.Bytes[check.Responder])
		c.peer(v.Peer, v.Responder.Addr()).carried(v.Bytes[check.Responder], v.Bytes[check.Initiator])
	}
}

// Gap tells of n bytes that are missing, n < 0 for an unknown number.
func (c *Collector) Gap(v *Conversation, from check.Side, at time.Time, number int, n int64) {
	if n < 0 || v.Lost[from] < 0 {
		v.Lost[from] = -1
	} else {
		v.Lost[from] += n
	}
	if len(c.report.Gaps) == maxGaps {
		c.report.Omitted.Gaps++
		return
	}
	c.report.Gaps = append(c.report.Gaps, Gap{v.Number, number, at, from, from.String(), n})
}

// Violation tells of a broken rule, and returns what the report will say.
func (c *Collector) Violation(v *Conversation, number int, broken check.Violation) Violation {
	v.Broken++
	said := Violation{
		Rule: broken.Rule, At: broken.At, Packet: number, Conversation: v.Number, Initiator: v.Initiator, Responder: v.Responder,
		Side: broken.From.String(), Frame: broken.Frame, Text: broken.Text,
	}
	if len(c.report.Violations) == maxViolations {
		c.report.Omitted.Violations++
	} else {
		c.report.Violations = append(c.report.Violations, said)
	}
	return said
}

// Called tells of a request in another dialect than Shoal's.
func (c *Collector) Called(v *Conversation, call *dialect.Call) {
	v.Frames[check.Initiator]++
	k := c.kind(v.Dialect, call.Name)
	k.Requests++
	k.Bytes += call.Size
}

// Answered tells of the answer to a request that it was told of.
func (c *Collector) Answered(v *Conversation, call *dialect.Call) {
	v.Frames[check.Responder]++
	k := c.kind(v.Dialect, call.Name)
	k.Replies++
	k.Bytes += call.Back
	if call.Failed {
		k.Errors++
	}
	k.latencies.add(call.Answer.Sub(call.At))
}

func (c *Collector) kind(d dialect.Dialect, name string) *Kind {
	key := kindKey{d, name}
	k := c.kinds[key]
	if k == nil && len(c.kinds) >= maxKinds {
		key.name = "others"
		k = c.kinds[key]
	}
	if k == nil {
		k = &Kind{Dialect: key.dialect, Name: key.name}
		c.kinds[key] = k
	}
	return k
}

// Report is what there is to say, when the capture is over.
func (c *Collector) Report(counts packet.Counts) *Report {
	r := &c.report
	r.Capture = counts
	for _, k := range c.kinds {
		k.P50, k.P90 = Duration(k.latencies.quantile(0.5)), Duration(k.latencies.quantile(0.9))
		k.P99, k.Max = Duration(k.latencies.quantile(0.99)), Duration(k.latencies.most)
		r.Kinds = append(r.Kinds, k)
	}
	slices.SortFunc(r.Kinds, func(a, b *Kind) int {
		return cmp.Or(cmp.Compare(order[a.Dialect], order[b.Dialect]), -cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range c.peers {
		r.Peers = append(r.Peers, p)
	}
	slices.SortFunc(r.Peers, func(a, b *Peer) int {
		return cmp.Or(-cmp.Compare(a.Sent+a.Received, b.Sent+b.Received), slices.Compare(a.Device[:], b.Device[:]))
	})
	for _, o := range c.objects {
		o.To, o.From = len(o.to), len(o.from)
		r.Objects = append(r.Objects, o)
	}
	slices.SortFunc(r.Objects, func(a, b *Object) int {
		return cmp.Or(-cmp.Compare(a.Bytes, b.Bytes), slices.Compare(a.File[:], b.File[:]), cmp.Compare(a.Group, b.Group))
	})
	for _, g := range r.Gets {
		g.finish()
	}
	return r
}

// order is that in which dialects are told of.
var order = map[dialect.Dialect]int{dialect.Shoal: 0, dialect.RPC: 1, dialect.HTTP: 2, dialect.TLS: 3, dialect.Unknown: 4}
