package check

import (
	"bytes"
	"context"

	"shoal"
	"shoal/wire"
)

// The objects of the scripts: of a block, of one piece, and of two.
var (
	tiny  = newSample(5_000).hashed()
	small = newSample(40_000).hashed()
	large = newSample(256<<10 + 20_000).hashed()
)

func (s *sample) hashed() *sample {
	var err error
	s.Object, s.manifest, err = shoal.HashFile(context.Background(), bytes.NewReader(s.bytes), int64(len(s.bytes)), nil)
	if err != nil {
		panic(err)
	}
	return s
}

func (s *sample) swarm() shoal.Swarm { return shoal.Swarm{Group: "lab", Object: s.Object} }

// block is the bytes that a request is for.
func (s *sample) block(r *wire.Request) []byte {
	offset, _ := s.PieceRange(int(r.Piece))
	return s.bytes[offset+int64(r.Begin):][:r.Length]
}

// values are what HASHES answers with.
func (s *sample) values(piece int) []shoal.Hash {
	offset, length := s.PieceRange(piece)
	return shoal.BlockValues(s.Object, piece, s.bytes[offset:offset+length])
}

// peer opens a connection between two parties, both of the group.
func (b *book) peer(from, to party) *end { return b.connect(from, to, wire.ServicePeer).shake() }

// at opens a session with the server.
func (b *book) session(from party) *end {
	return b.connect(from, b.realm.server, wire.ServiceServer).shake()
}

// join joins a swarm of which the responder has everything, or the pieces given.
func (e *end) join(s *sample, handle uint32, pieces ...int) {
	reply := &wire.JoinReply{Handle: handle, Whole: pieces == nil}
	if pieces != nil {
		reply.Bitfield = shoal.NewBitfield(s.Pieces())
		for _, p := range pieces {
			if p >= 0 {
				reply.Bitfield.Set(p)
			}
		}
	}
	e.call(wire.KindJoin, &wire.Join{Swarm: s.swarm(), Ticket: e.realm.pass(e.initiator, e.now).ticket()}, reply)
}

// request asks for a block; piece answers it.
func (e *end) request(handle uint32, piece, begin, length int) (uint32, *wire.Request) {
	r := &wire.Request{Handle: handle, Piece: uint32(piece), Begin: uint32(begin), Length: uint32(length)}
	return e.ask(wire.KindRequest, r), r
}

func (e *end) piece(id uint32, head wire.PieceHead, data []byte) {
	e.raw(Responder, append(wire.AppendPieceHead(nil, id, head, uint32(len(data))), data...))
}

// fetch is a request for a block and its reply.
func (e *end) fetch(s *sample, handle uint32, piece, begin, length int) {
	id, r := e.request(handle, piece, begin, length)
	e.piece(id, wire.PieceHead{Piece: r.Piece, Begin: r.Begin}, s.block(r))
}
