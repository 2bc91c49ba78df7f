// Package packettest makes captures for tests: packet by packet, by gopacket's serializers.
package packettest

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// LinkSLL2 is LINKTYPE_LINUX_SLL2 as far as gopacket knows it.
const LinkSLL2 = layers.LinkType(276 & 0xff)

// Capture is a pcap file in the making. Each packet comes a millisecond after the one before.
type Capture struct {
	bytes.Buffer
	t    testing.TB
	link layers.LinkType
	vlan int // tags before each packet
	w    *pcapgo.Writer
	At   time.Time
}

// New begins a capture on a link of the given type.
func New(t testing.TB, link layers.LinkType) *Capture {
	c := &Capture{t: t, link: link, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.w = pcapgo.NewWriterNanos(&c.Buffer)
	if err := c.w.WriteFileHeader(1<<18, link); err != nil {
		t.Fatal(err)
	}
	if link == LinkSLL2 {
		binary.LittleEndian.PutUint32(c.Bytes()[20:], 276)
	}
	return c
}

// Tag puts every further packet into n VLANs, one in the other.
func (c *Capture) Tag(n int) *Capture {
	c.vlan = n
	return c
}

// Segment is a TCP segment in the making. Flags are some of the letters S, A, F, R.
type Segment struct {
	From, To netip.AddrPort
	Seq, Ack uint32
	Flags    string
	Payload  []byte
	CutTo    int // bytes of the packet that are captured; 0: all
}

// TCP adds a segment.
func (c *Capture) TCP(s Segment) {
	has := func(flag string) bool { return bytes.Contains([]byte(s.Flags), []byte(flag)) }
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(s.From.Port()), DstPort: layers.TCPPort(s.To.Port()), Seq: s.Seq, Ack: s.Ack,
		SYN: has("S"), ACK: has("A"), FIN: has("F"), RST: has("R"), Window: 65535,
	}
	c.write(c.encode(s.From, s.To, layers.IPProtocolTCP, tcp, s.Payload), s.CutTo)
}

// UDP adds a datagram.
func (c *Capture) UDP(from, to netip.AddrPort, payload []byte) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	c.write(c.encode(from, to, layers.IPProtocolUDP, udp, payload), 0)
}

// Fragments adds a datagram over IPv4 in parts of size bytes, in the order given by their numbers.
func (c *Capture) Fragments(from, to netip.AddrPort, payload []byte, size int, order ...int) {
	udp := &layers.UDP{SrcPort: layers.UDPPort(from.Port()), DstPort: layers.UDPPort(to.Port())}
	whole := c.serialize(udp, gopacket.Payload(payload))
	for _, i := range order {
		part := whole[i*size : min(len(whole), (i+1)*size)]
		ip := &layers.IPv4{
			Version: 4, IHL: 5, TTL: 64, Id: 7, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(),
			FragOffset: uint16(i * size / 8),
		}
		if (i+1)*size < len(whole) {
			ip.Flags = layers.IPv4MoreFragments
		}
		c.write(c.serialize(append(c.linkLayers(true), ip, gopacket.Payload(part))...), 0)
	}
}

// Raw adds a packet of any bytes.
func (c *Capture) Raw(data []byte) { c.write(data, 0) }

func (c *Capture) write(data []byte, cutTo int) {
	c.At = c.At.Add(time.Millisecond)
	info := gopacket.CaptureInfo{Timestamp: c.At, Length: len(data), CaptureLength: len(data)}
	if cutTo > 0 {
		info.CaptureLength = cutTo
	}
	if err := c.w.WritePacket(info, data[:info.CaptureLength]); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Capture) encode(from, to netip.AddrPort, protocol layers.IPProtocol, transport gopacket.SerializableLayer, payload []byte) []byte {
	all := c.linkLayers(from.Addr().Is4())
	if from.Addr().Is4() {
		all = append(all, &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()})
	} else {
		all = append(all, &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()})
	}
	return c.serialize(append(all, transport, gopacket.Payload(payload))...)
}

// linkLayers are the headers of the link.
func (c *Capture) linkLayers(ip4 bool) (all []gopacket.SerializableLayer) {
	next, family := layers.EthernetTypeIPv4, layers.ProtocolFamilyIPv4
	if !ip4 {
		next, family = layers.EthernetTypeIPv6, layers.ProtocolFamilyIPv6Linux
	}
	switch c.link {
	case layers.LinkTypeEthernet:
		first := next
		if c.vlan > 0 {
			first = layers.EthernetTypeDot1Q
		}
		mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
		all = append(all, &layers.Ethernet{SrcMAC: mac, DstMAC: mac, EthernetType: first})
		for i := range c.vlan {
			tag := &layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeDot1Q}
			if i == c.vlan-1 {
				tag.Type = next
			}
			all = append(all, tag)
		}
	case layers.LinkTypeNull:
		all = append(all, &layers.Loopback{Family: family})
	case layers.LinkTypeLinuxSLL:
		header := make([]byte, 16)
		binary.BigEndian.PutUint16(header[14:], uint16(next))
		all = append(all, gopacket.Payload(header))
	case LinkSLL2:
		header := make([]byte, 20)
		binary.BigEndian.PutUint16(header, uint16(next))
		all = append(all, gopacket.Payload(header))
	}
	return all
}

func (c *Capture) serialize(all ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		c.t.Fatal(err)
	}
	return b.Bytes()
}
