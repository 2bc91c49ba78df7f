// Package twin is the pure-Go twin of the C code in package native: the same functions with the same results, on one
// goroutine, for builds without cgo. It works with the compression functions of lukechampine.com/blake3.
package twin

import (
	"encoding/binary"
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// batch is the number of bytes that guts compresses at once.
const batch = guts.MaxSIMD * guts.ChunkSize

// Sum returns the BLAKE3 hash of p.
func Sum(p []byte) [32]byte {
	n := subtree(p, 0)
	n.Flags |= guts.FlagRoot
	return value(n)
}

// ChainingValue returns the chaining value, without the root flag, of the subtree that p forms at a chunk index.
func ChainingValue(p []byte, chunk uint64) [32]byte {
	return value(subtree(p, chunk))
}

// BlockValues appends to dst the chaining values of consecutive blocks of p, the last one possibly shorter.
func BlockValues(dst [][32]byte, p []byte, chunk uint64, blockLen int) [][32]byte {
	for len(p) > 0 {
		n := min(blockLen, len(p))
		dst = append(dst, ChainingValue(p[:n], chunk))
		chunk += uint64(blockLen / guts.ChunkSize)
		p = p[n:]
	}
	return dst
}

// Combine combines one or more values left-full into one.
func Combine(values [][32]byte) [32]byte {
	if len(values) == 1 {
		return values[0]
	}
	return value(join(values))
}

// Root combines two or more values left-full into the root's hash.
func Root(values [][32]byte) [32]byte {
	n := join(values)
	n.Flags |= guts.FlagRoot
	return value(n)
}

// leftLen returns the size of the left subtree of n units: the largest power of two below n.
func leftLen(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// subtree returns the uncompressed top node of the subtree that p forms.
func subtree(p []byte, chunk uint64) guts.Node {
	switch {
	case len(p) <= guts.ChunkSize:
		return guts.CompressChunk(p, &guts.IV, chunk, 0)
	case len(p) == batch:
		return guts.CompressBuffer((*[batch]byte)(p), batch, &guts.IV, chunk, 0)
	case len(p) < batch:
		var padded [batch]byte
		copy(padded[:], p)
		return guts.CompressBuffer(&padded, len(p), &guts.IV, chunk, 0)
	}
	chunks := (len(p) + guts.ChunkSize - 1) / guts.ChunkSize
	left := leftLen(chunks)
	return parent(
		guts.ChainingValue(subtree(p[:left*guts.ChunkSize], chunk)),
		guts.ChainingValue(subtree(p[left*guts.ChunkSize:], chunk+uint64(left))))
}

// join returns the uncompressed node over two or more values.
func join(values [][32]byte) guts.Node {
	left := leftLen(len(values))
	return parent(words(Combine(values[:left])), words(Combine(values[left:])))
}

func parent(left, right [8]uint32) guts.Node {
	return guts.ParentNode(left, right, &guts.IV, 0)
}

func value(n guts.Node) (out [32]byte) {
	cv := guts.ChainingValue(n)
	for i, w := range cv {
		binary.LittleEndian.PutUint32(out[4*i:], w)
	}
	return out
}

func words(v [32]byte) (cv [8]uint32) {
	for i := range cv {
		cv[i] = binary.LittleEndian.Uint32(v[4*i:])
	}
	return cv
}
