package native

import "math/bits"

// unitSize is the number of bytes that a Hasher gathers before it hashes them: large enough for full SIMD lanes and to
// make the cost of a call into C small.
const unitSize = 64 << 10

// A Hasher computes the hash of a stream. It is an io.Writer whose Write never fails. It is used by one goroutine at a
// time.
type Hasher struct {
	engine Engine
	units  uint64 // whole units hashed; its set bits tell which entries of stack are valid
	stack  [64][Size]byte
	buf    []byte // the last 1 to unitSize bytes of the stream: the root is only known at its end
}

// NewHasher returns a hasher of an empty stream.
func (e Engine) NewHasher() *Hasher {
	return &Hasher{engine: e, buf: make([]byte, 0, unitSize)}
}

// Reset returns the hasher to the empty stream.
func (h *Hasher) Reset() {
	h.units, h.buf = 0, h.buf[:0]
}

// Write adds p to the stream.
func (h *Hasher) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if len(h.buf) == unitSize {
			h.push(h.buf, 0)
			h.buf = h.buf[:0]
		}
		if len(h.buf) == 0 && len(p) > unitSize {
			height := bits.Len64(uint64(len(p)-1)/unitSize) - 1
			if h.units != 0 {
				height = min(height, bits.TrailingZeros64(h.units))
			}
			h.push(p[:unitSize<<height], height)
			p = p[unitSize<<height:]
			continue
		}
		n := copy(h.buf[len(h.buf):unitSize], p)
		h.buf = h.buf[:len(h.buf)+n]
		p = p[n:]
	}
	return written, nil
}

// push adds the subtree of the next 2^height units, to which the number of units is aligned, and combines complete
// subtrees. More bytes follow, so none of them is the root.
func (h *Hasher) push(p []byte, height int) {
	value := h.engine.ChainingValue(p, h.units*(unitSize/ChunkSize))
	h.units += 1 << height
	for ; h.units>>height&1 == 0; height++ {
		value = h.engine.Combine([][Size]byte{h.stack[height], value})
	}
	h.stack[height] = value
}

// Sum returns the hash of what has been written so far. It does not change the hasher.
func (h *Hasher) Sum() [Size]byte {
	if h.units == 0 {
		return h.engine.Sum(h.buf)
	}
	value := h.engine.ChainingValue(h.buf, h.units*(unitSize/ChunkSize))
	rest := h.units
	for ; rest&(rest-1) != 0; rest &= rest - 1 {
		value = h.engine.Combine([][Size]byte{h.stack[bits.TrailingZeros64(rest)], value})
	}
	return h.engine.Root([][Size]byte{h.stack[bits.TrailingZeros64(rest)], value})
}
