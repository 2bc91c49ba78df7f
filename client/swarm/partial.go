package swarm

import "shoal"

// partial is a piece in assembly: which of its units of 16 KiB are there, and who was asked for the others. Each has a
// buffer of the piece's length at the owner.
type partial struct {
	piece   int
	length  int      // bytes
	units   []uint8  // for each how many peers are asked for it, or there
	from    []uint16 // who sent each unit, by number
	unasked int      // units that are neither there nor asked for
	missing int      // units that are not there
	next    int      // no unit before it is unasked
	asked   int      // requests
	alone   bool     // to be fetched from one peer: it was bad, and it is not clear whose fault that is
	owner   *peer    // if alone
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
		a = &partial{units: make([]uint8, n), from: make([]uint16, n)}
		e.partials[len(e.partials)-1] = a
	}
	if cap(a.units) < n {
		a.units, a.from = make([]uint8, n), make([]uint16, n)
	}
	*a = partial{piece: i, length: int(length), units: a.units[:n], from: a.from[:n], unasked: n, missing: n, alone: e.disputed(i)}
	clear(a.units)
	e.rarity.drop(i)
	return a
}

// partial is piece i in assembly; nil if it is not.
func (e *Engine) partial(i int) *partial {
	for _, a := range e.partials {
		if a.piece == i {
			return a
		}
	}
	return nil
}

// end takes a piece out of assembly.
func (e *Engine) end(a *partial) {
	for k, other := range e.partials {
		if other == a {
			last := len(e.partials) - 1
			e.partials[k], e.partials[last] = e.partials[last], a // kept for the next piece
			e.partials = e.partials[:last]
			e.roomier = true
			return
		}
	}
}

// block finds the first bytes of a that nobody is asked for: want at most.
func (a *partial) block(want int) (begin, length int) {
	for a.next < len(a.units) && a.units[a.next] != 0 {
		a.next++
	}
	end := a.next
	for end < len(a.units) && a.units[end] == 0 && (end-a.next) < want/shoal.BlockUnit {
		end++
	}
	begin = a.next * shoal.BlockUnit
	return begin, min(end*shoal.BlockUnit, a.length) - begin
}

// ask notes that one more peer is asked for a block.
func (a *partial) ask(begin, length int) {
	a.asked++
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u] == 0 {
			a.unasked--
		}
		if a.units[u] < there {
			a.units[u]++
		}
	}
}

// unask notes that one less is, and reports whether that leaves something unasked.
func (a *partial) unask(begin, length int) (left bool) {
	a.asked--
	for u, end := span(begin, length); u < end; u++ {
		if a.units[u] == 0 || a.units[u] >= there {
			continue
		}
		if a.units[u]--; a.units[u] == 0 {
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
		if a.units[u] >= there {
			continue
		}
		if a.units[u] == 0 {
			a.unasked--
		}
		owed = owed || a.units[u] > 0
		a.units[u], a.from[u] = there, from
		a.missing--
		fresh += min(shoal.BlockUnit, a.length-u*shoal.BlockUnit)
	}
	return fresh, owed
}
