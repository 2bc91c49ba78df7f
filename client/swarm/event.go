// Package swarm is the engine of a download: who is asked for which piece, and when. It is a state machine without I/O,
// clock or goroutines: events go in, actions come out, and the same events always give the same actions. One goroutine
// owns an Engine, carries out its actions and feeds their outcomes back as events.
package swarm

import (
	"time"

	"shoal"
)

// PeerID is one source: a process of a device.
type PeerID struct {
	Device  shoal.DeviceID
	Session uint64
}

// EventKind says what happened.
type EventKind uint8

// The events. Peer is set in all but Opened and Tick.
const (
	// Found: the peer is said to be a source. Repeating it is harmless.
	Found EventKind = iota + 1
	// Connected: a Connect has succeeded; Whole or Bitfield (PROTOCOL.md's form, kept by the engine) tell what it has.
	Connected
	// Lost: a Connect has failed, or the connection or the peer's swarm ended. Its requests are void.
	Lost
	// Have: the peer has Piece now, too.
	Have
	// ManifestVerified: the manifest that was fetched from the peer proves the object. Opened must follow.
	ManifestVerified
	// ManifestBad: it does not.
	ManifestBad
	// PieceVerified: Piece came from the peer, matches its hash, and is on disk.
	PieceVerified
	// PieceBad: Piece came from the peer and does not match.
	PieceBad
	// Refused: the peer answered the request for Piece by an error.
	Refused
	// Progress: bytes came from the peer since the last event of this kind.
	Progress
	// Opened: pieces can be written now, and Bitfield is what was on disk already; nil for nothing. It has no Peer.
	Opened
	// Tick: time passes. Comes at least every TickEvery.
	Tick
)

// Event is something that happened at Now, a time since the transfer began.
type Event struct {
	Kind     EventKind
	Now      time.Duration
	Peer     PeerID
	Piece    int
	Whole    bool
	Bitfield []byte
}

// ActionKind says what to do.
type ActionKind uint8

// The actions.
const (
	// Connect to Peer; answered by Connected or Lost.
	Connect ActionKind = iota + 1
	// FetchManifest from Peer; answered by ManifestVerified, ManifestBad or Lost.
	FetchManifest
	// Request Piece from Peer; answered by PieceVerified, PieceBad, Refused or Lost, unless canceled.
	Request
	// Cancel the request for Piece at Peer. An outcome that comes all the same is welcome.
	Cancel
	// Drop the connection to Peer, for the reason in Code. Not answered.
	Drop
	// Wait: nobody is left who could be asked for anything. Said once each time it begins.
	Wait
	// Done: every piece is there.
	Done
	// GiveUp: nothing has come for Config.Timeout.
	GiveUp
)

// Action is something to do.
type Action struct {
	Kind  ActionKind
	Peer  PeerID
	Piece int
	Code  shoal.Code
}

// TickEvery is how often the engine must be told the time, at least.
const TickEvery = 250 * time.Millisecond

const (
	// stallAfter is the silence after which a peer that owes something is dropped, and its requests go to others.
	stallAfter = 5 * time.Second
	// askAgainAfter is the age at which a request is given to a second peer that has nothing else to do.
	askAgainAfter = time.Second
	// windowBytes is how much is asked of a peer at a time. It covers 200 Mbit/s at a delay of 80 ms.
	windowBytes = 2 << 20
	// maxConnected is how many peers are connected at a time: all that a LOOKUP gives.
	maxConnected = 50
	// The pauses before a peer that was lost is tried again, doubling from the first to the longest.
	retryFirst = 500 * time.Millisecond
	retryMost  = 30 * time.Second
)
