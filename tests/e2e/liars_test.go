package e2e

import (
	"bytes"
	"fmt"
	"testing"

	"shoal"
	"shoal/client/swarm"
	"shoal/wire"
)

// windowMost is how many bytes a source may be asked for before anything of it has been looked at: what is in assembly.
const windowMost = swarm.AssemblyBytes

// TestLiar lets a source that breaks the rules be the only one at first. A good one comes when it has had its say, and
// brings the whole file: the liar adds nothing to it, and, where it was caught at a lie, is never asked again.
func TestLiar(t *testing.T) {
	for _, liar := range []struct {
		name   string
		plot   plot
		banned bool
		reason string // in the getter's log
	}{
		{"flips bits", plot{block: flipBits}, true, "does not match its hash"},
		{"swaps pieces", plot{block: swapPieces}, true, "does not match its hash"},
		{"answers another block", plot{block: otherBlock}, false, "rule P7"},
		{"forges a piece's hash", plot{manifest: forge(func(m *shoal.Manifest) { m.Pieces[1][0] ^= 1 })}, true, "do not combine"},
		{"forges the end", plot{manifest: forge(func(m *shoal.Manifest) { m.Tail[0] ^= 1 })}, true, "does not prove the end"},
		{"forges the size", plot{manifest: forge(func(m *shoal.Manifest) { m.Size++ })}, true, "the manifest is for"},
		{"has no manifest", plot{manifest: noManifest}, false, "not here"},
		{"answers by errors", plot{block: refuse}, false, "not here"},
		{"sends no frame", plot{block: func(*scripted, uint32, wire.Request) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n") }}, false, "rule F"},
	} {
		t.Run(liar.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			content := random(16*mib+12345, 10)
			bad := w.scripted("file", content, liar.plot)
			get := w.get("getter", "file", "-o", w.path("out"), "--verbose")
			get.awaitError(liar.reason)
			good := w.seeds("file", content, "good")[0]
			done := get.wait().ok().event("done")
			same(t, w.path("out"), content)
			gave := done.Sources.from(bad.device()).Bytes
			if gave != 0 && liar.plot.manifest == nil { // whose blocks are right may have given some before it was found out
				t.Errorf("the liar gave %d bytes", gave)
			}
			if share := done.Sources.from(good.device); share.Bytes != int64(len(content))-gave || !share.Connected {
				t.Errorf("the good source is %+v in the end", share)
			}
			if joins, _ := bad.seen(); liar.banned && (joins != 1 || bad.askedBytes() > windowMost) {
				t.Errorf("after its lie the liar was joined %d times in all, and asked for %d bytes", joins, bad.askedBytes())
			}
		})
	}
}

func flipBits(s *scripted, id uint32, m wire.Request) []byte {
	b := s.block(id, m)
	b[len(b)-1] ^= 0x10
	return b
}

// swapPieces sends the bytes of the piece beside the one that was asked for.
func swapPieces(s *scripted, id uint32, m wire.Request) []byte {
	other := s.block(id, wire.Request{Piece: (m.Piece + 1) % 64, Begin: m.Begin, Length: m.Length})
	head := len(other) - int(m.Length)
	return append(wire.AppendPieceHead(nil, id, wire.PieceHead{Piece: m.Piece, Begin: m.Begin}, m.Length), other[head:]...)
}

func otherBlock(s *scripted, id uint32, m wire.Request) []byte {
	m.Piece = (m.Piece + 1) % 64
	return s.block(id, m)
}

func refuse(_ *scripted, id uint32, _ wire.Request) []byte {
	return wire.AppendError(nil, wire.KindRequest, id, shoal.Errorf(shoal.NotHeld, "the piece is not here"))
}

func noManifest(_ *scripted, id uint32) []byte {
	return wire.AppendError(nil, wire.KindManifest, id, shoal.Errorf(shoal.NotFound, "the manifest is not here"))
}

func forge(how func(*shoal.Manifest)) func(*scripted, uint32) []byte {
	return func(s *scripted, id uint32) []byte {
		m := *s.Manifest
		m.Pieces, m.Tail = append([]shoal.Hash(nil), m.Pieces...), bytes.Clone(m.Tail)
		how(&m)
		return wire.AppendReply(nil, wire.KindManifest, id, &wire.ManifestReply{Manifest: m})
	}
}

// TestSilence has a source that sends one byte and no more. A good one brings what it owes, which waits for no timeout;
// where there is none, the silence ends the connection after 5 seconds.
func TestSilence(t *testing.T) {
	oneByte := func() plot {
		return plot{block: func(s *scripted, id uint32, m wire.Request) []byte {
			if _, requests := s.seen(); len(requests) > 1 {
				return nil
			}
			return s.block(id, m)[:wire.HeaderSize+8+1]
		}}
	}
	t.Run("with others", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		content := random(8*mib, 11)
		silent := w.scripted("file", content, oneByte())
		get := w.get("getter", "file", "-o", w.path("out"))
		<-silent.asked
		good := w.seeds("file", content, "good")[0]
		done := get.wait().ok().event("done")
		same(t, w.path("out"), content)
		if share := done.Sources.from(good.device); share.Bytes != int64(len(content)) {
			t.Errorf("the good source gave %d bytes of %d", share.Bytes, len(content))
		}
	})
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		silent := w.scripted("file", random(1*mib, 12), oneByte())
		w.shoal("getter", "get", "file", "-o", w.path("out"), "--timeout", "6s").
			exit(4, "nothing came for 6s", silent.device()+": it stopped sending")
		absent(t, w.path("out"))
	})
}

// TestLiarAmongFour has one liar among four sources from the beginning, and looks at whom the getter blames.
func TestLiarAmongFour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(16*mib, 13)
	// The good ones are slow, each sends at most so many blocks until the liar has been asked.
	bad := w.scripted("file", content, plot{block: flipBits})
	var good []*scripted
	for range 3 {
		good = append(good, w.scripted("file", content, plot{block: func(s *scripted, id uint32, m wire.Request) []byte {
			<-bad.asked
			return s.block(id, m)
		}}))
	}
	done := w.get("getter", "file", "-o", w.path("out")).wait().ok().event("done")
	same(t, w.path("out"), content)
	if joins, _ := bad.seen(); joins != 1 || bad.askedBytes() > windowMost {
		t.Errorf("the liar was joined %d times, and asked for %d bytes", joins, bad.askedBytes())
	}
	if got := done.Sources.from(bad.device()); got.Bytes != 0 || got.Connected {
		t.Errorf("the liar is %+v in the end", got)
	}
	for i, g := range good {
		joins, _ := g.seen()
		if got := done.Sources.from(g.device()); joins != 1 || got.Bytes == 0 || !got.Connected {
			t.Errorf("good source %d was joined %d times and is %+v in the end", i, joins, got)
		}
		if twice := g.askedTwice(bad); len(twice) > 0 {
			t.Errorf("good source %d was asked for blocks %v again", i, twice)
		}
	}
	if got, want := fmt.Sprint(done.Sources.total()), fmt.Sprint(len(content)); got != want {
		t.Errorf("the sources' shares add up to %s bytes of %s", got, want)
	}
}
