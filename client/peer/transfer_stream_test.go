package peer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// askedPieces are the pieces that a source was asked for.
func (s *scripted) askedPieces() (pieces []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.asked {
		pieces = append(pieces, i)
	}
	slices.Sort(pieces)
	return pieces
}

// a range of two pieces and a bit of each neighbor.
var fourPieces = shoal.Range{Begin: 5*pieceLength - 10, End: 7*pieceLength + 10}

func TestRunRange(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		// Neither source has all of it.
		a, b := w.script(nil), w.script(nil)
		a.whole, a.bitfield = false, []byte{0b0000_1100, 0, 0}
		b.whole, b.bitfield = false, []byte{0b0000_0011, 0xff, 0xf0}
		tr := w.transfer(a, b)
		tr.Range = fourPieces
		var last Status
		tr.Report = func(s Status) { last = s }
		path, err := tr.RunRange(w.ctx)
		must(t, err)
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, bytesOf(t, w.file, fourPieces.Begin, fourPieces.Length())) || filepath.Dir(path) != tr.Dir {
			t.Errorf("%s has %d other bytes: %v", path, len(got), err)
		}
		if got := append(a.askedPieces(), b.askedPieces()...); !slices.Equal(got, []int{4, 5, 6, 7}) {
			t.Errorf("asked for pieces %v", got)
		}
		if last.Size != 4*pieceLength || last.Held != last.Size {
			t.Errorf("told %d of %d bytes", last.Held, last.Size)
		}
		if w.shelf.find(tr.Swarm) != nil || w.offers[len(w.offers)-1] != 0 {
			t.Error("what is gone is served")
		}
		if entries, err := os.ReadDir(tr.Dir); err != nil || len(entries) != 1 {
			t.Errorf("left: %v, %v", entries, err)
		}
	})
}

// What is fetched of a range is served meanwhile, and kept when it fails.
func TestRunRangeIsResumed(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		half := w.script(nil)
		half.whole, half.bitfield = false, []byte{0b0000_1100, 0, 0}
		tr := w.transfer(half)
		tr.Range = fourPieces
		served := 0
		tr.Report = func(Status) {
			if it := w.shelf.find(tr.Swarm); it != nil {
				content, err := it.current()
				must(t, err)
				served = content.Held()
			}
		}
		_, err := tr.RunRange(w.ctx)
		wantCode(t, err, shoal.NoSources)
		if served != 2 {
			t.Errorf("%d pieces were served", served)
		}
		rest := w.script(nil)
		tr.Sources = append(tr.Sources, rest.found())
		_, err = tr.RunRange(w.ctx)
		must(t, err)
		if got := rest.askedPieces(); !slices.Equal(got, []int{6, 7}) {
			t.Errorf("asked for pieces %v", got)
		}
	})
}

// reader is a stream's reader, which takes its time for some pieces.
type reader struct {
	bytes.Buffer
	before func(had int) error // called before so many bytes become more
}

func (r *reader) Write(b []byte) (int, error) {
	if r.before != nil {
		if err := r.before(r.Len()); err != nil {
			return 0, err
		}
	}
	return r.Buffer.Write(b)
}

func (w *world) stream(tr Transfer, r shoal.Range, to *reader) error {
	w.t.Helper()
	tr.Range = r
	err := tr.Stream(w.ctx, to)
	if want := bytesOf(w.t, w.file, r.Begin, r.Length())[:to.Len()]; !bytes.Equal(to.Bytes(), want) {
		w.t.Error("other bytes were passed on")
	}
	if err == nil && int64(to.Len()) != r.Length() {
		w.t.Errorf("%d of %d bytes were passed on", to.Len(), r.Length())
	}
	if w.shelf.find(tr.Swarm) != nil {
		w.t.Error("what is gone is served")
	}
	if entries, err := os.ReadDir(tr.Dir); err != nil || len(entries) > 0 {
		w.t.Errorf("left: %v, %v", entries, err)
	}
	return err
}

