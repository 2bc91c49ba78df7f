package store

// bitfield is a set of pieces as the protocol has it: bit 7 of byte 0 is piece 0, the spare bits are 0.
type bitfield []byte

func newBitfield(pieces int) bitfield { return make(bitfield, (pieces+7)/8) }

func (b bitfield) has(i int) bool { return b[i/8]&(0x80>>(i%8)) != 0 }

func (b bitfield) set(i int) { b[i/8] |= 0x80 >> (i % 8) }

// fits reports whether b is a set of pieces of an object with so many: of the right length, the spare bits 0.
func (b bitfield) fits(pieces int) bool {
	return len(b) == (pieces+7)/8 && (pieces%8 == 0 || b[len(b)-1]<<(pieces%8) == 0)
}
