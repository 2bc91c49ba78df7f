// Package packet reads captures: the TCP segments and UDP datagrams in pcap and pcapng files, and those that pass a network
// interface now. What a capture says may be made up by whoever sent it, or wrote the file: nothing in it can cost more
// than a few MiB, or a panic.
package packet

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Protocol is what carries a packet's payload.
type Protocol int

// The protocols.
const (
	TCP Protocol = iota + 1
	UDP
)

func (p Protocol) String() string {
	if p == UDP {
		return "UDP"
	}
	return "TCP"
}

// Packet is a TCP segment or a UDP datagram. Checksums have not been checked: on the sender's machine the network
// card fills them in after the capture.
type Packet struct {
	Number              int // in the capture, from 1, as Wireshark counts
	At                  time.Time
	Protocol            Protocol
	Source, Destination netip.AddrPort
	Payload             []byte // valid until the next packet is read
	Cut                 int    // bytes at the payload's end that the capture does not have

	// Of TCP alone.
	Sequence, Acknowledged uint32
	SYN, ACK, FIN, RST     bool
}

// Counts is how much of a capture could be used.
type Counts struct {
	Packets   int    `json:"packets"`
	Bytes     int64  `json:"bytes"`     // as they were on the network
	Other     int    `json:"other"`     // packets that are neither TCP nor UDP
	Malformed int    `json:"malformed"` // packets that make no sense
	Dropped   uint64 `json:"dropped"`   // packets that were not captured for want of time, as far as the capture says
	CutShort  bool   `json:"cut_short"` // the file ends within a packet
}

// maxPacket is the size of the largest packet, in bytes: more than 64 KiB and the headers of a link.
const maxPacket = 256 << 10

// raw is where packets come from.
type raw interface {
	// next returns the next packet, which is valid until the call after. The error is io.EOF at the end, and errCutShort
	// where that is not the end of a packet.
	next() (data []byte, info gopacket.CaptureInfo, link layers.LinkType, err error)
	// dropped is how many packets the capture is known not to have.
	dropped() uint64
	close() error
}

// Reader reads a capture. One goroutine may use it.
type Reader struct {
	raw    raw
	copy   *copier
	decode *decoder
	counts Counts
	packet Packet
}

func newReader(r raw) *Reader { return &Reader{raw: r, decode: newDecoder()} }

// Next returns the next TCP segment or UDP datagram; it is valid until the call after. The error is io.EOF at the end; any other one
// says why the rest of the capture cannot be read.
func (r *Reader) Next() (*Packet, error) {
	for {
		data, info, link, err := r.raw.next()
		r.counts.Dropped = r.raw.dropped()
		if err != nil {
			return nil, r.ended(err)
		}
		r.counts.Packets++
		r.counts.Bytes += int64(info.Length)
		if r.copy != nil {
			if err := r.copy.write(data, info, link); err != nil {
				return nil, err
			}
		}
		r.packet = Packet{Number: r.counts.Packets, At: info.Timestamp}
		switch r.decode.packet(&r.packet, link, data) {
		case usable:
			return &r.packet, nil
		case other:
			r.counts.Other++
		case malformed:
			r.counts.Malformed++
		}
	}
}

// Counts is what has been read so far.
func (r *Reader) Counts() Counts { return r.counts }

// Stop ends a capture from an interface: Next returns what had come before, and then io.EOF. Any goroutine may call it.
func (r *Reader) Stop() {
	if l, ok := r.raw.(interface{ stop() }); ok {
		l.stop()
	}
}

// CopyTo makes Next write all packets to w as well, as a pcapng file. It must be called before the first Next, and the file is
// complete after Close.
func (r *Reader) CopyTo(w io.Writer) { r.copy = &copier{w: w} }

// Close ends reading.
func (r *Reader) Close() error {
	err := r.raw.close()
	if r.copy != nil {
		err = errors.Join(err, r.copy.end(r.counts))
	}
	return err
}

func (r *Reader) ended(err error) error {
	if errors.Is(err, errCutShort) {
		r.counts.CutShort = true
		return io.EOF
	}
	return err
}
