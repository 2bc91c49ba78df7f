package swarm

import "encoding/binary"

// bitfield is a set of pieces: bit 7 of byte 0 is piece 0.
type bitfield []byte

// newBitfield makes an empty set of n pieces, rounded up to whole words.
func newBitfield(n int) bitfield { return make(bitfield, (n+63)/64*8) }

func (b bitfield) get(i int) bool { return i/8 < len(b) && b[i/8]&(0x80>>(i%8)) != 0 }
func (b bitfield) set(i int)      { b[i/8] |= 0x80 >> (i % 8) }
func (b bitfield) clear(i int)    { b[i/8] &^= 0x80 >> (i % 8) }

// word is the pieces 64·w to 64·w+63, the first in the highest bit.
func (b bitfield) word(w int) uint64 { return binary.BigEndian.Uint64(b[8*w:]) }
