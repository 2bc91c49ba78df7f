package peer

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
)

type answerer = func(*scripted, *identity.Established, wire.Frame) ([]byte, bool)

// within runs a test on virtual time, in a world whose sources have so many pieces, the last of them short.
func within(t *testing.T, pieces int, do func(t *testing.T, w *world)) {
	t.Helper()
	file := place(t, random((pieces-1)*pieceLength+1000, 40))
	synctest.Test(t, func(t *testing.T) { do(t, newWorld(t, file)) })
}

func TestFetch(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		a, b := w.script(nil), w.script(nil)
		st := w.fetch(w.transfer(a, b))
		if share(st, a).Bytes+share(st, b).Bytes != st.Size || a.requests()+b.requests() < 20 {
			t.Errorf("got %+v", st.Sources)
		}
		if n := w.offers[len(w.offers)-1]; n != 20 {
			t.Errorf("%d pieces are offered", n)
		}
		if w.shelf.find(swarmOf(w.file)) == nil {
			t.Error("what was fetched is not served")
		}
	})
}

func TestFetchNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, place(t, nil))
		w.fetch(w.transfer(w.script(nil)))
	})
}

// Sources that break a rule, lie, or refuse: each is let go, the download is whole, and comes from the honest one.
func TestBadSources(t *testing.T) {
	forged := func(id uint32) []byte {
		m := shoal.Manifest{Size: 2*pieceLength + 1000, Pieces: make([]shoal.Hash, 3), Tail: make([]byte, 1000)}
		return wire.AppendReply(nil, wire.KindManifest, id, &wire.ManifestReply{Manifest: m})
	}
	joinAs := func(m wire.JoinReply) answerer {
		return instead(wire.KindJoin, func(id uint32) []byte { return wire.AppendReply(nil, wire.KindJoin, id, &m) })
	}
	// afterJoin says something unasked behind JOIN's reply.
	afterJoin := func(frames []byte) answerer {
		return instead(wire.KindJoin, func(id uint32) []byte {
			return append(wire.AppendReply(nil, wire.KindJoin, id, &wire.JoinReply{Handle: 1, Whole: false, Bitfield: []byte{0}}), frames...)
		})
	}
	have := func(pieces ...uint32) []byte {
		return wire.AppendEvent(nil, wire.KindHave, &wire.Have{Handle: 1, Pieces: pieces})
	}
	for name, c := range map[string]struct {
		answer answerer
		reason string // that is shown
	}{
		"wrong bytes": {onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			data := s.bytes(m)
			data[len(data)/2] ^= 1
			return s.block(id, m, data)
		}), "does not match its hash"},
		"another piece (P7)": {onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			data := s.bytes(m)
			m.Piece++
			return s.block(id, m, data)
		}), "rule P7"},
		"another begin (P7)": {onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			data := s.bytes(m)
			m.Begin++
			return s.block(id, m, data)
		}), "rule P7"},
		"too few bytes (P7)": {onRequest(func(s *scripted, id uint32, m wire.Request) []byte { return s.block(id, m, s.bytes(m)[1:]) }), "rule P7"},
		"too many bytes (P7)": {onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			return s.block(id, m, append(s.bytes(m), make([]byte, 500_000)...))
		}), "rule P7"},
		"bitfield too long (P3)": {joinAs(wire.JoinReply{Handle: 1, Bitfield: []byte{0x80, 0}}), "rule P3"},
		"no bitfield (P3)":       {joinAs(wire.JoinReply{Handle: 1}), "rule P3"},
		"spare bits (P3)":        {joinAs(wire.JoinReply{Handle: 1, Bitfield: []byte{0x90}}), "rule P3"},
		"both (P3)":              {joinAs(wire.JoinReply{Handle: 1, Whole: true, Bitfield: []byte{0x80}}), "rule P3"},
		"HAVE outside (P12)":     {afterJoin(have(3)), "rule P12"},
		"HAVE twice (P12)":       {afterJoin(have(1, 1)), "rule P12"},
		"reply to nothing (F5)":  {afterJoin(wire.AppendReply(nil, wire.KindPing, 99, &wire.Empty{})), "rule F5"},
		"piece for nothing (F5)": {afterJoin(append(wire.AppendPieceHead(nil, 99, wire.PieceHead{}, 5), 1, 2, 3, 4, 5)), "rule F5"},
		"a request (F6)":         {afterJoin(wire.AppendRequest(nil, wire.KindPing, 9, &wire.Empty{})), "rule F6"},
		"CANCEL (F6)":            {afterJoin(wire.AppendEvent(nil, wire.KindCancel, &wire.Cancel{ID: 1})), "rule F6"},
		"another kind for a manifest (F5)": {instead(wire.KindManifest, func(id uint32) []byte {
			return wire.AppendReply(nil, wire.KindPing, id, &wire.Empty{})
		}), "rule F5"},
		"a manifest that proves nothing (M2)": {instead(wire.KindManifest, forged), ""},
		"a manifest that is none": {instead(wire.KindManifest, func(id uint32) []byte {
			return append(script.Header(4, wire.KindManifest, wire.FlagReply, id), 0, 0, 0, 0)
		}), "rule X1"},
		"errors": {onRequest(func(_ *scripted, id uint32, _ wire.Request) []byte {
			return wire.AppendError(nil, wire.KindRequest, id, shoal.NotHeld)
		}), "not-held"},
		"canceled": {onRequest(func(_ *scripted, id uint32, _ wire.Request) []byte {
			return wire.AppendError(nil, wire.KindRequest, id, shoal.Canceled)
		}), "canceled"},
		"BYE":      {afterJoin(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Errorf(shoal.Busy, "no time")))), "no time"},
		"WITHDRAW": {afterJoin(wire.AppendEvent(nil, wire.KindWithdraw, &wire.Withdraw{Handle: 1, Code: shoal.Changed, Text: "it changed"})), "it changed"},
		"not here": {instead(wire.KindJoin, func(id uint32) []byte { return wire.AppendError(nil, wire.KindJoin, id, shoal.NotFound) }), "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 3, func(t *testing.T, w *world) {
				bad := w.script(c.answer)
				reasons := ""
				tr := w.transfer(bad)
				tr.Timeout = 10 * time.Second
				tr.Report = func(st Status) { reasons += share(st, bad).Reason + "\n" }
				if _, err := tr.Run(w.ctx); shoal.CodeOf(err) != shoal.NoSources {
					t.Fatal(err)
				}
				if !strings.Contains(reasons, c.reason) {
					t.Errorf("the reason %q is not among %q", c.reason, reasons)
				}
				good := w.script(nil)
				st := w.fetch(w.transfer(bad, good))
				// With a manifest from elsewhere, one who cannot give it is as good as any.
				if share(st, good).Bytes != st.Size && !strings.Contains(name, "manifest") {
					t.Errorf("got %+v", st.Sources)
				}
			})
		})
	}
}