func TestStream(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		for _, r := range []shoal.Range{{End: w.file.Object().Size}, fourPieces, {Begin: 7, End: 8}, {Begin: 19 * pieceLength, End: 19*pieceLength + 1000}} {
			a, b := w.script(nil), w.script(nil)
			must(t, w.stream(w.transfer(a, b), r, new(reader)))
			if got := append(a.askedPieces(), b.askedPieces()...); r == fourPieces && (slices.Min(got) != 4 || slices.Max(got) != 7) {
				t.Errorf("asked for pieces %v", got)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, place(t, nil))
		must(t, w.stream(w.transfer(w.script(nil)), shoal.Range{}, new(reader)))
	})
}

// A reader gets what is there while the rest is on its way, and before it.
func TestStreamBeginsAtOnce(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		slow := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			time.Sleep(time.Duration(m.Length) * time.Second / pieceLength)
			return s.block(id, m, s.bytes(m))
		}))
		began, when := time.Now(), []time.Duration{}
		r := &reader{before: func(int) error { when = append(when, time.Since(began)); return nil }}
		must(t, w.stream(w.transfer(slow), shoal.Range{End: w.file.Object().Size}, r))
		for i, at := range when[:5] { // in order; of what comes behind, some may be earlier
			if limit := time.Duration(2*i+3) * time.Second; at > limit {
				t.Errorf("piece %d was passed on after %v", i, at)
			}
		}
	})
}

// A reader that stands still is waited for, and not run away from; meanwhile what is there is served.
func TestStreamWaitsForItsReader(t *testing.T) {
	within(t, 130, func(t *testing.T, w *world) {
		source := w.script(nil)
		tr := w.transfer(source)
		stood := 0
		r := &reader{before: func(had int) error {
			const ahead = leastAhead / pieceLength
			at := had / pieceLength
			if at != 0 && at != 40 {
				return nil
			}
			stood++
			time.Sleep(10 * tr.Timeout)
			if got, most := len(source.askedPieces()), at+1+max(ahead, 2*at); got > most || got < min(at+ahead, 129) {
				t.Errorf("%d pieces were asked for when %d were read", got, at)
			}
			if it := w.shelf.find(tr.Swarm); it == nil {
				t.Error("what is there is not served")
			}
			if offered := w.offers[len(w.offers)-1]; offered < min(at+ahead, 129) {
				t.Errorf("%d pieces are offered", offered)
			}
			return nil
		}}
		must(t, w.stream(tr, shoal.Range{End: w.file.Object().Size}, r))
		if stood != 2 {
			t.Errorf("it stood still %d times", stood)
		}
	})
}

// What is wrong is never passed on; it comes from others instead.
func TestStreamFromLiars(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		liar := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			return s.block(id, m, make([]byte, m.Length))
		}))
		honest := w.script(onRequest(func(s *scripted, id uint32, m wire.Request) []byte {
			time.Sleep(10 * time.Millisecond)
			return s.block(id, m, s.bytes(m))
		}))
		must(t, w.stream(w.transfer(liar, honest), shoal.Range{End: w.file.Object().Size}, new(reader)))
		if liar.requests() == 0 {
			t.Error("the liar was not asked")
		}
	})
}

// A stream that cannot go on passes on what comes before, and says why it ends.
func TestStreamEnds(t *testing.T) {
	within(t, 20, func(t *testing.T, w *world) {
		all := shoal.Range{End: w.file.Object().Size}
		partial := w.script(nil)
		partial.whole, partial.bitfield = false, []byte{0xff, 0b1011_1111, 0xf0} // all but piece 9
		r := new(reader)
		err := w.stream(w.transfer(partial), all, r)
		wantCode(t, err, shoal.NoSources)
		if r.Len() != 9*pieceLength {
			t.Errorf("%d bytes were passed on", r.Len())
		}

		gone := errors.New("nobody reads")
		r = &reader{before: func(had int) error {
			if had > 2*pieceLength {
				return gone
			}
			return nil
		}}
		if err := w.stream(w.transfer(w.script(nil)), all, r); !errors.Is(err, gone) {
			t.Error(err)
		}

		ctx, cancel := context.WithCancel(w.ctx)
		tr := w.transfer(w.script(func(_ *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
			if f.Kind == wire.KindRequest && requestOf(f).Piece > 5 {
				cancel()
				return nil, true
			}
			return nil, false
		}))
		tr.Range = all
		if err := tr.Stream(ctx, new(reader)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
