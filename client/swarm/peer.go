package swarm

import "time"

// phase is where a peer stands.
type phase uint8

const (
	away       phase = iota // not connected; tried again at retryAt
	connecting              // a Connect is under way
	present                 // connected and joined
)

// peer is what the engine knows of a source.
type peer struct {
	id       PeerID
	phase    phase
	whole    bool
	has      bitfield
	inFlight []int // pieces asked of it
	manifest bool  // asked for the manifest
	heard    time.Duration
	failures int // in a row, without a piece in between
	retryAt  time.Duration
}

func (p *peer) hasPiece(i int) bool { return p.whole || p.has.get(i) }

// owes reports whether the peer has been asked for something.
func (p *peer) owes() bool { return len(p.inFlight) > 0 || p.manifest || p.phase == connecting }

// forget removes a request for piece i, and reports whether there was one.
func (p *peer) forget(i int) bool {
	for k, piece := range p.inFlight {
		if piece == i {
			p.inFlight = append(p.inFlight[:k], p.inFlight[k+1:]...)
			return true
		}
	}
	return false
}

// bitfield is a set of pieces: bit 7 of byte 0 is piece 0.
type bitfield []byte

func (b bitfield) get(i int) bool { return i/8 < len(b) && b[i/8]&(0x80>>(i%8)) != 0 }
func (b bitfield) set(i int)      { b[i/8] |= 0x80 >> (i % 8) }
