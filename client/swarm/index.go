package swarm

import "encoding/binary"

// Index finds what belongs to a PeerID: an open hash table with linear probing, whose every look touches so little memory
// that ten thousand peers can be simulated, where a map's would not fit the processor's caches. Keys are kept beside their
// values. It is for one goroutine at a time.
type Index[V any] struct {
	slots []slot[V]
	seed  uint64 // keeps others from choosing ids that collide
	used  int
}

type slot[V any] struct {
	id    PeerID
	value *V // nil when the slot is free
}

// NewIndex makes an Index; seed is to be a secret where ids are chosen by others.
func NewIndex[V any](seed uint64) Index[V] { return Index[V]{seed: seed} }

func (x *Index[V]) home(id *PeerID) uint64 {
	h := (binary.LittleEndian.Uint64(id.Device[:]) ^ x.seed) * 0x9e3779b97f4a7c15
	h = (h ^ h>>29 ^ id.Session) * 0xbf58476d1ce4e5b9
	return (h ^ h>>32) & uint64(len(x.slots)-1)
}

// Find is what was put under id; nil if nothing was.
func (x *Index[V]) Find(id *PeerID) *V {
	if x.used == 0 {
		return nil
	}
	for at := x.home(id); ; at = (at + 1) & uint64(len(x.slots)-1) {
		if s := &x.slots[at]; s.value == nil || s.id == *id {
			return s.value
		}
	}
}

// Put puts value under id, under which nothing is yet.
func (x *Index[V]) Put(id PeerID, value *V) {
	if 2*(x.used+1) > len(x.slots) {
		old := x.slots
		x.slots = make([]slot[V], max(16, 2*len(old)))
		for _, s := range old {
			if s.value != nil {
				x.put(s)
			}
		}
	}
	x.used++
	x.put(slot[V]{id, value})
}

func (x *Index[V]) put(s slot[V]) {
	at := x.home(&s.id)
	for x.slots[at].value != nil {
		at = (at + 1) & uint64(len(x.slots)-1)
	}
	x.slots[at] = s
}

// Delete removes what is under id. What was put beyond it, because its own place was taken, moves up.
func (x *Index[V]) Delete(id *PeerID) {
	if x.Find(id) == nil {
		return
	}
	mask := uint64(len(x.slots) - 1)
	hole := x.home(id)
	for x.slots[hole].id != *id {
		hole = (hole + 1) & mask
	}
	x.used--
	for at := (hole + 1) & mask; x.slots[at].value != nil; at = (at + 1) & mask {
		if home := x.home(&x.slots[at].id); (at-home)&mask >= (at-hole)&mask {
			x.slots[hole] = x.slots[at]
			hole = at
		}
	}
	x.slots[hole] = slot[V]{}
}
