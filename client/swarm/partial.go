package swarm

import "shoal"

// partial is a piece in assembly: which of its units of 16 KiB are there, and who was asked for the others. Each has a
// buffer of the piece's length at the owner.
type partial struct {
	piece   int
	length  int // bytes
	units   []unit
	unasked int   // units that are neither there nor asked for
	missing int   // units that are not there
	next    int   // no unit before it is unasked
	asked   int   // requests
	alone   bool  // to be fetched from one peer: it was bad, and it is not clear whose fault that is
	owner   *peer // if alone
}

type unit struct {
	state uint8  // how many peers are asked for it, or there
	from  uint16 // who sent it, by number
}

// there is a unit that has come.
const there = 0x80

// unitsOf is how many units n bytes have: one at least, for an empty piece.
func unitsOf(n int) int { return max(1, (n+shoal.BlockUnit-1)/shoal.BlockUnit) }

// span is the units of a block.
func span(begin, length int) (first, end int) {
	return begin / shoal.BlockUnit, begin/shoal.BlockUnit + unitsOf(length)
}

// begin puts a piece into assembly.
func (e *Engine) begin(i int) *partial {
	_, length := e.config.Object.PieceRange(i)
	n := unitsOf(int(length))
	if len(e.partials) == cap(e.partials) {
		e.partials = append(e.partials, nil)
	} else {
		e.partials = e.partials[:len(e.partials)+1]
	}
	a := e.partials[len(e.partials)-1]
	if a == nil {
		a = &partial{units: make([]unit, n)}
		e.partials[len(e.partials)-1] = a
	}
	if cap(a.units) < n {
		a.units = make([]unit, n)
	}
	*a = partial{piece: i, length: int(length), units: a.units[:n], unasked: n, missing: n, alone: e.disputed(i)}
	clear(a.units)
	e.rarity.drop(i)
	e.rarity.pieces[i].slot = uint16(len(e.partials))
	return a
}

// partial is piece i in assembly; nil if it is not.
func (e *Engine) partial(i int) *partial {
	if slot := e.rarity.pieces[i].slot; slot > 0 {
		return e.partials[slot-1]
	}
	return nil
}

// end takes a piece out of assembly. The last one takes its place.
func (e *Engine) end(a *partial) {
	last := e.partials[len(e.partials)-1]
	slot := &e.rarity.pieces[a.piece].slot
	e.partials[*slot-1] = last
	e.rarity.pieces[last.piece].slot = *slot
	*slot = 0
	e.partials[len(e.partials)-1] = a // kept for the next piece
	e.partials = e.partials[:len(e.partials)-1]
	e.roomier = true
}

// isFor reports whether p has something of a piece that nobody is asked for.
func (a *partial) isFor(p *peer) bool {
	return a.unasked > 0 && p.hasPiece(a.piece) && (!a.alone || a.owner == nil || a.owner == p)
}

// block finds the first bytes of a that nobody is asked for: want at most.
func (a *partial) block(want int) (begin, length int) {
	for a.next < len(a.units) && a.units[a.next].state != 0 {
		a.next++
	}
	end := a.next
	for end < len(a.units) && a.units[end].state == 0 && (end-a.next) < want/shoal.BlockUnit {
		end++
	}
	begin = a.next * shoal.BlockUnit
	return begin, min(end*shoal.BlockUnit, a.length) - begin
}

// ask notes that one more peer is asked for a block.
func (a *partial) ask(begin, length int) {
	a.asked++
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u].state == 0 {
			a.unasked--
		}
		if a.units[u].state < there {
			a.units[u].state++
		}
	}
}

// unask notes that one less is, and reports whether that leaves something unasked.
func (a *partial) unask(begin, length int) (left bool) {
	a.asked--
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u].state == 0 || a.units[u].state >= there {
			continue
		}
		if a.units[u].state--; a.units[u].state == 0 {
			a.unasked++
			a.next = min(a.next, u)
			left = true
		}
	}
	return left
}

// arrive notes that a block has come from a peer, and reports how many bytes of it are new, and whether another peer is
// asked for some of them.
func (a *partial) arrive(begin, length int, from uint16) (fresh int, owed bool) {
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u].state >= there {
			continue
		}
		if a.units[u].state == 0 {
			a.unasked--
		}
		owed = owed || a.units[u].state > 0
		a.units[u] = unit{there, from}
		a.missing--
		fresh += min(shoal.BlockUnit, a.length-u*shoal.BlockUnit)
	}
	return fresh, owed
}
