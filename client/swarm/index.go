package swarm

import "encoding/binary"

// index finds peers by their ids: an open hash table of numbers, small enough that ten thousand engines fit a processor's
// caches better than maps would. The seed keeps others from choosing ids that collide.
type index struct {
	slots []uint16 // number + 1; 0 is free
	seed  uint64
	used  int
}

func (x *index) hash(id *PeerID) uint64 {
	h := (binary.LittleEndian.Uint64(id.Device[:]) ^ x.seed) * 0x9e3779b97f4a7c15
	h = (h ^ h>>29 ^ id.Session) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// find is the peer of an id among known; nil if there is none.
func (x *index) find(id *PeerID, known []*peer) *peer {
	if x.used == 0 {
		return nil
	}
	mask := uint64(len(x.slots) - 1)
	for at := x.hash(id) & mask; x.slots[at] != 0; at = (at + 1) & mask {
		if p := known[x.slots[at]-1]; p.id == *id {
			return p
		}
	}
	return nil
}

// add adds the last of known.
func (x *index) add(known []*peer) {
	if x.used = len(known); 2*len(known) > len(x.slots) {
		x.slots = make([]uint16, max(16, 2*len(x.slots)))
		for _, p := range known {
			x.put(p)
		}
		return
	}
	x.put(known[len(known)-1])
}

func (x *index) put(p *peer) {
	mask := uint64(len(x.slots) - 1)
	at := x.hash(&p.id) & mask
	for x.slots[at] != 0 {
		at = (at + 1) & mask
	}
	x.slots[at] = p.number + 1
}
