package swarm

import "time"

// phase is where a peer stands.
type phase uint8

const (
	away       phase = iota // not connected; tried again at retryAt
	connecting              // a Connect is under way
	present                 // connected and joined
)

// appetite is why a peer that has room is not asked for more.
type appetite uint8

const (
	full    appetite = iota // it is asked for all that it should be
	hungry                  // it is in Engine.hungry
	starved                 // it has what is wanted, and no more pieces may be in assembly
	lagging                 // its blocks would take so long that they keep others waiting
	idle                    // it has nothing that is wanted and not asked for
)

// peer is what the engine knows of a source.
type peer struct {
	id       PeerID
	number   uint16 // its place in Engine.known
	phase    phase
	appetite appetite
	whole    bool
	choked   bool
	banned   bool
	late     bool // it stalls: others are asked for what it owes
	manifest bool // asked for the manifest
	hashes   bool // asked for HASHES
	mute     bool // it gives blocks alone
	has      bitfield
	requests []request // in the order in which they were made
	asked    int       // bytes of them
	current  int       // the piece it was asked for last; -1 for none

	since      time.Duration // when it connected
	heard      time.Duration // when anything came last
	arrived    time.Duration // when a block came last, or the oldest request was made
	delivered  int64         // bytes
	served     int64         // bytes asked of it in this transfer, but for what was taken back
	rate       float64       // bytes a second; 0 when unknown
	delay      float64       // seconds from request to block, at least; 0 when unknown
	least      float64       // the same since leastSince
	leastSince time.Duration
	wait       float64 // seconds from request to block, smoothed

	ceiling  int // bytes; what refusals have taught; 0 for none
	backoff  backoff
	lapses   float64 // recent failures, at lapsedAt
	lapsedAt time.Duration
	retryAt  time.Duration // when it may be connected again, or asked after it was busy
}

// request is a block that a peer was asked for.
type request struct {
	piece, begin, length int
	at                   time.Duration
	delivered            int64         // what the peer had delivered by then
	deliveredAt          time.Duration // and when
	void                 bool          // others may be asked for it
}

func (p *peer) hasPiece(i int) bool { return p.whole || p.has.get(i) }

// owes reports whether the peer has been asked for something.
func (p *peer) owes() bool {
	return len(p.requests) > 0 || p.manifest || p.hashes || p.phase == connecting
}

// find is the place of the request for a block among the peer's; -1 if there is none.
func (p *peer) find(piece, begin, length int) int {
	for k := range p.requests {
		if r := &p.requests[k]; r.piece == piece && r.begin == begin && r.length == length {
			return k
		}
	}
	return -1
}

// take removes request k.
func (p *peer) take(k int) request {
	r := p.requests[k]
	p.requests = append(p.requests[:k], p.requests[k+1:]...)
	p.asked -= r.length
	return r
}
