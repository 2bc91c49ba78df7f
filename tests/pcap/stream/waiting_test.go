package stream

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/packet"
)

// mirror counts what it is told of each side, as bytes or as a gap; what is not known how long, not.
type mirror struct{ told [2]int64 }

func (m *mirror) Data(from check.Side, _ time.Time, b []byte) { m.told[from] += int64(len(b)) }
func (m *mirror) Lost(from check.Side, _ time.Time, n int64)  { m.told[from] += max(0, n) }
func (m *mirror) Close(check.Side, time.Time, bool)           {}
func (m *mirror) End([2]int64)                                {}

// Whatever comes in whatever order: what waits is counted right, in order, and never what is next; and all that is passed over is
// told of, as bytes or as a gap.
func TestAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var handlers []*mirror
		a := New(func(_, _ netip.AddrPort, _ time.Time, _ bool) Handler {
			m := new(mirror)
			handlers = append(handlers, m)
			return m
		})
		at := time.Unix(1700000000, 0)
		isn := random.Uint32()
		for range 300 {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(40000+random.IntN(3)))
			server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 2}), 7400)
			p := &packet.Packet{
				At: at, Protocol: packet.TCP, Source: client, Destination: server, ACK: random.IntN(3) > 0, Cut: max(0, random.IntN(10)-7),
				Sequence: isn + random.Uint32N(400), Acknowledged: isn + random.Uint32N(400), Payload: make([]byte, random.IntN(30)),
				FIN: random.IntN(200) == 0, RST: random.IntN(400) == 0, SYN: random.IntN(100) == 0,
			}
			if random.IntN(3) == 0 {
				p.Source, p.Destination = server, client
			}
			at = at.Add(time.Duration(random.IntN(40)) * time.Millisecond)
			a.Add(p)
			if err := a.consistent(); err != nil {
				t.Fatal(err)
			}
		}
		a.Finish()
		if a.waiting != 0 || len(a.conns) != 0 || a.used.Len() != 0 || len(handlers) == 0 {
			t.Fatalf("at the end %d bytes wait, of %d connections", a.waiting, len(a.conns))
		}
	}
}

// consistent says what is wrong with what an Assembler keeps.
func (a *Assembler) consistent() error {
	all := 0
	for _, c := range a.conns {
		for side := range c.sides {
			h := &c.sides[side]
			waiting := 0
			for i, s := range h.queue {
				waiting += s.cost()
				if after(s.begin, h.next) <= 0 || i > 0 && after(s.begin, h.queue[i-1].begin) < 0 {
					return fmt.Errorf("%d waits at %d, where %d is next", s.begin, i, h.next)
				}
			}
			if m, ok := c.handler.(*mirror); ok && h.known && m.told[side] != int64(after(h.next, h.first)) {
				return fmt.Errorf("%d bytes were told of from %d to %d", m.told[side], h.first, h.next)
			}
			if waiting != h.waiting {
				return fmt.Errorf("%d bytes wait, and %d are counted", waiting, h.waiting)
			}
			all += waiting
		}
	}
	if all != a.waiting || a.used.Len() != len(a.conns) {
		return fmt.Errorf("%d bytes wait in all, and %d are counted; %d connections, and %d in order of use", all, a.waiting, len(a.conns), a.used.Len())
	}
	return nil
}
