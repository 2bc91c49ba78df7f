// Package upload decides what a device serves in one swarm: who is choked, which pieces are revealed to whom while there
// is only one seed, and in what order blocks are sent. Like the engine of a download it is a state machine without I/O,
// clock or goroutines: events go in, actions come out. One goroutine, or one mutex, owns a Machine; many downloads and
// connections may feed it through that.
package upload

import (
	"time"

	"shoal"
	"shoal/client/swarm"
)

// Handle is a Machine's own record of a peer that has joined. An owner that has many machines keeps it with the connection
// and gives it back in events, so that the machine need not look for the peer. It is of use to that machine alone, until
// the peer has left.
type Handle struct{ peer *peer }

// EventKind says what happened.
type EventKind uint8

// The events. Peer is one connection that has joined the swarm here: its device, and a number of the owner's for Session.
// In Gave, PeerHas and PeerWhole only its Device counts: they are learned elsewhere, on the connection to that device.
const (
	// Joined: a peer has joined. What it may know of is in the actions of the same step: RevealAll, or Reveal for each
	// piece, or nothing yet; and so is Choke, if it has to wait. From one that is Picky nothing is hidden.
	Joined EventKind = iota + 1
	// Left: it is gone. Its blocks are void.
	Left
	// Asked: the peer asks for a block. Answered by Serve, sooner or later, or Refuse.
	Asked
	// Canceled: the peer takes a request back. Answered by Refuse with Canceled if it was not served yet.
	Canceled
	// Sent: a block that was to be served has been handed to the network, or has failed.
	Sent
	// Gave: the download of this swarm has had Length verified bytes from the device.
	Gave
	// PeerHas: the device has Piece.
	PeerHas
	// PeerWhole: the device has everything.
	PeerWhole
	// Held: Piece is here and verified now, too.
	Held
	// OnlySeed: with Whole, this device is known to be the only one with everything, and nobody else has much; without, it
	// is not any more.
	OnlySeed
	// Tick: time passes. Comes at least every swarm.TickEvery.
	Tick
)

// Event is something that happened at Now, a time that only grows.
type Event struct {
	Kind          EventKind
	Whole, Picky  bool
	Now           time.Duration
	Peer          swarm.PeerID
	Handle        Handle // of one that has joined: then Peer may be left out, but in Gave, PeerHas and PeerWhole
	Piece         int
	Begin, Length int // bytes
}

// ActionKind says what to do.
type ActionKind uint8

// The actions.
const (
	// Choke tells Peer that it gets nothing for now. Its open requests that are not being served are refused next, so that
	// it knows why.
	Choke ActionKind = iota + 1
	// Unchoke tells Peer that it may ask.
	Unchoke
	// Reveal tells Peer that Piece is here.
	Reveal
	// RevealAll tells Peer of all that is here and was not revealed to it yet. From then on the owner announces further
	// pieces to it as they come.
	RevealAll
	// Serve sends a block; answered by Sent, or Left.
	Serve
	// Refuse answers a request by the error Code: Limit when too much is open, Busy when the peer is choked, NotHeld when
	// the piece was not revealed, Canceled when it was taken back.
	Refuse
)

// Action is something to do.
type Action struct {
	Kind          ActionKind
	Code          shoal.Code
	Peer          swarm.PeerID
	Piece         int
	Begin, Length int // bytes
}