// A server is told of what has come soon, and then now and then.
func TestOffersOfWhatComes(t *testing.T) {
	within(t, 40, func(t *testing.T, w *world) {
		slow := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			time.Sleep(30 * time.Millisecond)
			return s.block(id, m, s.bytes(m))
		}))
		begin := time.Now()
		w.fetch(w.transfer(slow))
		took := int(time.Since(begin) / offerEvery)
		if n := len(w.offers); took < 2 || n < took || n > took+3 || w.offers[0] == 0 || w.offers[0] > 20 || !slices.IsSorted(w.offers) {
			t.Errorf("in %d times %v it offers %v pieces", took, offerEvery, w.offers)
		}
	})
}

// A liar gets no second chance, however slow the others are, and is reported once. Nobody else is.
func TestLiarIsAskedNoMore(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		liar := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			return s.block(id, m, make([]byte, m.Length))
		}))
		slow := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			time.Sleep(3 * time.Second)
			return s.block(id, m, s.bytes(m))
		}))
		w.fetch(w.transfer(liar, slow))
		if liar.joins != 1 || liar.requests() > 2*(2<<20)/shoal.BlockUnit {
			t.Errorf("the liar was joined %d times and asked for %d blocks", liar.joins, liar.requests())
		}
		if !slices.Equal(w.reported, []shoal.DeviceID{liar.key.Device()}) {
			t.Errorf("reported are %v", w.reported)
		}
	})
}

