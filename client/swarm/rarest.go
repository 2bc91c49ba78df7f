package swarm

import (
	"math/bits"
	"math/rand/v2"
)

// rarity orders the pieces that are wanted and not in assembly by how many peers have them, so that the rarest is found
// at once (rarest first: Cohen, Incentives Build Robustness in BitTorrent, 2003; Legout et al., Rarest First and Choke
// Algorithms Are Enough, 2006). The pieces lie in one array, in buckets of those that equally many have. One that moves
// to the next bucket changes places with that bucket's border, which costs the same however many pieces there are. Peers
// that have everything make no difference to the order, and are not counted.
type rarity struct {
	pieces []standing
	order  []int32  // wanted pieces, the rarest first
	first  []int32  // where the bucket of each count begins in order; one more than there are counts
	wanted bitfield // the pieces in order
	rand   *rand.Rand
	plain  bool // without RandomTies
}

// standing is how a piece stands. All of it lies together: a HAVE looks at a piece that nothing else has looked at lately.
type standing struct {
	place int32  // in order; -1 if it is not in it
	count uint16 // how many partial peers have it
	slot  uint16 // in Engine.partials, from 1 on; 0 if it is not in assembly
}

func newRarity(pieces, peers int, r *rand.Rand) rarity {
	o := rarity{
		pieces: make([]standing, pieces), order: make([]int32, 0, pieces), first: make([]int32, peers+2),
		wanted: newBitfield(pieces), rand: r,
	}
	for i := range o.pieces {
		o.pieces[i].place = -1
	}
	return o
}

func (o *rarity) count(i int) int     { return int(o.pieces[i].count) }
func (o *rarity) isWanted(i int) bool { return o.pieces[i].place >= 0 }

// want adds piece i to the order.
func (o *rarity) want(i int) {
	if o.isWanted(i) {
		return
	}
	o.wanted.set(i)
	o.order = append(o.order, 0)
	hole := int32(len(o.order) - 1)
	for c := len(o.first) - 1; c > o.count(i); c-- {
		if o.first[c] != hole { // the bucket's first becomes its last
			o.put(o.order[o.first[c]], hole)
			hole = o.first[c]
		}
		o.first[c]++
	}
	o.put(int32(i), hole)
}

// drop takes piece i out of the order.
func (o *rarity) drop(i int) {
	hole := o.pieces[i].place
	if hole < 0 {
		return
	}
	o.wanted.clear(i)
	for c := o.count(i) + 1; c < len(o.first); c++ {
		o.first[c]--
		if last := o.first[c]; last != hole { // the last of the bucket before fills the hole
			o.put(o.order[last], hole)
			hole = last
		}
	}
	if last := int32(len(o.order) - 1); last != hole {
		o.put(o.order[last], hole)
	}
	o.order = o.order[:len(o.order)-1]
	o.pieces[i].place = -1
}

// more notes that one more partial peer has piece i.
func (o *rarity) more(i int) {
	s := &o.pieces[i]
	if s.place >= 0 {
		border := &o.first[s.count+1]
		*border--
		o.swap(s.place, *border)
	}
	s.count++
}

// less notes that one less has.
func (o *rarity) less(i int) {
	s := &o.pieces[i]
	if s.place >= 0 {
		border := &o.first[s.count]
		o.swap(s.place, *border)
		*border++
	}
	s.count--
}

func (o *rarity) swap(a, b int32) {
	x, y := o.order[a], o.order[b]
	o.put(x, b)
	o.put(y, a)
}

func (o *rarity) put(piece, at int32) {
	o.order[at] = piece
	o.pieces[piece].place = at
}

// walked is how many pieces of the order are looked at one by one before the sets are compared as words.
const walked = 48

// pick is the rarest wanted piece that p has, and of equals one from a random place on; -1 if there is none.
func (o *rarity) pick(p *peer) int {
	for at := 0; at < min(walked, len(o.order)); {
		end := int(o.first[o.count(int(o.order[at]))+1])
		if i := o.walk(p, at, end, walked-at); i >= 0 {
			return i
		}
		at = end
	}
	return o.scan(p)
}

// any is a wanted piece that p has, from a random place on; -1 if there is none.
func (o *rarity) any(p *peer) int {
	if i := o.walk(p, 0, len(o.order), walked); i >= 0 {
		return i
	}
	return o.scan(p)
}

// walk looks at up to so many of the pieces that lie from at to end in the order.
func (o *rarity) walk(p *peer, at, end, most int) int {
	k := at
	if !o.plain && end-at > 1 {
		k += int(o.rand.Uint32N(uint32(end - at)))
	}
	for range min(end-at, most) {
		if i := int(o.order[k]); p.hasPiece(i) {
			return i
		}
		if k++; k == end {
			k = at
		}
	}
	return -1
}

// scan is pick by words, where a walk has found nothing: the rarest of up to walked pieces, from a random place on.
func (o *rarity) scan(p *peer) int {
	if len(o.order) <= walked || p.whole {
		return -1
	}
	words := len(o.wanted) / 8
	start, best, seen := 0, -1, 0
	if !o.plain {
		start = int(o.rand.Uint32N(uint32(words)))
	}
	for k := range words {
		w := (start + k) % words
		for both := o.wanted.word(w) & p.has.word(w); both != 0; seen++ {
			bit := bits.LeadingZeros64(both)
			both &^= 1 << (63 - bit)
			if i := 64*w + bit; best < 0 || o.count(i) < o.count(best) {
				best = i
			}
		}
		if seen >= walked {
			break
		}
	}
	return best
}

// next is the first wanted piece that p has, in the object's order; -1 if there is none.
func (o *rarity) next(p *peer) int {
	for w := range len(o.wanted) / 8 {
		both := o.wanted.word(w)
		if !p.whole {
			both &= p.has.word(w)
		}
		if both != 0 {
			return 64*w + bits.LeadingZeros64(both)
		}
	}
	return -1
}
