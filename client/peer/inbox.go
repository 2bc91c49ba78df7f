package peer

import (
	"sync"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/tracker"
)

// event is an engine's event on its way to it, with what the transfer itself needs of it.
type event struct {
	swarm.Event
	joined supplier        // what it came from
	pieces []uint32        // with Have
	proof  *shoal.Manifest // with ManifestVerified, and kept
	part   destination     // with Opened
	whole  *assembly       // with PieceVerified and PieceBad: what the piece was made of
	values []shoal.Hash    // with PieceBad: of its blocks of 16 KiB
	err    error           // why: with Lost, ManifestBad and Refused. With kind 0: the transfer cannot go on

	// With kind 0:

	found     *tracker.Found // what a server knows
	ticket    bool           // there is another ticket, or none any more
	delivered bool           // a stream's reader has everything
	exchanged *Joined        // an EXCHANGE is over
	kept      bool           // the server has answered for the manifest; err is why it has none
}

// inbox is where other goroutines leave events. It never makes them wait: how much is in it is bounded by what was asked
// for.
type inbox struct {
	mu     sync.Mutex // guards events
	events []event
	spare  []event       // the owner's
	wake   chan struct{} // capacity 1: events is not empty
}

func (b *inbox) put(e event) {
	b.mu.Lock()
	b.events = append(b.events, e)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns what is there. The owner is done with what it took before.
func (b *inbox) take() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events, b.spare = b.spare[:0], b.events
	return b.spare
}
