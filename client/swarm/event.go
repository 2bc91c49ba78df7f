// Package swarm is the engine of a download: who is asked for which block, and when. It is a state machine without I/O,
// clock or goroutines: events go in, actions come out, and the same events always give the same actions. One goroutine
// owns an Engine, carries out its actions and feeds their outcomes back as events. What a device serves to others is
// decided by the machine in package upload.
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

// Handle is an engine's own record of a peer. An owner that has many engines keeps it with the connection and gives it back
// in events, so that the engine need not look for the peer. It is of use to that engine alone, for as long as it lives.
type Handle struct{ peer *peer }

// EventKind says what happened.
type EventKind uint8

// The events. Peer is set in all but Opened, PieceVerified, PieceBad, BlockBad, Tick, Reach and Proven.
const (
	// Found: the peer is said to be a source. Repeating it is harmless.
	Found EventKind = iota + 1
	// Connected: a Connect has succeeded; Whole or Bitfield (PROTOCOL.md's form, kept by the engine) tell what it has,
	// Choked whether it gives nothing for now, and Mute whether it gives blocks and nothing else: neither the manifest nor
	// HASHES.
	Connected
	// Lost: a Connect has failed, or the connection or the peer's swarm ended. Its requests are void.
	Lost
	// Have: the peer has Piece now, too.
	Have
	// Choked: the peer gives nothing for now. Its requests are void.
	Choked
	// Unchoked: the peer gives again.
	Unchoked
	// ManifestVerified: the manifest that was fetched from the peer proves the object. Opened must follow.
	ManifestVerified
	// ManifestBad: it does not.
	ManifestBad
	// BlockArrived: the peer has sent a block that it was asked for, and its bytes are in the piece's buffer, or were
	// thrown away because they were there already. Delay is the time from the request's sending to the reply's first
	// byte; 0 if it was not taken, and then the engine measures to the event.
	BlockArrived
	// Refused: the peer answered the request for a block by the error Code. NotHeld takes the piece from what the peer
	// has; Limit and Busy make the engine ask it for less; Canceled only ends the request.
	Refused
	// PieceVerified: Piece matches its hash, and is on disk.
	PieceVerified
	// PieceBad: Piece does not match its hash; its bytes are thrown away. When several peers have sent blocks of it,
	// FetchHashes may follow, for which the owner keeps the values of the bad bytes' blocks of 16 KiB until then.
	PieceBad
	// BlockBad: Length bytes from Begin on of the bad Piece differ from what HASHES prove. There may be several of it,
	// and all come before HashesVerified.
	BlockBad
	// HashesVerified: the HASHES of Piece that were fetched from the peer combine to the piece's hash.
	HashesVerified
	// HashesBad: they do not.
	HashesBad
	// HashesRefused: the peer answered HASHES by an error.
	HashesRefused
	// Progress: bytes came from the peer since the last event of this kind, or it waits for this side's disk.
	Progress
	// Opened: pieces can be written now, and Bitfield is what was on disk already; nil for nothing.
	Opened
	// Budget: Length bytes of pieces may be in assembly from now on. Until the first one it is AssemblyBytes. What is in
	// assembly already is finished.
	Budget
	// Tick: time passes. Comes at least every TickEvery.
	Tick
	// Reach: with Config.Reach, the pieces before Piece may be asked for from now on.
	Reach
	// Proven: a manifest that proves the object has come from elsewhere. Opened must follow.
	Proven
)

// Event is something that happened at Now, a time since the transfer began.
type Event struct {
	Kind          EventKind
	Code          shoal.Code
	Whole, Choked bool
	Mute          bool
	Now           time.Duration
	Delay         time.Duration
	Peer          PeerID
	Handle        Handle // of a peer, from Connect: then Peer may be left out
	Piece         int
	Begin, Length int // bytes: a block, from the piece's beginning
	Bitfield      []byte
}

// ActionKind says what to do.
type ActionKind uint8

// The actions.
const (
	// Connect to Peer; answered by Connected or Lost.
	Connect ActionKind = iota + 1
	// FetchManifest from Peer; answered by ManifestVerified, ManifestBad or Lost.
	FetchManifest
	// Request the block of Length bytes at Begin of Piece from Peer; answered by BlockArrived, Refused, Choked or Lost,
	// unless canceled. A block has 16 KiB (BlockUnit) to 1 MiB, begins at a multiple of BlockUnit, and ends at one or at
	// the piece's end. The same bytes may be asked of two peers at a time, in blocks that need not be the same.
	Request
	// Verify Piece, all of whose blocks are there, and write it; answered by PieceVerified or PieceBad.
	Verify
	// Cancel the request for a block at Peer. An outcome that comes all the same is welcome.
	Cancel
	// Discard what has come of Piece and is not being verified: nobody is left who has the rest, a part of it is from one
	// who was banned, or it came too late. No block of it is asked for at the moment. It may be that there is nothing.
	Discard
	// FetchHashes of Piece from Peer, to learn which blocks of a bad piece are bad; answered by any BlockBads and then
	// HashesVerified, or by HashesBad, HashesRefused or Lost.
	FetchHashes
	// Drop the connection to Peer, for the reason in Code: Corrupt when it is banned for this transfer, Unreachable when
	// it stalls, NotHeld when it refuses, Limit when it makes room for another. Not answered.
	Drop
	// Ban: the device of Peer has sent what is proven to be wrong, and gets no more work in this transfer. Said once for a
	// device, before its connections are dropped; not answered.
	Ban
	// Wait: nobody is left who could be asked for anything. Said once each time it begins.
	Wait
	// Done: every piece is there.
	Done
	// GiveUp: nothing has come for Config.Timeout.
	GiveUp
	// Fail: Piece has failed at three different sources in a row, and no other source has come. The transfer ends.
	Fail
)

// Action is something to do.
type Action struct {
	Kind          ActionKind
	Code          shoal.Code
	Peer          PeerID
	Handle        Handle // of Peer, in Connect
	Piece         int
	Begin, Length int // bytes
}

// TickEvery is how often the engine must be told the time, at least.
const TickEvery = 250 * time.Millisecond

// AssemblyBytes is how many bytes of pieces may be in assembly at a time, over all peers; one piece at least.
const AssemblyBytes = 8 << 20
