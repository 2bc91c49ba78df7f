package pcap_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"

	"shoal/tests/bounds"
	"shoal/tests/pcap"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/packettest"
	"shoal/tests/pcap/report"
	"shoal/wire"
)

// Many connections that say little cost no more than a few times what was captured of them, whatever they say.
func TestManyConnections(t *testing.T) {
	hello := wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{Version: wire.Version, Wanted: wire.ServicePeer, Secured: wire.Plaintext})
	for name, first := range map[string][]byte{
		"Shoal":             hello,
		"HTTP":              []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
		"TLS":               {0x16, 3, 1, 1, 0, 1},
		"ONC RPC":           {0x80, 0, 0, 24, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1},
		"nothing known":     []byte("SSH-2.0-x\r\n"),
		"a byte":            {0},
		"Shoal, midway":     wire.AppendRequest(nil, wire.KindLookup, 9, &wire.Lookup{Group: "lab", Name: "name"}),
		"waiting, too soon": []byte("x"),
	} {
		c := packettest.New(t, layers.LinkTypeRaw)
		to := netip.MustParseAddrPort("192.0.2.2:7400")
		for i := range 5000 {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 40000)
			if name != "Shoal, midway" {
				c.TCP(packettest.Segment{From: from, To: to, Flags: "S"})
			}
			seq := uint32(1)
			if name == "waiting, too soon" {
				seq = 100
			}
			c.TCP(packettest.Segment{From: from, To: to, Seq: seq, Ack: 1, Flags: "A", Payload: first})
		}
		file := c.Bytes()
		var found *report.Report
		took := bounds.Allocated(func() {
			r, err := packet.NewReader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if found, err = (pcap.Analysis{}).Read(r); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %d times", name, took/uint64(len(file)))
		if took > bounds.Bound(len(file)) || len(found.Conversations) != 5000 {
			t.Errorf("%s: %d connections in %d bytes took %d", name, len(found.Conversations), len(file), took)
		}
	}
}
