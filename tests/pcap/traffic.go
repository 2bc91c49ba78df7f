package pcap

import (
	"net/netip"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/report"
	"shoal/tests/pcap/stream"
)

// traffic is what has been seen of a capture.
type traffic struct {
	number      int // of it
	streams     *stream.Assembler
	trace       *check.Trace
	checked     map[*check.Conn]*report.Conversation
	datagrams   map[datagramFlow]*datagrams
	collector   *report.Collector
	onViolation func(report.Violation)
	over        bool // the capture is; who has not closed goes on
}

// maxDatagramFlows is how many of these are told apart; what would be more is not looked at.
const maxDatagramFlows = 1 << 14

type datagramFlow struct{ initiator, responder netip.AddrPort }

func newTraffic(onViolation func(report.Violation)) *traffic {
	t := &traffic{
		trace: check.New(), checked: map[*check.Conn]*report.Conversation{}, datagrams: map[datagramFlow]*datagrams{},
		collector: report.NewCollector(), onViolation: onViolation,
	}
	t.streams = stream.New(func(initiator, responder netip.AddrPort, at time.Time, whole bool) stream.Handler {
		return &conversation{
			traffic: t, whole: whole,
			told: t.collector.Open(packet.TCP, initiator, responder, at, whole),
		}
	})
	t.trace.OnFrame = func(f *check.Frame) { t.collector.Frame(t.checked[f.Conn], f) }
	t.trace.OnViolation = func(v check.Violation) {
		told := t.collector.Violation(t.checked[v.Conn], t.number, v)
		if t.onViolation != nil {
			t.onViolation(told)
		}
	}
	return t
}

func (t *traffic) packet(p *packet.Packet) {
	t.number = p.Number
	t.collector.Packet(p.At)
	if p.Protocol == packet.UDP {
		t.datagram(p)
		return
	}
	t.streams.Add(p)
}

func (t *traffic) finish() {
	t.over = true
	t.streams.Finish()
	t.trace.Finish()
	for _, d := range t.datagrams {
		t.collector.Close(d.told)
	}
}

// observer counts calls to a conversation.
type observer struct {
	collector *report.Collector
	told      *report.Conversation
}

func (o observer) Called(c *dialect.Call)   { o.collector.Called(o.told, c) }
func (o observer) Answered(c *dialect.Call) { o.collector.Answered(o.told, c) }

// datagrams are those between two ports. Who calls is the initiator.
type datagrams struct {
	told   *report.Conversation
	reader *dialect.RPCDatagrams
}

func (t *traffic) datagram(p *packet.Packet) {
	from := check.Responder
	d := t.datagrams[datagramFlow{p.Destination, p.Source}]
	if d == nil {
		from = check.Initiator
		d = t.datagrams[datagramFlow{p.Source, p.Destination}]
	}
	if d == nil {
		if !dialect.IsCall(p.Payload) || len(t.datagrams) == maxDatagramFlows {
			return
		}
		told := t.collector.Open(packet.UDP, p.Source, p.Destination, p.At, true)
		told.Dialect = dialect.RPC
		d = &datagrams{told, dialect.NewRPCDatagrams(observer{t.collector, told})}
		t.datagrams[datagramFlow{p.Source, p.Destination}] = d
	}
	d.told.End = p.At
	d.told.Bytes[from] += int64(len(p.Payload) + p.Cut)
	d.reader.Data(from, p.At, p.Payload)
}
