package packet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Types of pcapng's blocks.
const (
	blockInterface  = 1
	blockPacket     = 2 // an older form of blockEnhanced
	blockSimple     = 3 // without a time
	blockStatistics = 5
	blockEnhanced   = 6
)

// sectionHeader is the type of the block that every pcapng file and section begins with.
var sectionHeader = []byte{0x0a, 0x0d, 0x0d, 0x0a}

// maxBlock is the size of the largest block that is used, in bytes.
const maxBlock = maxPacket + 64<<10

// blocks reads the blocks of a pcapng file that are needed, each whole and with lengths that fit into one another: who
// reads on allocates, and passes over, what these lengths say.
type blocks struct {
	r       io.Reader
	order   binary.ByteOrder
	block   []byte
	pending []byte // of block, not read yet
	failed  error  // why there are no more
}

func (b *blocks) Read(p []byte) (int, error) {
	for len(b.pending) == 0 && b.failed == nil {
		b.failed = b.next()
	}
	if len(b.pending) == 0 {
		return 0, b.failed
	}
	n := copy(p, b.pending)
	b.pending = b.pending[n:]
	return n, nil
}

// next reads the next block, into pending if it is needed.
func (b *blocks) next() error {
	var head [12]byte
	if n, err := io.ReadFull(b.r, head[:]); err == io.EOF && n == 0 {
		return io.EOF
	} else if err != nil {
		return cut(err)
	}
	if err := b.learnOrder(head); err != nil {
		return err
	}
	kind, length := b.order.Uint32(head[:]), int64(b.order.Uint32(head[4:]))
	if length < 12 || length%4 != 0 {
		return noCapture(fmt.Errorf("a block of %d bytes", length))
	}
	known := bytes.Equal(head[:4], sectionHeader) || kind == blockInterface || kind == blockPacket || kind == blockSimple ||
		kind == blockStatistics || kind == blockEnhanced
	if !known {
		_, err := io.CopyN(io.Discard, b.r, length-12)
		return cut(err)
	}
	if length > maxBlock {
		return noCapture(fmt.Errorf("a block of %d bytes, where %d are taken", length, maxBlock))
	}
	b.block = append(slices.Grow(b.block[:0], int(length)), head[:]...)[:length]
	if _, err := io.ReadFull(b.r, b.block[12:]); err != nil {
		return cut(err)
	}
	if err := b.check(kind); err != nil {
		return noCapture(err)
	}
	b.pending = b.block
	return nil
}

// learnOrder finds out how numbers are written from the header of a section.
func (b *blocks) learnOrder(head [12]byte) error {
	const magic = 0x1a2b3c4d
	switch {
	case !bytes.Equal(head[:4], sectionHeader):
	case binary.BigEndian.Uint32(head[8:]) == magic:
		b.order = binary.BigEndian
	case binary.LittleEndian.Uint32(head[8:]) == magic:
		b.order = binary.LittleEndian
	default:
		return noCapture(errors.New("a section that does not say the order of its bytes"))
	}
	return nil
}

// check checks the lengths in a block.
func (b *blocks) check(kind uint32) error {
	length := len(b.block)
	if int64(b.order.Uint32(b.block[length-4:])) != int64(length) {
		return errors.New("a block whose two lengths differ")
	}
	options := map[uint32]int{blockInterface: 16, blockStatistics: 20}
	begin, has := options[kind]
	switch {
	case bytes.Equal(b.block[:4], sectionHeader):
		begin, has = 24, true
	case kind == blockPacket || kind == blockEnhanced:
		if length < 32 || int64(b.order.Uint32(b.block[20:])) > int64(length-32) {
			return errors.New("a packet longer than its block")
		}
	case kind == blockSimple:
		return errors.New("packets without times")
	}
	if !has {
		return nil
	}
	if length < begin+4 {
		return fmt.Errorf("a block of %d bytes", length)
	}
	return b.checkOptions(b.block[begin : length-4])
}

// checkOptions checks the lengths of options.
func (b *blocks) checkOptions(options []byte) error {
	for len(options) >= 4 {
		length := (int(b.order.Uint16(options[2:])) + 3) &^ 3
		if length > min(len(options)-4, math.MaxUint16) {
			return errors.New("an option longer than its block, or than options can be")
		}
		options = options[4+length:]
	}
	return nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutShort
	}
	return err
}
