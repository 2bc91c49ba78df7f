package dissector

import (
	"bufio"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// side is that of a connection which sends.
type side int

const (
	initiator side = iota
	responder
)

// recorder writes a capture of connections on loopback. What one side says before the other says something is cut into
// segments at random, unless it is to be uncut.
type recorder struct {
	t       *testing.T
	random  *rand.Rand
	file    *os.File
	out     *bufio.Writer
	packets int // written
	uncut   bool
	port    uint16
	seq     [2]uint32
	from    side
	waiting []byte
	ends    []*int // of the frames in waiting: where to note the packet that each ends in
	offsets []int  // in waiting, of those ends
}

func newRecorder(t *testing.T, random *rand.Rand, path string) *recorder {
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, random: random, file: file, out: bufio.NewWriterSize(file, 1<<20), port: 20000}
	// The header of a pcap file (draft-ietf-opsawg-pcap): microseconds, packets of any length, LINKTYPE_RAW.
	for _, word := range []uint32{0xa1b2c3d4, 2<<16 | 4, 0, 0, 1 << 18, 101} {
		r.write(binary.BigEndian.AppendUint32(nil, word))
	}
	return r
}

func (r *recorder) write(b []byte) {
	if _, err := r.out.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// connect begins another connection.
func (r *recorder) connect() {
	r.flush()
	r.port++
	r.seq = [2]uint32{r.random.Uint32(), r.random.Uint32()}
}

// send adds a frame. Its packet is noted in end when it has been written.
func (r *recorder) send(from side, frame []byte, end *int) {
	if from != r.from || len(r.waiting) > 1<<17 {
		r.flush()
	}
	r.from, r.waiting = from, append(r.waiting, frame...)
	r.ends, r.offsets = append(r.ends, end), append(r.offsets, len(r.waiting))
}

func (r *recorder) flush() {
	for sent := 0; sent < len(r.waiting); {
		// At first a header at least: by this a connection is recognized.
		n := 12 + r.random.IntN(1<<(4+r.random.IntN(12)))
		if r.uncut {
			n = 1 << 15
		}
		n = min(n, len(r.waiting)-sent)
		r.segment(r.waiting[sent : sent+n])
		sent += n
		for len(r.ends) > 0 && r.offsets[0] <= sent {
			*r.ends[0] = r.packets
			r.ends, r.offsets = r.ends[1:], r.offsets[1:]
		}
	}
	r.waiting, r.ends, r.offsets = nil, nil, nil
}

// spacing is the time between a packet and the next.
const spacing = 100 * time.Microsecond

// segment writes a packet, with headers of IPv4 (RFC 791) and TCP (RFC 9293) that have no checksums.
func (r *recorder) segment(data []byte) {
	ports := [2]uint16{r.port, 4919}
	at := time.Duration(r.packets) * spacing
	length := uint32(40 + len(data))
	var b []byte
	for _, word := range []uint32{
		1_700_000_000 + uint32(at/time.Second), uint32(at % time.Second / time.Microsecond), length, length,
		0x45000000 | length, 0, 64<<24 | 6<<16, 0x7f000001, 0x7f000001,
		uint32(ports[r.from])<<16 | uint32(ports[1-r.from]), r.seq[r.from], r.seq[1-r.from], 5<<28 | 0x18<<16 | 0xffff, 0,
	} {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	r.write(append(b, data...))
	r.packets++
	r.seq[r.from] += uint32(len(data))
}

func (r *recorder) close() {
	r.flush()
	if err := r.out.Flush(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.file.Close(); err != nil {
		r.t.Fatal(err)
	}
}
