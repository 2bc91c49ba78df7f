package swarms

import (
	"bytes"
	"math/bits"

	"shoal"
	"shoal/wire"
)

const (
	// maxSessionHeld is how many bytes of bitfields are held for a session (rule S12), and maxHeld how many for all of them,
	// the counts of pieces included.
	maxSessionHeld = 64 << 10
	maxHeld        = 256 << 20
)

// copies counts, for the pieces of one object, how many partial sources have each. What is asked of it costs the same
// however many pieces and sources there are.
type copies struct {
	count []uint32 // of each piece
	of    []uint32 // how many pieces have each count: as long as the largest count ever needed
	least uint32   // the smallest count
}

func newCopies(pieces int) *copies {
	return &copies{count: make([]uint32, pieces), of: []uint32{uint32(pieces)}}
}

// change counts for one source the pieces of is instead of those of was. Either may be nil, for none.
func (c *copies) change(was, is shoal.Bitfield) {
	for at := range max(len(was), len(is)) {
		var before, after byte
		if was != nil {
			before = was[at]
		}
		if is != nil {
			after = is[at]
		}
		for differ := before ^ after; differ != 0; differ &= differ - 1 {
			bit := bits.TrailingZeros8(differ)
			if piece := 8*at + 7 - bit; after>>bit&1 != 0 {
				c.more(piece)
			} else {
				c.less(piece)
			}
		}
	}
}

func (c *copies) more(piece int) {
	n := c.count[piece]
	c.count[piece]++
	if int(n)+1 == len(c.of) {
		c.of = append(c.of, 0)
	}
	c.of[n]--
	c.of[n+1]++
	if n == c.least && c.of[n] == 0 {
		c.least++
	}
}

func (c *copies) less(piece int) {
	n := c.count[piece]
	c.count[piece]--
	c.of[n]--
	c.of[n-1]++
	c.least = min(c.least, n-1)
}

// availability is how many copies there are. The caller holds mu.
func (w *swarm) availability() shoal.Availability {
	a := shoal.Availability{Whole: uint32(w.whole), Partial: uint32(len(w.sources) - w.whole)}
	a.Least = a.Whole
	if c := w.copies; c != nil {
		a.Least += c.least
		a.Above = uint32(len(c.count)) - c.of[c.least]
	}
	return a
}

// missing are the pieces that no source has (rule S13). It is kept until the next change, and must not be changed. The
// caller holds mu, for reading at least.
func (w *swarm) missing() []shoal.Span {
	if w.whole > 0 || w.held < len(w.sources) || w.copies == nil || w.copies.least > 0 {
		return nil
	}
	if known := w.absent.Load(); known != nil {
		return *known
	}
	spans := shoal.SpansOf(len(w.copies.count), wire.MaxMissing, func(i int) bool { return w.copies.count[i] == 0 })
	w.absent.Store(&spans)
	return spans
}

// hold replaces what is known of which pieces the source at a place has, nil for nothing or all of them. Where there is no
// room for it, the source counts as one that has nothing. The caller holds mu.
func (w *swarm) hold(at int, has shoal.Bitfield) {
	from := &w.sources[at]
	a := from.session.all
	if len(has) > 0 && from.has == nil {
		if !a.reserve(from.session, w, len(has)) {
			return
		}
	}
	w.absent.Store(nil)
	switch {
	case len(has) > 0 && from.has == nil:
		w.copies.change(nil, has)
		from.has = bytes.Clone(has) // it aliases the frame
		w.held++
	case len(has) > 0:
		w.copies.change(from.has, has)
		copy(from.has, has)
	case from.has != nil:
		w.copies.change(from.has, nil)
		a.release(from.session, w, len(from.has))
		from.has = nil
	}
}

// reserve finds room for a bitfield, and for the counts that the first of a swarm needs. The caller holds mu.
func (a *Swarms) reserve(s *Session, w *swarm, bitfield int) bool {
	more := bitfield
	if w.copies == nil {
		more += 4 * w.key.Object.Pieces()
	}
	if s.held+bitfield > maxSessionHeld || a.held+more > a.maxHeld {
		return false
	}
	s.held += bitfield
	a.held += more
	if w.copies == nil {
		w.copies = newCopies(w.key.Object.Pieces())
	}
	return true
}

// release gives back what reserve found. The caller holds mu.
func (a *Swarms) release(s *Session, w *swarm, bitfield int) {
	s.held -= bitfield
	a.held -= bitfield
	if w.held--; w.held == 0 {
		a.held -= 4 * len(w.copies.count)
		w.copies = nil
	}
}
