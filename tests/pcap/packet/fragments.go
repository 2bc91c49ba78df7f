package packet

import (
	"net/netip"
	"slices"

	"github.com/google/gopacket/layers"
)

// Limits of what is kept of datagrams that have not come whole.
const (
	maxFragmented = 64 // datagrams
	maxFragments  = 64 // of one datagram; 64 KiB have 46 at the MTU of Ethernet
)

// fragments puts together IPv4 datagrams that came in parts. gopacket's own ip4defrag keeps the packets that it is given, which
// are gone by then, and has no limit.
type fragments struct {
	partial map[fragmentKey]*datagram
	order   []fragmentKey // oldest first
}

type fragmentKey struct {
	from, to netip.Addr
	id       uint16
	protocol layers.IPProtocol
}

// datagram is a part of one. parts are in order and do not overlap.
type datagram struct {
	parts []fragment
	size  int // 0: not known yet
}

type fragment struct {
	offset int
	data   []byte
}

// add returns what the datagram carries when this was its last missing part.
func (f *fragments) add(ip *layers.IPv4, cut int) []byte {
	from, _ := netip.AddrFromSlice(ip.SrcIP)
	to, _ := netip.AddrFromSlice(ip.DstIP)
	key := fragmentKey{from, to, ip.Id, ip.Protocol}
	d := f.partial[key]
	if d == nil {
		d = f.begin(key)
	}
	offset := 8 * int(ip.FragOffset)
	if ip.Flags&layers.IPv4MoreFragments == 0 {
		d.size = offset + len(ip.Payload) + max(0, cut)
	}
	if len(d.parts) < maxFragments {
		d.insert(fragment{offset, slices.Clone(ip.Payload)})
	}
	whole := d.whole()
	if whole != nil {
		f.end(key)
	}
	return whole
}

func (f *fragments) begin(key fragmentKey) *datagram {
	if f.partial == nil {
		f.partial = map[fragmentKey]*datagram{}
	}
	if len(f.order) == maxFragmented {
		f.end(f.order[0])
	}
	d := new(datagram)
	f.partial[key] = d
	f.order = append(f.order, key)
	return d
}

func (f *fragments) end(key fragmentKey) {
	delete(f.partial, key)
	f.order = slices.DeleteFunc(f.order, func(k fragmentKey) bool { return k == key })
}

// insert adds a part, unless it overlaps one that is there: what comes twice is not needed, and no honest sender overlaps.
func (d *datagram) insert(part fragment) {
	at := len(d.parts)
	for at > 0 && d.parts[at-1].offset > part.offset {
		at--
	}
	if at > 0 && d.parts[at-1].offset+len(d.parts[at-1].data) > part.offset ||
		at < len(d.parts) && part.offset+len(part.data) > d.parts[at].offset {
		return
	}
	d.parts = slices.Insert(d.parts, at, part)
}

// whole is the datagram's content, nil while a part is missing.
func (d *datagram) whole() []byte {
	var content []byte
	for _, part := range d.parts {
		if part.offset != len(content) {
			return nil
		}
		content = append(content, part.data...)
	}
	if d.size == 0 || len(content) != d.size {
		return nil
	}
	return content
}
