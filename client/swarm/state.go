package swarm

import (
	"time"

	"shoal"
)

// Missing is the number of wanted pieces that are not there yet.
func (e *Engine) Missing() int { return e.missing }

// Wasted is how many bytes have come that were there already.
func (e *Engine) Wasted() int64 { return e.wasted }

// Copies is how many copies of the object are at the peers connected: whole ones, and how many times each piece is there
// besides at those who have everything, at least and on average.
func (e *Engine) Copies() (whole, least int, mean float64) {
	least, sum := int(^uint16(0)), 0
	for i := range e.pieces {
		n := e.rarity.count(i)
		least = min(least, n)
		sum += n
	}
	return e.wholes, least, float64(sum) / float64(e.pieces)
}

// Absent are the wanted pieces that are not here, and that no peer has which is connected: the first most spans of them.
func (e *Engine) Absent(most int) []shoal.Span {
	return shoal.SpansOf(e.stop, most, func(i int) bool {
		return i >= e.first && !e.have.get(i) && e.wholes == 0 && e.rarity.count(i) == 0
	})
}

// PeerState is what is known of one peer.
type PeerState struct {
	Peer      PeerID
	Connected bool
	Choked    bool
	Banned    bool
	Asked     int     // bytes that it owes
	Delivered int64   // bytes of blocks that it has sent
	Rate      float64 // bytes a second
	Delay     time.Duration
	Score     float64
	Load      float64 // pieces' worth that it was asked for, over the threshold
}

// Peers calls yield with the state of each peer that was found, in that order.
func (e *Engine) Peers(yield func(PeerState) bool) {
	for _, p := range e.known {
		if !yield(PeerState{
			Peer: p.id, Connected: p.phase == present, Choked: p.choked, Banned: p.banned, Asked: p.asked,
			Delivered: p.delivered, Rate: p.rate, Delay: time.Duration(p.delay * float64(time.Second)),
			Score: e.score(p), Load: e.load(p) / e.threshold(),
		}) {
			return
		}
	}
}
