package swarm

import (
	"math/bits"
	"math/rand/v2"
)

// rarity orders the pieces that are wanted and not in assembly by how many peers have them, so that the rarest is found
// at once (rarest first: Cohen, Incentives Build Robustness in BitTorrent, 2003; Legout et al., Rarest First and Choke
// Algorithms Are Enough, 2006). The pieces lie in one array, in buckets of those that equally many have. One that moves
// to the next bucket changes places with that bucket's border, which costs the same however many pieces there are, and
// then with a random one of its new equals. Peers that have everything make no difference to the order, and are not
// counted.
type rarity struct {
	count  []uint16 // for each piece, how many partial peers have it
	order  []int32  // wanted pieces, the rarest first
	place  []int32  // of each piece in order; -1 if it is not in it
	first  []int32  // where the bucket of each count begins in order; one more than there are counts
	wanted bitfield // the pieces in order
	rand   *rand.Rand
	plain  bool // without RandomTies
}

func newRarity(pieces, peers int, r *rand.Rand) rarity {
	o := rarity{
		count: make([]uint16, pieces), order: make([]int32, 0, pieces), place: make([]int32, pieces),
		first: make([]int32, peers+2), wanted: newBitfield(pieces), rand: r,
	}
	for i := range o.place {
		o.place[i] = -1
	}
	return o
}

// want adds piece i to the order.
func (o *rarity) want(i int) {
	if o.place[i] >= 0 {
		return
	}
	o.wanted.set(i)
	o.order = append(o.order, 0)
	hole := int32(len(o.order) - 1)
	for c := len(o.first) - 1; c > int(o.count[i]); c-- {
		if o.first[c] != hole { // the bucket's first becomes its last
			o.put(o.order[o.first[c]], hole)
			hole = o.first[c]
		}
		o.first[c]++
	}
	o.put(int32(i), hole)
	o.shuffle(i)
}

// drop takes piece i out of the order.
func (o *rarity) drop(i int) {
	hole := o.place[i]
	if hole < 0 {
		return
	}
	o.wanted.clear(i)
	for c := int(o.count[i]) + 1; c < len(o.first); c++ {
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
	o.place[i] = -1
}

// more notes that one more partial peer has piece i.
func (o *rarity) more(i int) {
	if o.place[i] >= 0 {
		border := o.first[o.count[i]+1] - 1
		o.swap(o.place[i], border)
		o.first[o.count[i]+1]--
	}
	o.count[i]++
	o.shuffle(i)
}

// less notes that one less has.
func (o *rarity) less(i int) {
	if o.place[i] >= 0 {
		o.swap(o.place[i], o.first[o.count[i]])
		o.first[o.count[i]]++
	}
	o.count[i]--
	o.shuffle(i)
}

// shuffle lets piece i change places with a random one of its bucket.
func (o *rarity) shuffle(i int) {
	if o.place[i] < 0 || o.plain {
		return
	}
	from, to := o.first[o.count[i]], int32(len(o.order))
	if next := int(o.count[i]) + 1; next < len(o.first) {
		to = o.first[next]
	}
	if to-from > 1 {
		o.swap(o.place[i], from+int32(o.rand.Uint32N(uint32(to-from))))
	}
}

func (o *rarity) swap(a, b int32) {
	x, y := o.order[a], o.order[b]
	o.put(x, b)
	o.put(y, a)
}

func (o *rarity) put(piece, at int32) {
	o.order[at] = piece
	o.place[piece] = at
}

// walked is how many pieces of the order are looked at one by one before the sets are compared as words.
const walked = 48

// pick is the rarest wanted piece that p has; -1 if there is none. from is where in the order the search begins: 0 for
// the rarest.
func (o *rarity) pick(p *peer, from int) int {
	for k := range min(walked, len(o.order)) {
		if i := int(o.order[(from+k)%len(o.order)]); p.hasPiece(i) {
			return i
		}
	}
	if len(o.order) <= walked || p.whole {
		return -1
	}
	return o.scan(p)
}

// scan is pick by words: the rarest of up to walked pieces, from a random place on.
func (o *rarity) scan(p *peer) int {
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
			if i := 64*w + bit; best < 0 || o.count[i] < o.count[best] {
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
