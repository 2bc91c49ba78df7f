package check

import (
	"bytes"
	"testing"

	"shoal/wire"
)

// wrongBlock has a request answered by bytes of which the last is wrong.
func (e *end) wrongBlock(s *sample, handle uint32, piece, begin, length int) {
	id, r := e.request(handle, piece, begin, length)
	data := bytes.Clone(s.block(r))
	data[len(data)-1] ^= 1
	e.piece(id, wire.PieceHead{Piece: r.Piece, Begin: r.Begin}, data)
}

// Of a piece that came from several, those are told of whose blocks were wrong, as soon as that can be known, and no others.
func TestBlame(t *testing.T) {
	const half = 128 << 10
	for name, script := range map[string]func(honest, liar *end){
		"a whole piece later": func(honest, liar *end) {
			liar.wrongBlock(large, 1, 0, half, half)
			honest.fetch(large, 1, 0, 0, half)
			honest.fetch(large, 1, 0, half, half)
		},
		"a whole piece before": func(honest, liar *end) {
			honest.fetch(large, 1, 0, 0, 2*half)
			liar.wrongBlock(large, 1, 0, half, half)
		},
		"the same block from another": func(honest, liar *end) {
			honest.fetch(large, 1, 0, 0, half)
			liar.wrongBlock(large, 1, 0, half, half)
			honest.fetch(large, 1, 0, half, half)
		},
		"hashes": func(honest, liar *end) {
			honest.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: large.values(0)})
			liar.wrongBlock(large, 1, 0, half, half)
		},
		"hashes later": func(honest, liar *end) {
			honest.fetch(large, 1, 0, 0, half)
			liar.wrongBlock(large, 1, 0, half, half)
			honest.call(wire.KindHashes, &wire.HashesRequest{Handle: 1}, &wire.HashesReply{Values: large.values(0)})
		},
	} {
		b := newBook()
		honest, liar := b.peer(b.realm.alice, b.realm.carol), b.peer(b.realm.alice, b.realm.bob)
		honest.join(large, 1)
		liar.join(large, 1)
		honest.call(wire.KindManifest, &wire.ManifestRequest{Handle: 1}, &wire.ManifestReply{Manifest: *large.manifest})
		script(honest, liar)
		found := b.check()
		if len(found) != 1 || found[0].Rule != "M3" || found[0].Conn.Index != liar.conn {
			t.Errorf("%s: told are %v", name, found)
		}
	}
}
