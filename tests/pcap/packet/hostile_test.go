package packet_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/gopacket/layers"

	"shoal"
	"shoal/tests/bounds"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/packettest"
)

// ngBlock is a block of a pcapng file with true lengths.
func ngBlock(kind uint32, body ...byte) []byte {
	length := uint32(12 + len(body))
	b := binary.LittleEndian.AppendUint32(nil, kind)
	b = binary.LittleEndian.AppendUint32(b, length)
	return binary.LittleEndian.AppendUint32(append(b, body...), length)
}

func words(all ...uint32) (b []byte) {
	for _, w := range all {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

var (
	ngSection   = ngBlock(0x0a0d0d0a, words(0x1a2b3c4d, 1, 1<<32-1, 1<<32-1)...)
	ngInterface = ngBlock(1, words(1, 1<<32-1)...)
)

// Files that lie about lengths, numbers and divisors are refused, and cost little memory.
func TestHostileFiles(t *testing.T) {
	classic := func(snaplen, captured uint32) []byte {
		header := words(0xa1b2c3d4, 2|4<<16, 0, 0, snaplen, 1)
		return append(header, words(1, 1, captured, captured)...)
	}
	ng := func(blocks ...[]byte) []byte { return append(bytes.Clone(ngSection), bytes.Join(blocks, nil)...) }
	long := ngBlock(6, words(0, 0, 0, 1<<31, 1<<31)...)
	for name, file := range map[string][]byte{
		"pcap, a packet of 2 GiB":                 classic(1<<32-1, 1<<31),
		"pcapng, a packet of 2 GiB":               ng(ngInterface, long),
		"pcapng, an old packet of 2 GiB":          ng(ngInterface, ngBlock(2, words(0, 0, 0, 1<<31, 1<<31)...)),
		"pcapng, a simple packet of 2 GiB":        ng(ngInterface, ngBlock(3, words(1<<31)...)),
		"pcapng, a block of 4 GiB":                ng(words(6, 1<<32-4, 0)),
		"pcapng, a block of 8 bytes":              ng(words(6, 8, 8, 0)),
		"pcapng, a block of odd length":           ng(words(6, 33, 0)),
		"pcapng, lengths that differ":             ng(append(ngInterface[:len(ngInterface)-4:len(ngInterface)-4], 1, 2, 3, 4)),
		"pcapng, an option longer than its block": ng(ngBlock(1, append(words(1, 0), 9, 0, 200, 0)...)),
		"pcapng, seconds of 2^-127":               ng(ngBlock(1, append(words(1, 0), 9, 0, 1, 0, 0xff, 0, 0, 0)...)),
		"pcapng, seconds of 10^-127":              ng(ngBlock(1, append(words(1, 0), 9, 0, 1, 0, 0x7f, 0, 0, 0)...)),
		"pcapng, no interface":                    ng(ngBlock(6, words(0, 0, 0, 0, 0)...)),
		"pcapng, no such interface":               ng(ngInterface, ngBlock(5, words(9, 0, 0)...)),
		"pcapng, no order of bytes":               ngBlock(0x0a0d0d0a, words(0, 1, 0, 0)...),
		"pcapng, version 9":                       ngBlock(0x0a0d0d0a, words(0x1a2b3c4d, 9, 1<<32-1, 1<<32-1)...),
		"no capture":                              []byte("this is no capture, and it never will be one"),
	} {
		var err error
		took := bounds.Allocated(func() { _, _, err = readAll(t, file) })
		if shoal.CodeOf(err) != shoal.BadRequest {
			t.Errorf("%s: %v", name, err)
		}
		if took > bounds.Bound(len(file)) {
			t.Errorf("%s took %d bytes", name, took)
		}
	}
	// Blocks that nobody needs may be as long as they like.
	if got, counts, err := readAll(t, ng(ngInterface, ngBlock(0x0bad, make([]byte, 1<<20)...), ngBlock(6, words(0, 0, 0, 0, 0)...))); err != nil || counts.Packets != 1 {
		t.Errorf("after a block of 1 MiB: %v, %q, %+v", err, got, counts)
	}
}

// FuzzReader reads captures that nobody made: what can be read ends, and it costs no more than a few times the file.
func FuzzReader(f *testing.F) {
	for _, link := range []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeNull, layers.LinkTypeRaw, layers.LinkTypeLinuxSLL, packettest.LinkSLL2} {
		c := packettest.New(f, link).Tag(1)
		c.TCP(packettest.Segment{From: alice, To: bob, Flags: "SA", Payload: []byte("four")})
		c.UDP(alice6, bob6, []byte("six"))
		f.Add(bytes.Clone(c.Bytes()))
	}
	c := packettest.New(f, layers.LinkTypeEthernet)
	c.Fragments(alice, bob, make([]byte, 64), 16, 3, 0, 1, 2, 4)
	f.Add(bytes.Clone(c.Bytes()))
	f.Add(append(bytes.Clone(ngSection), append(bytes.Clone(ngInterface), ngBlock(6, words(0, 0, 0, 0, 0)...)...)...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
			return // what is compressed may cost what it is the whole of
		}
		bounds.Hold(t, len(file), func() { readFuzzed(t, file) })
	})
}

func readFuzzed(t *testing.T, file []byte) {
	r, err := packet.NewReader(bytes.NewReader(file))
	if err != nil {
		return
	}
	for err == nil {
		var p *packet.Packet
		if p, err = r.Next(); err == nil &&
			(p.Cut < 0 || p.Protocol != packet.TCP && p.Protocol != packet.UDP || !p.Source.IsValid() || !p.Destination.IsValid()) {
			t.Errorf("%+v", p)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
