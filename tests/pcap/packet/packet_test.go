package packet_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"

	"shoal"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/packettest"
)

var (
	alice  = netip.MustParseAddrPort("192.0.2.1:40000")
	bob    = netip.MustParseAddrPort("192.0.2.2:7400")
	alice6 = netip.MustParseAddrPort("[2001:db8::1]:40000")
	bob6   = netip.MustParseAddrPort("[2001:db8::2]:7400")
)

// readAll returns the packets of a capture, a line each.
func readAll(t *testing.T, capture []byte) (lines []string, counts packet.Counts, err error) {
	t.Helper()
	r, err := packet.NewReader(bytes.NewReader(capture))
	if err != nil {
		return nil, counts, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		p, err := r.Next()
		if err == io.EOF {
			return lines, r.Counts(), nil
		} else if err != nil {
			return lines, r.Counts(), err
		}
		line := fmt.Sprintf("%d %v %v>%v %q", p.Number, p.Protocol, p.Source, p.Destination, p.Payload)
		if p.Protocol == packet.TCP {
			line += fmt.Sprintf(" %d/%d %t%t%t%t", p.Sequence, p.Acknowledged, p.SYN, p.ACK, p.FIN, p.RST)
		}
		if p.Cut != 0 {
			line += fmt.Sprintf(" cut %d", p.Cut)
		}
		lines = append(lines, line)
	}
}

// The same is found in packets of every kind of link, in IPv4 and IPv6, over TCP and UDP.
func TestLinks(t *testing.T) {
	for _, link := range []layers.LinkType{
		layers.LinkTypeEthernet, layers.LinkTypeNull, layers.LinkTypeRaw, layers.LinkTypeLinuxSLL, packettest.LinkSLL2,
	} {
		for tags := range 3 {
			if tags > 0 && link != layers.LinkTypeEthernet {
				break
			}
			c := packettest.New(t, link).Tag(tags)
			c.TCP(packettest.Segment{From: alice, To: bob, Seq: 1, Ack: 2, Flags: "SA", Payload: []byte("four")})
			c.TCP(packettest.Segment{From: alice6, To: bob6, Seq: 1<<32 - 1, Ack: 3, Flags: "FR"})
			c.UDP(alice, bob, []byte("datagram"))
			c.UDP(alice6, bob6, []byte("six"))
			got, counts, err := readAll(t, c.Bytes())
			want := []string{
				`1 TCP 192.0.2.1:40000>192.0.2.2:7400 "four" 1/2 truetruefalsefalse`,
				`2 TCP [2001:db8::1]:40000>[2001:db8::2]:7400 "" 4294967295/3 falsefalsetruetrue`,
				`3 UDP 192.0.2.1:40000>192.0.2.2:7400 "datagram"`,
				`4 UDP [2001:db8::1]:40000>[2001:db8::2]:7400 "six"`,
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("link %v with %d tags: %v, %+v:\n%q", link, tags, err, counts, got)
			}
		}
	}
}

// What the capture cut off is missing, and no more than that; short packets are filled up on Ethernet.
func TestCutPackets(t *testing.T) {
	c := packettest.New(t, layers.LinkTypeEthernet)
	payload := bytes.Repeat([]byte("x"), 1000)
	c.TCP(packettest.Segment{From: alice, To: bob, Payload: payload, CutTo: 14 + 20 + 20 + 3})
	c.TCP(packettest.Segment{From: alice6, To: bob6, Payload: payload, CutTo: 14 + 40 + 20 + 3})
	c.TCP(packettest.Segment{From: alice, To: bob, Payload: []byte("x"), CutTo: 30})
	got, counts, err := readAll(t, c.Bytes())
	want := []string{
		`1 TCP 192.0.2.1:40000>192.0.2.2:7400 "xxx" 0/0 falsefalsefalsefalse cut 997`,
		`2 TCP [2001:db8::1]:40000>[2001:db8::2]:7400 "xxx" 0/0 falsefalsefalsefalse cut 997`,
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || counts.Malformed != 1 {
		t.Errorf("%v, %+v:\n%q", err, counts, got)
	}
}

func TestFragments(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 5)
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 1, 0, 0, 3, 2}} {
		c := packettest.New(t, layers.LinkTypeEthernet)
		c.Fragments(alice, bob, payload, 16, order...)
		got, counts, err := readAll(t, c.Bytes())
		want := fmt.Sprintf("[%d UDP %v>%v %q]", len(order), alice, bob, payload)
		if err != nil || fmt.Sprint(got) != want || counts.Other != len(order)-1 {
			t.Errorf("in the order %v: %v, %+v:\n%q", order, err, counts, got)
		}
	}
	c := packettest.New(t, layers.LinkTypeEthernet)
	c.Fragments(alice, bob, payload, 16, 0, 2, 3)
	if got, _, _ := readAll(t, c.Bytes()); len(got) != 0 {
		t.Errorf("without one of its parts: %q", got)
	}
}

// A file that ends anywhere gives the packets that are whole in it.
func TestCutFiles(t *testing.T) {
	c := packettest.New(t, layers.LinkTypeEthernet)
	for range 3 {
		c.UDP(alice, bob, []byte("datagram"))
	}
	for name, capture := range map[string][]byte{"pcap": c.Bytes(), "pcapng": asNG(t, c.Bytes())} {
		most := 0
		for n := range len(capture) {
			got, counts, err := readAll(t, capture[:n])
			if n < 24 {
				if shoal.CodeOf(err) != shoal.BadRequest {
					t.Errorf("%s: %d bytes are taken for a capture: %v", name, n, err)
				}
				continue
			}
			if err != nil && len(got) > 0 || len(got) < most || len(got) > 3 {
				t.Errorf("%s: %d of %d bytes: %v, %d packets, %+v", name, n, len(capture), err, len(got), counts)
			}
			most = len(got)
		}
		if got, counts, err := readAll(t, capture); err != nil || len(got) != 3 || counts.CutShort {
			t.Errorf("%s: %v, %d packets, %+v", name, err, len(got), counts)
		}
		if got, counts, err := readAll(t, capture[:len(capture)-1]); name == "pcap" && (err != nil || len(got) != 2 || !counts.CutShort) {
			t.Errorf("%s, a byte short: %v, %d packets, %+v", name, err, len(got), counts)
		}
	}
}

// asNG is the same capture as a pcapng file.
func asNG(t *testing.T, capture []byte) []byte {
	t.Helper()
	r, err := packet.NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	var ng bytes.Buffer
	r.CopyTo(&ng)
	for err == nil {
		_, err = r.Next()
	}
	if err != io.EOF || r.Close() != nil {
		t.Fatal(err)
	}
	return ng.Bytes()
}

func TestCompressed(t *testing.T) {
	c := packettest.New(t, layers.LinkTypeEthernet)
	c.UDP(alice, bob, []byte("datagram"))
	for _, capture := range [][]byte{c.Bytes(), asNG(t, c.Bytes())} {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(capture); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if got, _, err := readAll(t, packed.Bytes()); err != nil || len(got) != 1 {
			t.Errorf("%v, %q", err, got)
		}
	}
}
