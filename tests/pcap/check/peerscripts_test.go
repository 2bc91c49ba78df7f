package check

import (
	"bytes"
	"time"

	"shoal"
	"shoal/wire"
)

// joinedTo is a connection of alice to carol on which a swarm is joined as 1.
func joinedTo(s *sample, then func(*end), pieces ...int) func(*book) {
	return func(b *book) {
		e := between(b)
		e.join(s, 1, pieces...)
		then(e)
	}
}

// refusedBlock has a REQUEST answered by an error.
func refusedBlock(piece, begin, length int, code shoal.Code) func(*end) {
	return func(e *end) {
		id, _ := e.request(1, piece, begin, length)
		e.fail(wire.KindRequest, id, code, "because")
		e.wait(10 * time.Second)
		e.ping()
	}
}

// answeredPiece has a REQUEST for the first bytes answered by another PIECE.
func answeredPiece(head wire.PieceHead, length int) func(*end) {
	return func(e *end) {
		id, _ := e.request(1, 0, 0, 1000)
		e.piece(id, head, make([]byte, length))
	}
}

func choked(e *end) { e.event(Responder, wire.KindChoke, &wire.Choke{Handle: 1}) }

func withdrawn(e *end) {
	e.event(Responder, wire.KindWithdraw, &wire.Withdraw{Handle: 1, Code: shoal.NotFound})
}

func left(e *end) { e.call(wire.KindLeave, &wire.Leave{Handle: 1}, &wire.Empty{}) }

func asksExchange(e *end) {
	e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Most: 5}, &wire.ExchangeReply{})
}

func hasPieces(from Side, handle uint32, pieces ...uint32) func(*end) {
	return func(e *end) { e.event(from, wire.KindHave, &wire.Have{Handle: handle, Pieces: pieces}) }
}

func all(steps ...func(*end)) func(*end) {
	return func(e *end) {
		for _, s := range steps {
			s(e)
		}
	}
}

