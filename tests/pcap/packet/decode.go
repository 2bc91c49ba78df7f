package packet

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// outcome is what came of decoding a packet.
type outcome int

const (
	usable outcome = iota
	other
	malformed
)

// linkSLL2 is LINKTYPE_LINUX_SLL2, which a capture on all interfaces has; gopacket keeps the low 8 bits of a link's type,
// and no other link has these.
const linkSLL2 = layers.LinkType(276 & 0xff)

// decoder finds what is in a packet. All layers are decoded into the same place, so that nothing is allocated.
type decoder struct {
	ethernet   layers.Ethernet
	vlan       layers.Dot1Q
	loopback   layers.Loopback
	sll        layers.LinuxSLL
	ip4        layers.IPv4
	ip6        layers.IPv6
	extensions layers.IPv6ExtensionSkipper
	tcp        layers.TCP
	udp        layers.UDP

	parsers   map[gopacket.LayerType]*gopacket.DecodingLayerParser
	found     []gopacket.LayerType
	fragments fragments
}

func newDecoder() *decoder {
	d := &decoder{parsers: map[gopacket.LayerType]*gopacket.DecodingLayerParser{}}
	for _, first := range []gopacket.LayerType{
		layers.LayerTypeEthernet, layers.LayerTypeLoopback, layers.LayerTypeLinuxSLL, layers.LayerTypeIPv4, layers.LayerTypeIPv6,
		layers.LayerTypeTCP, layers.LayerTypeUDP,
	} {
		parser := gopacket.NewDecodingLayerParser(first,
			&d.ethernet, &d.vlan, &d.loopback, &d.sll, &d.ip4, &d.ip6, &d.extensions, &d.tcp, &d.udp)
		parser.IgnoreUnsupported = true
		d.parsers[first] = parser
	}
	return d
}

// firstLayer is what the packets of a link begin with, and where.
func firstLayer(link layers.LinkType, data []byte) (gopacket.LayerType, []byte) {
	switch link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet, data
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback, data
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL, data
	case linkSLL2:
		if len(data) < 20 { // its header, that begins with the protocol
			return gopacket.LayerTypeZero, nil
		}
		return layers.EthernetType(binary.BigEndian.Uint16(data)).LayerType(), data[20:]
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, 12, 14: // on BSD, raw packets have these
		if len(data) > 0 && data[0]>>4 == 6 {
			return layers.LayerTypeIPv6, data
		}
		return layers.LayerTypeIPv4, data
	}
	return gopacket.LayerTypeZero, nil
}

// packet decodes data into p.
func (d *decoder) packet(p *Packet, link layers.LinkType, data []byte) outcome {
	first, data := firstLayer(link, data)
	if d.parsers[first] == nil {
		return other
	}
	// A parser makes an error of a panic of its layers.
	if d.parsers[first].DecodeLayers(data, &d.found) != nil {
		return malformed
	}
	var from, to net.IP
	switch {
	case slices.Contains(d.found, layers.LayerTypeIPv6Fragment):
		return other
	case slices.Contains(d.found, layers.LayerTypeIPv6):
		from, to = d.ip6.SrcIP, d.ip6.DstIP
		p.Cut = int(d.ip6.Length) - len(d.ip6.Payload)
		if d.ip6.HopByHop != nil {
			p.Cut -= d.ip6.HopByHop.ActualLength
		}
	case slices.Contains(d.found, layers.LayerTypeIPv4):
		from, to = d.ip4.SrcIP, d.ip4.DstIP
		p.Cut = int(d.ip4.Length) - 4*int(d.ip4.IHL) - len(d.ip4.Payload)
		if d.ip4.FragOffset != 0 || d.ip4.Flags&layers.IPv4MoreFragments != 0 {
			whole := d.fragments.add(&d.ip4, p.Cut)
			if whole == nil || d.parsers[d.ip4.Protocol.LayerType()] == nil {
				return other
			}
			if d.parsers[d.ip4.Protocol.LayerType()].DecodeLayers(whole, &d.found) != nil {
				return malformed
			}
		}
	default:
		return other
	}
	p.Cut = max(0, p.Cut)
	return d.transport(p, from, to)
}

// transport takes over what the last layer found says.
func (d *decoder) transport(p *Packet, from, to net.IP) outcome {
	source, _ := netip.AddrFromSlice(from) // it has 4 or 16 bytes
	destination, _ := netip.AddrFromSlice(to)
	switch {
	case slices.Contains(d.found, layers.LayerTypeTCP):
		p.Protocol = TCP
		p.Source = netip.AddrPortFrom(source.Unmap(), uint16(d.tcp.SrcPort))
		p.Destination = netip.AddrPortFrom(destination.Unmap(), uint16(d.tcp.DstPort))
		p.Sequence, p.Acknowledged = d.tcp.Seq, d.tcp.Ack
		p.SYN, p.ACK, p.FIN, p.RST = d.tcp.SYN, d.tcp.ACK, d.tcp.FIN, d.tcp.RST
		p.Payload = d.tcp.Payload
	case slices.Contains(d.found, layers.LayerTypeUDP):
		p.Protocol = UDP
		p.Source = netip.AddrPortFrom(source.Unmap(), uint16(d.udp.SrcPort))
		p.Destination = netip.AddrPortFrom(destination.Unmap(), uint16(d.udp.DstPort))
		p.Payload = d.udp.Payload
	default:
		return other
	}
	return usable
}
