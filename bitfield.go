package shoal

import "math/bits"

// Bitfield is a set of an object's pieces as it crosses the wire: bit 7 of byte 0 is piece 0, and the last byte's spare
// bits are 0.
type Bitfield []byte

// NewBitfield is an empty set of so many pieces.
func NewBitfield(pieces int) Bitfield { return make(Bitfield, (pieces+7)/8) }

// Fits reports whether b has the form of a set of so many pieces (PROTOCOL.md rule P3).
func (b Bitfield) Fits(pieces int) bool {
	if len(b) != (pieces+7)/8 {
		return false
	}
	spare := 8*len(b) - pieces
	return spare == 0 || b[len(b)-1]&(1<<spare-1) == 0
}

// Has reports whether piece i is in the set; what lies outside it is not.
func (b Bitfield) Has(i int) bool { return i >= 0 && i/8 < len(b) && b[i/8]&(0x80>>(i%8)) != 0 }

// Set puts piece i, which must be one of the object's, into the set.
func (b Bitfield) Set(i int) { b[i/8] |= 0x80 >> (i % 8) }

// Count is how many pieces are in the set.
func (b Bitfield) Count() (n int) {
	for _, some := range b {
		n += bits.OnesCount8(some)
	}
	return n
}
