package report

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"shoal"
	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/packet"
	"shoal/wire"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alice = netip.MustParseAddrPort("192.0.2.1:40000")
	bob   = netip.MustParseAddrPort("192.0.2.2:7400")
)

// Quantiles are those of the durations, to 3 percent.
func TestHistogram(t *testing.T) {
	var h histogram
	for i := 1; i <= 10000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 5 * time.Millisecond, 0.9: 9 * time.Millisecond, 0.99: 9900 * time.Microsecond, 1: 10 * time.Millisecond} {
		if got := h.quantile(q); got < want || float64(got) > 1.033*float64(want) {
			t.Errorf("the quantile %v is %v where %v is right", q, got, want)
		}
	}
	if (&histogram{}).quantile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	last := -1
	for d := time.Duration(0); d >= 0 && d < math.MaxInt64/3; d = d*17/16 + 1 {
		b := bucket(d)
		if b < last || longest(b) < d || float64(longest(b)) > 1.033*float64(d)+1 {
			t.Fatalf("%d is counted in %d, up to %d", d, b, longest(b))
		}
		last = b
	}
	h = histogram{}
	h.add(-time.Second)
	h.add(math.MaxInt64)
	if h.quantile(0.5) != 0 || h.quantile(1) != math.MaxInt64 {
		t.Errorf("%v, %v", h.quantile(0.5), h.quantile(1))
	}
}

