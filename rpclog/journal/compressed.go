package journal

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"time"
)

// A compressed file is gzip (RFC 1952), as zcat reads it, in members of one block each. The extra field of a member's
// header says how long it is, compressed and not, and the newest time in it; so a reader finds its way from member to
// member without decompressing, backwards too, and passes by those that are too old:
//
//	10 bytes   header   ID1 ID2 CM FLG=FEXTRA MTIME XFL OS
//	 2         XLEN     20
//	 2         SI1 SI2  "Sl"
//	 2         LEN      16
//	 4         member   bytes, all of it
//	 4         lines    bytes
//	 8         newest   nanoseconds since 1970
//
// all in little endian, as the RFC has it.
const (
	memberHead  = 10 + 2 + memberExtra
	memberExtra = 4 + 16
)

// member is a part of a compressed file.
type member struct {
	at, length int64 // in the compressed file
	start, end int64 // of its lines
	newest     int64
}

// compressor makes members. Not for concurrent use.
type compressor struct {
	out bytes.Buffer
	z   *gzip.Writer
}

func newCompressor() *compressor {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that there is
	return &compressor{z: z}
}

// member compresses b. The result is valid until the next call.
func (c *compressor) member(b block) ([]byte, error) {
	c.out.Reset()
	c.z.Reset(&c.out)
	c.z.Extra = make([]byte, memberExtra)
	copy(c.z.Extra, "Sl")
	binary.LittleEndian.PutUint16(c.z.Extra[2:], memberExtra-4)
	_, err := c.z.Write(b.lines)
	if err = errors.Join(err, c.z.Close()); err != nil {
		return nil, err
	}
	written := c.out.Bytes()
	sizes := written[memberHead-16:]
	binary.LittleEndian.PutUint32(sizes, uint32(len(written)))
	binary.LittleEndian.PutUint32(sizes[4:], uint32(len(b.lines)))
	binary.LittleEndian.PutUint64(sizes[8:], uint64(newest(b)))
	return written, nil
}

// newest returns the latest time of b's entries, in nanoseconds since 1970; the earliest there is if it has none.
func newest(b block) int64 {
	latest := minTime
	b.eachLine(func(line []byte, _ int64) bool {
		if h, ok := parseHead(line); ok && string(h.time) > latest {
			latest = string(h.time)
		}
		return true
	})
	t, err := time.Parse(timeLayout, latest)
	if err != nil {
		t = time.Unix(0, 1<<63-1) // a block that is damaged: never passed by
	}
	return t.UnixNano()
}

// minTime is the earliest time that an entry can have.
var minTime = time.Unix(0, -1<<63).UTC().Format(timeLayout)

func parseMember(h []byte) (length, lines, newest int64, ok bool) {
	if len(h) != memberHead || !bytes.Equal(h[:3], []byte{0x1F, 0x8B, 8}) || h[3]&4 == 0 ||
		binary.LittleEndian.Uint16(h[10:]) != memberExtra || string(h[12:14]) != "Sl" {
		return 0, 0, 0, false
	}
	sizes := h[memberHead-16:]
	length, lines = int64(binary.LittleEndian.Uint32(sizes)), int64(binary.LittleEndian.Uint32(sizes[4:]))
	return length, lines, int64(binary.LittleEndian.Uint64(sizes[8:])), length > memberHead && lines <= blockSize+maxLine
}

var errDamaged = errors.New("a file of the journal is damaged, or was compressed by another program")

// compressedBlocks reads a compressed file.
type compressedBlocks struct {
	*os.File
	members []member
	since   int64
	buffer  []byte
	z       gzip.Reader
}

// openCompressed reads where the members are. Of a file that is damaged, or was compressed by another program, those
// before the damage are there, and the error wraps errDamaged.
func openCompressed(in *os.File, since string) (*compressedBlocks, error) {
	info, err := in.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	c := &compressedBlocks{File: in, since: -1 << 63}
	if t, err := time.Parse(timeLayout, since); err == nil {
		c.since = t.UnixNano()
	}
	var m member
	for h := make([]byte, memberHead); m.at < info.Size(); {
		_, err := in.ReadAt(h, m.at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the journal: %w", err)
		}
		length, lines, newest, ok := parseMember(h)
		if !ok || err != nil || m.at+length > info.Size() {
			return c, fmt.Errorf("%w at byte %d: %s", errDamaged, m.at, in.Name())
		}
		m.length, m.end, m.newest = length, m.start+lines, newest
		c.members = append(c.members, m)
		m.at, m.start = m.at+length, m.end
	}
	return c, nil
}

func (c *compressedBlocks) size() int64 {
	if len(c.members) == 0 {
		return 0
	}
	return c.members[len(c.members)-1].end
}

func (c *compressedBlocks) next(offset int64) (block, error) {
	i := sort.Search(len(c.members), func(i int) bool { return c.members[i].end > offset })
	if i == len(c.members) {
		return block{start: offset, end: offset}, nil
	}
	b := c.read(c.members[i])
	if b.lines != nil {
		b.lines = b.lines[offset-b.start:]
	}
	b.start = offset
	return b, nil
}

func (c *compressedBlocks) previous(end int64) (block, error) {
	i := sort.Search(len(c.members), func(i int) bool { return c.members[i].end >= end })
	if i == len(c.members) {
		return block{}, nil
	}
	b := c.read(c.members[i])
	if b.lines != nil {
		b.lines = b.lines[:end-b.start]
	}
	b.end = end
	return b, nil
}

// read decompresses a member. Of one that is damaged, or too old, there are no lines.
func (c *compressedBlocks) read(m member) block {
	b := block{start: m.start, end: m.end}
	if m.newest < c.since {
		return b
	}
	if n := m.end - m.start; int64(cap(c.buffer)) < n {
		c.buffer = make([]byte, n)
	}
	lines := c.buffer[:m.end-m.start]
	if c.z.Reset(io.NewSectionReader(c.File, m.at, m.length)) != nil {
		return b
	}
	c.z.Multistream(false)
	if _, err := io.ReadFull(&c.z, lines); err != nil {
		return b
	}
	if n, err := c.z.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return b // the checksum is wrong
	}
	b.lines = lines
	return b
}