var toPeers = []breach{
	{"P1", "an error that JOIN does not have", func(b *book) { between(b).refused(wire.KindJoin, byKind[wire.KindJoin], shoal.Denied) }},
	{"P2", "a swarm twice", joinedTo(large, func(e *end) {
		e.refused(wire.KindJoin, &wire.Join{Swarm: large.swarm(), Ticket: e.realm.pass(e.initiator, e.now).ticket()}, shoal.Limit)
	})},
	{"P2", "a swarm twice, and served", joinedTo(large, func(e *end) { e.join(large, 2) })},
	{"P2", "a handle twice", joinedTo(large, func(e *end) { e.join(small, 1) })},
	{"P2", "a limit for one", func(b *book) { between(b).refused(wire.KindJoin, byKind[wire.KindJoin], shoal.Limit) }},
	{"P3", "a bitfield that is too short", func(b *book) {
		e := between(b)
		e.call(wire.KindJoin, &wire.Join{Swarm: large.swarm(), Ticket: b.realm.pass(e.initiator, b.now).ticket()}, &wire.JoinReply{Handle: 1})
	}},
	{"P3", "spare bits", func(b *book) {
		e := between(b)
		e.call(wire.KindJoin, &wire.Join{Swarm: large.swarm(), Ticket: b.realm.pass(e.initiator, b.now).ticket()}, &wire.JoinReply{Handle: 1, Bitfield: shoal.Bitfield{0xe0}})
	}},
	{"P4", "a manifest without a handle", func(b *book) {
		between(b).call(wire.KindManifest, &wire.ManifestRequest{Handle: 1}, &wire.ManifestReply{Manifest: *large.manifest})
	}},
	{"P4", "a block after LEAVE", joinedTo(large, all(left, func(e *end) { e.fetch(large, 1, 0, 0, 10) }))},
	{"P4", "another error after WITHDRAW", joinedTo(large, all(withdrawn, refusedBlock(0, 0, 10, shoal.Busy)))},
	{"P4", "not-found for what is open", joinedTo(large, refusedBlock(0, 0, 10, shoal.NotFound))},
	{"P5", "a block beyond its piece", joinedTo(small, func(e *end) {
		id, _ := e.request(1, 0, 39_000, 2_000)
		e.piece(id, wire.PieceHead{Begin: 39_000}, make([]byte, 2_000))
	})},
	{"P5", "an empty block", joinedTo(small, func(e *end) {
		id, _ := e.request(1, 0, 0, 0)
		e.piece(id, wire.PieceHead{}, nil)
	})},
	{"P5", "a block of a piece that there is not", joinedTo(small, func(e *end) {
		id, _ := e.request(1, 1, 0, 1)
		e.piece(id, wire.PieceHead{Piece: 1}, []byte{1})
	})},
	{"P5", "bad-request for a block that lies in its piece", joinedTo(small, refusedBlock(0, 0, 1, shoal.BadRequest))},
	{"P6", "a block that was not announced", joinedTo(large, func(e *end) { e.fetch(large, 1, 1, 0, 10) }, 0)},
	{"P6", "hashes that were not announced", joinedTo(large, func(e *end) {
		e.call(wire.KindHashes, &wire.HashesRequest{Handle: 1, Piece: 1}, &wire.HashesReply{Values: large.values(1)})
	}, 0)},
	{"P6", "not-held for what was announced", joinedTo(large, refusedBlock(1, 0, 1, shoal.NotHeld))},
	{"P7", "another piece", joinedTo(large, answeredPiece(wire.PieceHead{Piece: 1}, 1000))},
	{"P7", "another begin", joinedTo(large, answeredPiece(wire.PieceHead{Begin: 1}, 1000))},
	{"P7", "a byte less", joinedTo(large, answeredPiece(wire.PieceHead{}, 999))},
	{"P7", "a byte more", joinedTo(large, answeredPiece(wire.PieceHead{}, 1001))},
	{"P8", "257 requests", joinedTo(large, func(e *end) {
		for range 257 {
			e.request(1, 0, 0, 1)
		}
	})},
	{"P8", "more than 64 MiB", func(b *book) {
		big := &sample{Object: shoal.Object{Size: 1<<30 + 1}}
		joinedTo(big, func(e *end) {
			for range 65 {
				e.request(1, 0, 0, 1<<20)
			}
		})(b)
	}},
	{"P8", "a limit for one", joinedTo(large, refusedBlock(0, 0, 1, shoal.Limit))},
	{"P9", "canceled for what was not", joinedTo(large, refusedBlock(0, 0, 1, shoal.Canceled))},
	{"P9", "no answer to what was canceled", joinedTo(large, func(e *end) {
		id, _ := e.request(1, 0, 0, 1)
		e.event(Initiator, wire.KindCancel, &wire.Cancel{ID: id})
		e.wait(2 * time.Minute)
		e.ping()
	})},
	{"P11", "changed without WITHDRAW", joinedTo(large, refusedBlock(0, 0, 1, shoal.Changed))},
	{"P11", "a block after WITHDRAW", joinedTo(large, func(e *end) {
		id, r := e.request(1, 0, 0, 10)
		withdrawn(e)
		e.piece(id, wire.PieceHead{}, large.block(r))
	})},
	{"P11", "WITHDRAW twice", joinedTo(large, all(withdrawn, withdrawn))},
	{"P11", "WITHDRAW of no handle", func(b *book) { withdrawn(between(b)) }},
	{"P12", "a piece of the bitfield", joinedTo(large, hasPieces(Responder, 1, 0), 0)},
	{"P12", "a piece twice", joinedTo(large, all(hasPieces(Responder, 1, 1), hasPieces(Responder, 1, 1)), 0)},
	{"P12", "a piece twice in one", joinedTo(large, hasPieces(Responder, 1, 1, 1), 0)},
	{"P12", "a piece outside", joinedTo(large, hasPieces(Responder, 1, 2), 0)},
	{"P12", "a handle that there is not", joinedTo(large, hasPieces(Responder, 9, 1), 0)},
	{"P13", "the hashes of a block", joinedTo(tiny, func(e *end) {
		e.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: tiny.values(0)})
	})},
	{"P13", "bad-request for the hashes of more", joinedTo(small, func(e *end) {
		e.refused(wire.KindHashes, &wire.HashesRequest{Handle: 1}, shoal.BadRequest)
	})},
	{"P15", "a ticket of another group", joinedTo(large, func(e *end) {
		p := e.realm.pass(e.initiator, e.now)
		p.group = "club"
		e.call(wire.KindRenew, &wire.Renew{Handle: 1, Ticket: p.ticket()}, &wire.Empty{})
	})},
	{"P16", "a block when the grace is over", joinedTo(large, func(e *end) {
		e.wait(2 * time.Hour)
		e.fetch(large, 1, 0, 0, 10)
	})},
	{"P16", "a block when the ticket expired, by one who reaches a server", func(b *book) {
		carolReaches(b)
		joinedTo(large, func(e *end) {
			e.wait(11 * time.Minute)
			e.fetch(large, 1, 0, 0, 10)
		})(b)
	}},
	{"P16", "a block when the epoch is higher", func(b *book) {
		s := b.session(b.realm.carol)
		s.announce(b.realm.carol.here(b.now))
		joinedTo(large, func(e *end) {
			s.event(Responder, wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 8})
			e.wait(10 * time.Second)
			e.fetch(large, 1, 0, 0, 10)
		})(b)
	}},
	{"P19", "a block after CHOKE", joinedTo(large, func(e *end) {
		id, r := e.request(1, 0, 0, 10)
		choked(e)
		e.piece(id, wire.PieceHead{}, large.block(r))
	})},
	{"P19", "a block that was asked for after CHOKE", joinedTo(large, all(choked, func(e *end) { e.fetch(large, 1, 0, 0, 10) }))},
	{"P19", "no answer to what was open", joinedTo(large, func(e *end) {
		e.request(1, 0, 0, 10)
		choked(e)
		e.wait(2 * time.Minute)
		e.ping()
	})},
	{"P19", "busy without CHOKE", joinedTo(large, refusedBlock(0, 0, 1, shoal.Busy))},
	{"P20", "CHOKE twice", joinedTo(large, all(choked, choked))},
	{"P20", "UNCHOKE of what is not choked", joinedTo(large, func(e *end) { e.event(Responder, wire.KindUnchoke, &wire.Unchoke{Handle: 1}) })},
	{"P20", "CHOKE of no handle", func(b *book) { choked(between(b)) }},
	{"P22", "a piece twice", joinedTo(large, all(hasPieces(Initiator, 1, 1), hasPieces(Initiator, 1, 1)))},
	{"P22", "a piece outside", joinedTo(large, hasPieces(Initiator, 1, 2))},
	{"P23", "more records than are wanted", func(b *book) {
		joinedTo(large, func(e *end) {
			e.call(wire.KindExchange, &wire.Exchange{Handle: 1}, &wire.ExchangeReply{Records: [][]byte{b.realm.record(b.realm.bob, b.now)}})
		})(b)
	}},
	{"P24", "another device's record", joinedTo(large, func(e *end) {
		e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Record: e.realm.record(e.realm.bob, e.now)}, &wire.ExchangeReply{})
	})},
	{"P24", "no record", joinedTo(large, func(e *end) {
		e.refused(wire.KindExchange, &wire.Exchange{Handle: 1, Record: e.realm.certified}, shoal.BadRequest)
	})},
	{"P24", "a record of another group", joinedTo(large, func(e *end) {
		p := e.realm.pass(e.initiator, e.now)
		p.group = "club"
		e.call(wire.KindExchange, &wire.Exchange{Handle: 1, Record: append(p.ticket(), e.initiator.here(e.now)...)}, &wire.ExchangeReply{})
	})},
	{"P25", "too soon, and served", joinedTo(large, all(asksExchange, asksExchange))},
	{"P25", "not too soon, and refused", joinedTo(large, all(asksExchange, func(e *end) {
		e.wait(20 * time.Second)
		e.refused(wire.KindExchange, &wire.Exchange{Handle: 1}, shoal.Limit)
	}))},
	{"P26", "a record of the initiator", exchangedFor(func(b *book) []byte { return b.realm.record(b.realm.alice, b.now) })},
	{"P26", "a record twice", exchangedFor(
		func(b *book) []byte { return b.realm.record(b.realm.bob, b.now) }, func(b *book) []byte { return b.realm.record(b.realm.bob, b.now) },
	)},
	{"M1", "another object's manifest", joinedTo(large, func(e *end) {
		e.call(wire.KindManifest, &wire.ManifestRequest{Handle: 1}, &wire.ManifestReply{Manifest: *small.manifest})
	})},
	{"M3", "a wrong byte in a piece", joinedTo(large, func(e *end) {
		e.call(wire.KindManifest, &wire.ManifestRequest{Handle: 1}, &wire.ManifestReply{Manifest: *large.manifest})
		id, r := e.request(1, 1, 0, 20_000)
		data := bytes.Clone(large.block(r))
		data[19_999] ^= 1
		e.piece(id, wire.PieceHead{Piece: 1}, data)
	})},
	{"M3", "a wrong file of one block", joinedTo(tiny, func(e *end) {
		id, _ := e.request(1, 0, 0, len(tiny.bytes))
		e.piece(id, wire.PieceHead{}, make([]byte, len(tiny.bytes)))
	})},
	{"M3", "a wrong file of several blocks", joinedTo(small, func(e *end) {
		e.fetch(small, 1, 0, 0, 32<<10)
		id, r := e.request(1, 0, 32<<10, 40_000-32<<10)
		e.piece(id, wire.PieceHead{Begin: r.Begin}, make([]byte, r.Length))
	})},
	{"M4", "other values", joinedTo(small, func(e *end) {
		e.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: large.values(1)})
	})},
	{"M4", "too few values", joinedTo(small, func(e *end) {
		e.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: small.values(0)[:1]})
	})},
}