// A get's line keeps every byte, however long it takes, and tells when sources overlapped.
func TestGet(t *testing.T) {
	g := &Get{open: map[*Conversation]bool{}}
	one, two := &Source{}, &Source{}
	g.Sources = []*Source{one, two}
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Second)
		g.add(one, at, at.Add(500*time.Millisecond), 1001)
		if i >= 500 {
			g.add(two, at, at.Add(time.Second), 10)
		}
	}
	g.finish()
	for s, want := range map[*Source]int64{one: 1001000, two: 5000} {
		var sum int64
		for _, n := range s.Line {
			sum += n
		}
		if sum != want || s.Bytes != want || len(s.Line) > bins {
			t.Errorf("%d bytes in a line of %d, %d in all", sum, len(s.Line), s.Bytes)
		}
	}
	if g.Overlap < 0.48 || g.Overlap > 0.52 || g.Begin != start || g.End != start.Add(1000*time.Second) || g.Bytes != 1006000 {
		t.Errorf("%+v", g)
	}
	var b strings.Builder
	if err := (Text{}).Write(&b, &Report{Gets: []*Get{g}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	first, second := -1, -1
	for i, line := range lines {
		if strings.HasPrefix(line, "|") && first < 0 {
			first = i
		} else if strings.HasPrefix(line, "|") {
			second = i
		}
	}
	if first < 0 || second < 0 || !strings.HasPrefix(lines[first], "|####") || !strings.HasPrefix(lines[second], "|    ") ||
		strings.Index(lines[second][1:], "|") > columns {
		t.Errorf("the time line is\n%s", b.String())
	}
	// Clocks that go back, and years between blocks, are nothing to fear.
	g.add(one, start.Add(-time.Hour), start.Add(-2*time.Hour), 5)
	g.add(one, start, start.AddDate(250, 0, 0), 5)
	g.finish()
}

// block is a frame by which bob sends n bytes to alice.
func block(at time.Time, swarm shoal.Swarm, n int) *check.Frame {
	device, peer := shoal.DeviceID{1}, [32]byte{2}
	c := &check.Conn{Service: wire.ServicePeer, Device: device, Identity: peer}
	return &check.Frame{
		Conn: c, From: check.Responder, Began: at, At: at.Add(time.Millisecond),
		Header: wire.Header{Length: uint32(n + 8), Kind: wire.KindRequest, Flags: wire.FlagReply, ID: 1},
		Data:   n, Handle: &check.Handle{Swarm: swarm}, Request: &check.Frame{At: at.Add(-time.Second)},
	}
}

// What is kept of a capture is bounded, and the rest is counted.
func TestBounds(t *testing.T) {
	c := NewCollector()
	for i := range maxConversations + 5 {
		v := c.Open(packet.TCP, alice, bob, start, true)
		v.Dialect = dialect.Shoal
		c.Gap(v, check.Initiator, start, i, 7)
		c.Violation(v, i, check.Violation{Rule: "X1", At: start})
		f := block(start, shoal.Swarm{Group: "g", Object: shoal.Object{ID: shoal.FileID{byte(i), byte(i >> 8)}}}, 100)
		f.Conn.Device = shoal.DeviceID{byte(i), byte(i >> 8), 1}
		c.Frame(v, f)
		c.Called(v, &dialect.Call{Name: strings.Repeat("x", i%2000)})
		c.Close(v)
	}
	r := c.Report(packet.Counts{})
	want := Omitted{
		Conversations: 5, Peers: maxConversations + 1 - maxPeers, Objects: maxConversations - maxObjects,
		Gets: maxConversations + 5 - maxGets, Gaps: maxConversations + 5 - maxGaps, Violations: maxConversations + 5 - maxViolations,
	}
	got := r.Omitted
	got.Peers, got.Objects = want.Peers, want.Objects // each block of one that there is no room for counts
	if got != want || r.Omitted.Peers < want.Peers || r.Omitted.Objects < want.Objects || len(r.Kinds) > maxKinds+2 {
		t.Errorf("%+v where %+v was expected, and %d kinds", r.Omitted, want, len(r.Kinds))
	}
	if len(c.gets) != 0 {
		t.Errorf("%d gets go on", len(c.gets))
	}
}

// A get ends when no conversation is left over which it fetches, and the next one is another.
func TestGets(t *testing.T) {
	c := NewCollector()
	swarm := shoal.Swarm{Group: "g", Object: shoal.Object{Size: 1000}}
	for range 2 {
		one, two := c.Open(packet.TCP, alice, bob, start, true), c.Open(packet.TCP, alice, netip.AddrPortFrom(bob.Addr(), 7401), start, true)
		for _, v := range []*Conversation{one, two} {
			v.Dialect = dialect.Shoal
			c.Frame(v, block(start, swarm, 500))
		}
		c.Over(one)
		c.Frame(two, block(start.Add(time.Second), swarm, 500))
		c.Over(two)
	}
	r := c.Report(packet.Counts{})
	if len(r.Gets) != 2 {
		t.Fatalf("%d gets", len(r.Gets))
	}
	for _, g := range r.Gets {
		if len(g.Sources) != 2 || g.Bytes != 1500 || g.Sources[0].Bytes != 500 || g.Sources[1].Blocks != 2 {
			t.Errorf("%+v", g)
		}
	}
	if o := r.Objects; len(o) != 1 || o[0].Bytes != 3000 || o[0].Blocks != 6 || o[0].From != 1 || o[0].To != 1 {
		t.Errorf("%+v", o[0])
	}
	if k := r.Kinds[0]; k.Name != "REQUEST" || k.Replies != 6 || k.Max != Duration(1001*time.Millisecond) {
		t.Errorf("%+v", k)
	}
}

// hostile is what nobody wants on a terminal.
const hostile = "\x1b[2J\x9b2J\u009b\u202e\u2028\r\a\xff"

// Whatever is in a report: on a terminal it is text.
func TestText(t *testing.T) {
	c := NewCollector()
	v := c.Open(packet.TCP, alice, bob, start, false)
	v.Dialect, v.ServerName, v.Protocols, v.Closed = dialect.TLS, hostile, []string{hostile}, Reset
	v.Again = [2]int64{1000, 2}
	c.Packet(start)
	c.Called(v, &dialect.Call{Name: hostile, Size: 1234567})
	c.Gap(v, check.Responder, start, 3, -1)
	c.Violation(v, 4, check.Violation{Rule: "X3", At: start, From: check.Responder, Frame: -1, Text: hostile})
	two := c.Open(packet.TCP, alice, bob, start, true)
	for _, v := range []*Conversation{v, two} {
		c.Frame(v, block(start, shoal.Swarm{Group: hostile}, 10))
	}
	r := c.Report(packet.Counts{Packets: 9, Other: 1, Malformed: 2, Dropped: 3, CutShort: true})
	var b strings.Builder
	if err := (Text{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	said := b.String()
	if i := strings.IndexFunc(said, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || r == unicode.ReplacementChar || r == '\u202e' || r == '\u2028'
	}); i >= 0 {
		t.Errorf("%q reaches the terminal", said[i:])
	}
	for _, want := range []string{
		"9 packets, ", "from 2026-01-02 03:04:05.000000 UTC", "1 packets are neither", "2 packets are malformed", "3 packets more were lost",
		"ends within a packet", "reset, beginning missed", "some bytes of < missing", "1,002 bytes sent again", "1,234,567", "1 violations",
		"X3  03:04:05.000000  packet 4, conversation 1, responder of 192.0.2.1:40000 > 192.0.2.2:7400: ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	var again Report
	if encoded, err := json.Marshal(r); err != nil || json.Unmarshal(encoded, &struct {
		Gaps *[]Gap `json:"gaps"`
	}{&again.Gaps}) != nil || len(again.Gaps) != 1 || again.Gaps[0].Bytes != -1 {
		t.Errorf("%v, %s", err, encoded)
	}
	if err := (Text{}).Write(broken{}, r); !errors.Is(err, errBroken) {
		t.Errorf("writing to what is broken: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
	for d, want := range map[time.Duration]time.Duration{
		1234: 1000, 1234567: 1230000, 999 * time.Millisecond: 999 * time.Millisecond, 90*time.Minute + 1: 90 * time.Minute,
	} {
		if got := round(d); got != want {
			t.Errorf("%v becomes %v", d, got)
		}
	}
}