// What a source owed when it stalls or dies, within a piece too, comes from the others.
func TestSourcesThatFail(t *testing.T) {
	for name, answer := range map[string]answerer{
		"stalls": onRequest(func(*scripted, uint32, wire.Request) []byte { return nil }),
		"stalls within a piece": onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			b := s.block(id, m, s.bytes(m))
			return b[:500]
		}),
		"dies": func(_ *scripted, c *identity.Established, f wire.Frame) ([]byte, bool) {
			if f.Kind == wire.KindRequest {
				c.Close()
			}
			return nil, f.Kind == wire.KindRequest
		},
		"dies within a piece": func(s *scripted, c *identity.Established, f wire.Frame) ([]byte, bool) {
			if f.Kind != wire.KindRequest {
				return nil, false
			}
			m := requestOf(f)
			_, _ = c.Write(s.block(f.ID, m, s.bytes(m))[:999])
			c.Close()
			return nil, true
		},
		"never answers JOIN":     instead(wire.KindJoin, func(uint32) []byte { return nil }),
		"never sends a manifest": instead(wire.KindManifest, func(uint32) []byte { return nil }),
	} {
		t.Run(name, func(t *testing.T) {
			within(t, 6, func(t *testing.T, w *world) {
				bad, good := w.script(answer), w.script(nil)
				began := time.Now()
				st := w.fetch(w.transfer(bad, good))
				if share(st, good).Bytes != st.Size && name != "never sends a manifest" {
					t.Errorf("got %+v", st.Sources)
				}
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A source that is found when none is left, and HAVE right behind the reply to JOIN.
func TestSourceThatComesLater(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		partial := w.script(nil)
		partial.whole, partial.bitfield = false, []byte{0xff, 0x80, 0}
		time.AfterFunc(20*time.Second, func() {
			w.know(w.script(instead(wire.KindJoin, func(id uint32) []byte {
				b := wire.AppendReply(nil, wire.KindJoin, id, &wire.JoinReply{Handle: 1, Bitfield: []byte{0, 0x3f, 0xf0}})
				return append(b, wire.AppendEvent(nil, wire.KindHave, &wire.Have{Handle: 1, Pieces: []uint32{9}})...)
			})))
		})
		began := time.Now()
		st := w.fetch(w.transfer(partial))
		if took := time.Since(began); took < 20*time.Second || took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := share(st, partial).Bytes; got != 9*pieceLength {
			t.Errorf("%d bytes came from the partial source", got)
		}
	})
}

func TestNobodyThere(t *testing.T) {
	within(t, 2, func(t *testing.T, w *world) {
		began := time.Now()
		tr := w.transfer()
		_, err := tr.Run(w.ctx)
		wantCode(t, err, shoal.NoSources)
		if took := time.Since(began); took != tr.Timeout {
			t.Errorf("gave up after %v", took)
		}
		if w.lookups < 20 {
			t.Errorf("asked the server %d times", w.lookups)
		}
	})
}

// A download that nobody has the rest of says what that is; one whose rest cannot be had at the moment does not, if the
// server knows that somebody has it.
func TestNobodyHasTheRest(t *testing.T) {
	for _, least := range []uint32{0, 1} {
		within(t, 20, func(t *testing.T, w *world) {
			partial := w.script(nil)
			partial.whole, partial.bitfield = false, []byte{0xff, 0x80, 0x30}
			w.know(partial)
			w.least = least
			tr := w.transfer(partial)
			_, err := tr.Run(w.ctx)
			wantCode(t, err, shoal.NoSources)
			absent, is := errors.AsType[*AbsentError](err)
			if is != (least == 0) {
				t.Fatalf("where %d are said to have each piece: %v", least, err)
			}
			if is && !slices.Equal(absent.Spans, []shoal.Span{{First: 9, Count: 9}}) {
				t.Errorf("%v are missing", absent.Spans)
			}
			if is != strings.Contains(err.Error(), "nobody who can be reached has pieces 9 to 17 (bytes 2359296-4718592)") {
				t.Error(err)
			}
		})
	}
}

// Another device at the address, or nothing at all.
func TestWrongAddress(t *testing.T) {
	within(t, 2, func(t *testing.T, w *world) {
		a, b := w.script(nil), w.script(nil)
		tr := w.transfer(a)
		tr.Sources[0].Addresses = append(b.found().Addresses, a.found().Addresses...)
		st := w.fetch(tr)
		if share(st, a).Bytes != st.Size || b.joins != 0 {
			t.Errorf("got %+v", st.Sources)
		}
	})
	within(t, 2, func(t *testing.T, w *world) {
		a := w.script(nil)
		tr := w.transfer(a)
		nowhere := identity.Candidate{Security: wire.Plaintext, Addr: netip.MustParseAddrPort("192.0.2.77:1")}
		tr.Sources[0].Addresses = append([]identity.Candidate{nowhere}, tr.Sources[0].Addresses...)
		tr.Sources = append(tr.Sources, tracker.Source{Device: identity.NewKey().Device(), Session: 3})
		w.fetch(tr)
	})
}

// Wherever a download is stopped, nothing is left running, and what has come is kept.
func TestStopped(t *testing.T) {
	for stop := range 7 {
		within(t, 5, func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(w.ctx)
			step := 0
			slow := func(_ *scripted, _ *identity.Established, _ wire.Frame) ([]byte, bool) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if step++; step > stop {
					cancel()
				}
				return nil, step > stop
			}
			tr := w.transfer(w.script(slow))
			_, err := tr.Run(ctx)
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			w.pool.Wait()
			if w.shelf.find(tr.Swarm) != nil {
				t.Error("what was given up is served")
			}
			tr.Sources = []tracker.Source{w.script(nil).found()}
			w.fetch(tr)
		})
	}
}
