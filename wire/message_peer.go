package wire

import (
	"errors"
	"slices"

	"shoal"
	"shoal/xdr"
)

// Join opens a swarm on this connection.
type Join struct {
	Swarm  shoal.Swarm
	Ticket []byte // a chain that ends in a ticket; empty for none
	Picky  bool   // which pieces are wanted when is not the peer's choice: a part of the object, or all in order
}

// JoinReply gives the swarm's handle on this connection and what the peer has: Whole, or Bitfield, in which bit 7 of
// byte 0 is piece 0.
type JoinReply struct {
	Handle   uint32
	Whole    bool
	Bitfield shoal.Bitfield
}

// Leave closes a handle.
type Leave struct{ Handle uint32 }

// ManifestRequest asks for what proves a swarm's object.
type ManifestRequest struct{ Handle uint32 }

// ManifestReply is a manifest that nobody has verified yet.
type ManifestReply struct{ shoal.Manifest }

// HashesRequest asks for the block values of a piece.
type HashesRequest struct{ Handle, Piece uint32 }

// HashesReply has the chaining value of each shoal.BlockUnit bytes of the piece.
type HashesReply struct{ Values []shoal.Hash }

// Request asks for a block: Length bytes from Begin within Piece.
type Request struct{ Handle, Piece, Begin, Length uint32 }

// PieceHead stands before the raw bytes of a block.
type PieceHead struct{ Piece, Begin uint32 }

// Cancel takes a request back.
type Cancel struct{ ID uint32 }

// Choke says that no blocks are sent on a handle for now.
type Choke struct{ Handle uint32 }

// Unchoke says that blocks are sent again.
type Unchoke struct{ Handle uint32 }

// Have announces further pieces.
type Have struct {
	Handle uint32
	Pieces []uint32
}

// Withdraw says that the peer no longer serves an object, and why.
type Withdraw struct {
	Handle uint32
	Code   shoal.Code
	Text   string
}

// Err is the reason as an error.
func (m *Withdraw) Err() error { return remoteError(m.Code, m.Text) }

func (m *Join) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.Swarm.Group)
	b = appendObject(b, m.Swarm.Object)
	b = xdr.AppendOpaque(b, m.Ticket)
	return xdr.AppendBool(b, m.Picky)
}

func (m *Join) decode(d *xdr.Decoder) {
	m.Swarm = shoal.Swarm{Group: group(d), Object: object(d)}
	m.Ticket = d.Opaque(MaxStatement)
	m.Picky = d.Bool()
}

func (m *JoinReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(b, m.Handle)
	b = xdr.AppendBool(b, m.Whole)
	return xdr.AppendOpaque(b, m.Bitfield)
}

func (m *JoinReply) decode(d *xdr.Decoder) {
	m.Handle = d.Uint32()
	m.Whole = d.Bool()
	m.Bitfield = d.Opaque(maxBitfield)
	if m.Whole && len(m.Bitfield) > 0 {
		check(d, "P3", errors.New("a bitfield beside the whole"))
	}
}

func (m *Leave) Append(b []byte) []byte           { return xdr.AppendUint32(b, m.Handle) }
func (m *Leave) decode(d *xdr.Decoder)            { m.Handle = d.Uint32() }
func (m *ManifestRequest) Append(b []byte) []byte { return xdr.AppendUint32(b, m.Handle) }
func (m *ManifestRequest) decode(d *xdr.Decoder)  { m.Handle = d.Uint32() }

func (m *ManifestReply) Append(b []byte) []byte {
	b = xdr.AppendInt64(b, m.Size)
	b = appendHashes(b, m.Pieces)
	b = xdr.AppendOpaque(b, m.Tail)
	return appendHashes(b, m.Siblings)
}

func (m *ManifestReply) decode(d *xdr.Decoder) {
	m.Size = size(d)
	m.Pieces = hashes(d, shoal.MaxPieces)
	m.Tail = d.Opaque(maxTail)
	m.Siblings = hashes(d, maxSiblings)
}

func (m *HashesRequest) Append(b []byte) []byte {
	return xdr.AppendUint32(xdr.AppendUint32(b, m.Handle), m.Piece)
}

func (m *HashesRequest) decode(d *xdr.Decoder) { m.Handle, m.Piece = d.Uint32(), d.Uint32() }

func (m *HashesReply) Append(b []byte) []byte { return appendHashes(b, m.Values) }
func (m *HashesReply) decode(d *xdr.Decoder)  { m.Values = hashes(d, maxValues) }

func (m *Request) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint32(b, m.Handle), m.Piece)
	return xdr.AppendUint32(xdr.AppendUint32(b, m.Begin), m.Length)
}

func (m *Request) decode(d *xdr.Decoder) {
	m.Handle, m.Piece, m.Begin, m.Length = d.Uint32(), d.Uint32(), d.Uint32(), d.Uint32()
}

func (m *PieceHead) Append(b []byte) []byte {
	return xdr.AppendUint32(xdr.AppendUint32(b, m.Piece), m.Begin)
}

func (m *PieceHead) decode(d *xdr.Decoder) { m.Piece, m.Begin = d.Uint32(), d.Uint32() }

func (m *Cancel) Append(b []byte) []byte { return xdr.AppendUint32(b, m.ID) }
func (m *Cancel) decode(d *xdr.Decoder)  { m.ID = d.Uint32() }

func (m *Choke) Append(b []byte) []byte   { return xdr.AppendUint32(b, m.Handle) }
func (m *Choke) decode(d *xdr.Decoder)    { m.Handle = d.Uint32() }
func (m *Unchoke) Append(b []byte) []byte { return xdr.AppendUint32(b, m.Handle) }
func (m *Unchoke) decode(d *xdr.Decoder)  { m.Handle = d.Uint32() }

func (m *Have) Append(b []byte) []byte {
	b = xdr.AppendUint32(b, m.Handle)
	b = xdr.AppendUint32(b, uint32(len(m.Pieces)))
	for _, p := range m.Pieces {
		b = xdr.AppendUint32(b, p)
	}
	return b
}

func (m *Have) decode(d *xdr.Decoder) {
	m.Handle = d.Uint32()
	m.Pieces = make([]uint32, d.Count(MaxHave, 4))
	for i := range m.Pieces {
		m.Pieces[i] = d.Uint32()
	}
}

func (m *Withdraw) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint32(b, m.Handle), uint32(m.Code))
	return xdr.AppendString(b, m.Text)
}

func (m *Withdraw) decode(d *xdr.Decoder) {
	m.Handle = d.Uint32()
	m.Code = shoal.Code(d.Uint32())
	m.Text = text(d, maxText)
}

func appendHashes(b []byte, hs []shoal.Hash) []byte {
	b = xdr.AppendUint32(slices.Grow(b, 4+32*len(hs)), uint32(len(hs)))
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b
}

func hashes(d *xdr.Decoder, limit int) []shoal.Hash {
	hs := make([]shoal.Hash, d.Count(limit, len(shoal.Hash{})))
	for i := range hs {
		copy(hs[i][:], d.Fixed(len(hs[i])))
	}
	return hs
}
