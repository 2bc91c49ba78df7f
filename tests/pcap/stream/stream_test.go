package stream_test

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/packettest"
	"shoal/tests/pcap/stream"
)

var (
	alice = netip.MustParseAddrPort("192.0.2.1:40000")
	bob   = netip.MustParseAddrPort("192.0.2.2:7400")
)

// notes is what a Handler was told, in words.
type notes struct {
	all  *[]string
	name string
}

func (n notes) note(format string, args ...any) {
	*n.all = append(*n.all, n.name+fmt.Sprintf(format, args...))
}

func (n notes) Data(from check.Side, _ time.Time, b []byte) { n.note("%c %s", "><"[from], b) }
func (n notes) Lost(from check.Side, _ time.Time, lost int64) {
	n.note("%c lost %d", "><"[from], lost)
}

func (n notes) Close(from check.Side, _ time.Time, reset bool) {
	n.note("%c %s", "><"[from], map[bool]string{false: "closed", true: "reset"}[reset])
}

func (n notes) End(again [2]int64) {
	if again != [2]int64{} {
		n.note("again %d %d", again[0], again[1])
	}
}

// assemble is what is told of a capture.
func assemble(t *testing.T, c *packettest.Capture) (told []string) {
	t.Helper()
	opened := 0
	a := stream.New(func(i, _ netip.AddrPort, _ time.Time, whole bool) stream.Handler {
		name := ""
		if opened++; opened > 1 {
			name = fmt.Sprintf("%d", opened)
		}
		if !whole {
			told = append(told, name+"not whole from "+map[netip.AddrPort]string{alice: "alice", bob: "bob"}[i])
		}
		return notes{&told, name}
	})
	r, err := packet.NewReader(bytes.NewReader(c.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		a.Add(p)
	}
	a.Finish()
	return told
}

// script adds segments, one a line: who sends, flags, sequence number and acknowledged one (relative to the beginning of each
// side's), and bytes.
func script(c *packettest.Capture, isn uint32, lines string) *packettest.Capture {
	for line := range strings.Lines(lines) {
		var who, flags, payload string
		var seq, ack uint32
		n, _ := fmt.Sscan(line, &who, &flags, &seq, &ack, &payload)
		if n < 4 {
			continue
		}
		s := packettest.Segment{From: alice, To: bob, Seq: isn + seq, Flags: flags, Payload: []byte(payload)}
		if who == "<" {
			s.From, s.To = bob, alice
		}
		if strings.Contains(flags, "A") {
			s.Ack = isn + ack
		}
		c.TCP(s)
	}
	return c
}

const handshake = `
> S 0 0
< SA 0 1
> A 1 1
`

func TestReassembly(t *testing.T) {
	for name, test := range map[string]struct{ sent, told string }{
		"in order":               {handshake + "> A 1 1 ab\n< A 1 3 xy\n> FA 3 3\n< FA 3 4\n> A 4 4\n", "> ab|< xy|> closed|< closed"},
		"reordered":              {handshake + "> A 3 1 cd\n> A 1 1 ab\n< A 1 5 xy\n", "> ab|> cd|< xy"},
		"sent again":             {handshake + "> A 1 1 ab\n> A 1 1 ab\n< A 1 3 xy\n", "> ab|< xy|again 2 0"},
		"sent again, and more":   {handshake + "> A 1 1 ab\n> A 1 1 abcd\n> A 2 1 bcdef\n", "> ab|> cd|> ef|again 5 0"},
		"overlapping, too early": {handshake + "> A 4 1 def\n> A 3 1 cde\n> A 1 1 abc\n", "> abc|> de|> f|again 3 0"},
		"lost on the way":        {handshake + "> A 3 1 cd\n< A 1 1\n< A 1 1 xy\n> A 1 3 ab\n", "< xy|> ab|> cd"},
		"lost by the capture":    {handshake + "> A 4 1 de\n< A 1 6 xy\n", "> lost 3|> de|< xy"},
		"lost at the end":        {handshake + "> A 1 1 ab\n< A 1 5 xy\n", "> ab|> lost 2|< xy"},
		"late after the gap":     {handshake + "> A 3 1 cd\n< A 1 5 xy\n> A 1 3 ab\n", "> lost 2|> cd|< xy|again 2 0"},
		"waiting at the end":     {handshake + "> A 3 1 cd\n", "> lost 2|> cd"},
		"without the answers":    {"> S 0 0\n> A 1 1 ab\n> A 3 5 cd\n", "> ab|< lost 4|> cd"},
		"no SYN":                 {"< SA 0 1\n> A 1 1 ab\n< A 1 3 xy\n", "> ab|< xy"},
		"no answer to SYN":       {"> S 0 0\n> A 1 1 ab\n< A 1 3 xy\n", "> ab|< xy"},
		"from the middle":        {"> A 100 7 ab\n< A 7 102 xy\n", "not whole from alice|> ab|< xy"},
		"from the middle, lost":  {"> A 100 7 ab\n< A 9 102 xy\n< A 7 102 v\n", "not whole from alice|> ab|< v|< lost 1|< xy"},
		"nothing but control":    {"> A 1 1\n< A 1 1\n> FA 1 1\n", ""},
		"reset":                  {handshake + "> A 1 1 ab\n< R 1 0\n> A 3 1 cd\n", "> ab|< reset"},
		"after the end":          {handshake + "> A 1 1 ab\n> FA 3 1\n> A 4 1 cd\n", "> ab|> closed"},
		"FIN too early":          {handshake + "> FA 3 1\n> A 1 1 ab\n", "> ab|> closed"},
		"FIN and the last bytes": {handshake + "> FA 1 1 ab\n< A 1 4\n", "> ab|> closed"},
		"FIN lost":               {handshake + "> A 1 1 ab\n< A 1 4 x\n", "> ab|> lost 1|< x"},
		"keep-alive":             {handshake + "> A 1 1 ab\n> A 2 1 b\n> A 3 1 cd\n", "> ab|> cd|again 1 0"},
		"port used again":        {handshake + "> A 1 1 ab\n> S 900 0\n< SA 700 901\n> A 901 701 cd\n< A 701 903 xy\n", "> ab|2> cd|2< xy"},
		"port used again, after": {handshake + "> A 1 1 ab\n> FA 3 1\n< FA 1 4\n> S 1 0\n< SA 5 2\n> A 2 6 cd\n", "> ab|> closed|< closed|2> cd"},
		"port used, SYN lost":    {handshake + "> A 1 1 ab\n> FA 3 1\n< FA 1 4\n< SA 5 2\n> A 2 6 cd\n", "> ab|> closed|< closed|2> cd"},
		"SYN sent again":         {"> S 0 0\n> S 0 0\n< SA 0 1\n< SA 0 1\n> A 1 1 ab\n> S 0 0\n", "> ab"},
		"both open":              {"> S 0 0\n< S 0 0\n> SA 0 1\n< SA 0 1\n> A 1 1 ab\n", "> ab"},
		"far away":               {handshake + "> A 1 1 ab\n> A 2000000000 1 zz\n> A 2000000002 1 cd\n", "> ab|> lost -1|> zz|> cd"},
	} {
		for _, isn := range []uint32{1000, 1<<32 - 1, 1<<32 - 3, 1<<32 - 5} { // sequence numbers begin again at 0
			got := assemble(t, script(packettest.New(t, layers.LinkTypeRaw), isn, test.sent))
			want := strings.Split(test.told, "|")
			want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
			if !slices.Equal(got, want) {
				t.Errorf("%s, from %d: %q where %q was expected", name, isn, got, want)
			}
		}
	}
}

// What was cut off from packets is a gap.
func TestCutSegments(t *testing.T) {
	c := script(packettest.New(t, layers.LinkTypeRaw), 0, handshake)
	c.TCP(packettest.Segment{From: alice, To: bob, Seq: 1, Ack: 1, Flags: "A", Payload: []byte("abcdef"), CutTo: 42})
	c.TCP(packettest.Segment{From: alice, To: bob, Seq: 9, Ack: 1, Flags: "A", Payload: []byte("ijkl"), CutTo: 41})
	c.TCP(packettest.Segment{From: alice, To: bob, Seq: 3, Ack: 1, Flags: "A", Payload: []byte("cdefgh")})
	if got, want := fmt.Sprint(assemble(t, c)), "[> ab > lost 4 > gh > i > lost 3 again 4 0]"; got != want {
		t.Errorf("%s where %s was expected", got, want)
	}
}

// What waits is bounded: for a side, for all, and in time.
func TestWaiting(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 60000)
	c := script(packettest.New(t, layers.LinkTypeRaw), 0, handshake)
	for i := range 200 {
		c.TCP(packettest.Segment{From: alice, To: bob, Seq: uint32(2 + i*len(big)), Ack: 1, Flags: "A", Payload: big})
	}
	if got := assemble(t, c); len(got) != 201 || got[0] != "> lost 1" {
		t.Errorf("12 MB after a byte that is missing: %d notes", len(got))
	}
	c = script(packettest.New(t, layers.LinkTypeRaw), 0, handshake)
	for i := range 5000 {
		c.TCP(packettest.Segment{From: alice, To: bob, Seq: uint32(10002 - 2*i), Ack: 1, Flags: "A", Payload: []byte("x")})
	}
	if got := assemble(t, c); len(got) < 5000 {
		t.Errorf("5,000 segments, the last one first: %d notes", len(got))
	}
	c = script(packettest.New(t, layers.LinkTypeRaw), 0, handshake+"> A 3 1 cd\n")
	c.At = c.At.Add(4 * time.Second)
	script(c, 0, "< A 1 1 xy\n> A 1 3 ab\n")
	if got, want := fmt.Sprint(assemble(t, c)), "[< xy > lost 2 > cd again 2 0]"; got != want {
		t.Errorf("after seconds: %s where %s was expected", got, want)
	}
}
