package pcap_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"shoal/tests/pcap"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/report"
)

// captured is a packet of a capture as it is.
type captured struct {
	info gopacket.CaptureInfo
	data []byte
}

// sample is all packets of a capture in testdata.
func sample(t testing.TB, name string) (all []captured) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(unpacked, pcapgo.NgReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, captured{info, data})
	}
}

// capture is a file of these packets.
func capture(t testing.TB, packets []captured) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet)
	for _, p := range packets {
		err = errors.Join(err, w.WritePacket(p.info, p.data))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// analyse is the report of a capture.
func analyse(t testing.TB, file []byte) *report.Report {
	t.Helper()
	r, err := packet.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	found, err := pcap.Analysis{}.Read(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return found
}

func kind(r *report.Report, d dialect.Dialect, name string) report.Kind {
	for _, k := range r.Kinds {
		if k.Dialect == d && k.Name == name {
			return *k
		}
	}
	return report.Kind{}
}

// text is the report for people.
func text(t testing.TB, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := (report.Text{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const size = 600 * 991 // bytes of the file in the sample

// The samples are what they should be, and break no rule.
func TestSamples(t *testing.T) {
	for name, dialects := range map[string]map[dialect.Dialect]int{
		"plaintext.pcapng.gz": {dialect.Shoal: 15},
		"tls.pcapng.gz":       {dialect.TLS: 3},
		"services.pcapng.gz":  {dialect.TLS: 1, dialect.RPC: 1, dialect.HTTP: 1},
	} {
		found, err := pcap.Analysis{}.File(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		said := text(t, found)
		if !found.Clean() || len(found.Gaps) > 0 || found.Capture.Other+found.Capture.Malformed > 0 {
			t.Errorf("%s:\n%s", name, said)
		}
		for _, c := range found.Conversations {
			if dialects[c.Dialect]--; !c.Whole {
				t.Errorf("%s: %+v is not whole", name, c)
			}
			if c.Dialect == dialect.TLS && !slices.Equal(c.Protocols, []string{"shoal/1"}) {
				t.Errorf("%s: TLS with %q", name, c.Protocols)
			}
		}
		for d, missing := range dialects {
			if missing > 0 {
				t.Errorf("%s: %d more conversations in %s were expected:\n%s", name, missing, d, said)
			}
		}
	}
}

// What the report says of a download from three peers is so.
func TestPlaintextSample(t *testing.T) {
	found, err := pcap.Analysis{}.File("testdata/plaintext.pcapng.gz")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HELLO", "AUTH", "PUBLISH", "LIST", "LOOKUP", "JOIN", "MANIFEST", "REQUEST", "GROUP", "MEMBERS", "UNPUBLISH"} {
		k := kind(found, dialect.Shoal, name)
		if k.Requests == 0 || k.Replies != k.Requests || k.P50 <= 0 || k.P50 > k.P90 || k.P90 > k.P99 || k.P99 > k.Max {
			t.Errorf("%s: %+v", name, k)
		}
	}
	several := 0
	for _, g := range found.Gets {
		var bytes, drawn int64
		for _, s := range g.Sources {
			bytes += s.Bytes
			for _, n := range s.Line {
				drawn += n
			}
		}
		if g.Size != size || bytes != g.Bytes || drawn != g.Bytes || g.End.Before(g.Begin) {
			t.Errorf("%+v", g)
		}
		if len(g.Sources) == 3 && g.Bytes >= size {
			several++
		}
	}
	if several == 0 {
		t.Errorf("no get from three sources:\n%s", text(t, found))
	}
	if len(found.Objects) != 2 || found.Objects[0].From != 3 || found.Objects[0].Group != "public" {
		t.Errorf("objects: %+v", found.Objects)
	}
	var in, out int64
	for _, p := range found.Peers {
		in, out = in+p.BlocksIn, out+p.BlocksOut
	}
	if in != out || in < size {
		t.Errorf("%d bytes of blocks came, %d went", in, out)
	}
}

// A packet that is missing in a capture is a gap, or nothing at all, and never a violation.
func TestAnyPacketMissing(t *testing.T) {
	all := sample(t, "plaintext.pcapng.gz")
	gaps, missing := 0, 0
	for i := 0; i < len(all); i += 14 {
		missing++
		found := analyse(t, capture(t, slices.Concat(all[:i], all[i+1:])))
		if !found.Clean() {
			t.Fatalf("without packet %d:\n%s", i+1, text(t, found))
		}
		if len(found.Gaps) > 0 {
			gaps++
		}
	}
	if gaps < missing/4 {
		t.Errorf("only %d of %d packets were missed", gaps, missing)
	}
}

// Packets that come twice, or one too late, change nothing.
func TestAnyPacketTwice(t *testing.T) {
	all := sample(t, "plaintext.pcapng.gz")
	want := len(analyse(t, capture(t, all)).Kinds)
	for i := 0; i < len(all); i += 41 {
		again := slices.Concat(all[:i+1], all[i:])
		if found := analyse(t, capture(t, again)); !found.Clean() || len(found.Gaps) > 0 || len(found.Kinds) != want {
			t.Fatalf("with packet %d twice:\n%s", i+1, text(t, found))
		}
	}
}

// A capture that begins or ends anywhere shows what there is of it, and no violation.
func TestPartOfCapture(t *testing.T) {
	all := sample(t, "plaintext.pcapng.gz")
	recognised := 0
	for i := 0; i < len(all); i += 29 {
		for _, part := range [][]captured{all[:i], all[i:]} {
			found := analyse(t, capture(t, part))
			if !found.Clean() {
				t.Fatalf("cut at packet %d:\n%s", i+1, text(t, found))
			}
			for _, c := range found.Conversations {
				if !c.Whole && c.Dialect == dialect.Shoal {
					recognised++
				}
			}
		}
	}
	if recognised < 5 {
		t.Errorf("only %d conversations without their beginning were recognised", recognised)
	}
}
