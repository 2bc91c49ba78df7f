package swarm

import (
	"slices"
	"testing"
	"time"
)

// verifiedPieces are the pieces that came, in their order.
func (w *world) verifiedPieces() (pieces []int) {
	for _, a := range w.log {
		if a.Kind == Verify {
			pieces = append(pieces, a.Piece)
		}
	}
	return pieces
}

// What a stream's reader does not need yet is not asked for, however long that takes, and that is no reason to give up.
func TestReach(t *testing.T) {
	w := newWorld(t, 100, Config{First: 10, Count: 80, InOrder: true, Reach: 8, Timeout: time.Second}, unproven)
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: Found, Peer: id(2)})
	w.pass(time.Minute)
	want := []int{10, 11, 12, 13, 14, 15, 16, 17}
	if got := w.verifiedPieces(); !slices.Equal(got, want) {
		t.Fatalf("got pieces %v", got)
	}
	if w.count(GiveUp) != 0 || w.count(Wait) != 0 || w.count(Done) != 0 {
		t.Fatal(w.log)
	}
	w.do(Event{Kind: Reach, Piece: 20})
	w.do(Event{Kind: Reach, Piece: 15}) // which takes nothing back
	if got := w.verifiedPieces(); !slices.Equal(got, append(want, 18, 19)) {
		t.Fatalf("got pieces %v", got)
	}
	w.do(Event{Kind: Reach, Piece: 1000})
	if got := w.verifiedPieces(); len(got) != 80 || !slices.IsSorted(got) || got[0] != 10 || got[79] != 89 || w.count(Done) != 1 {
		t.Fatalf("got pieces %v", got)
	}
}

// A stream whose next piece nobody has waits for it, and gives up in the end.
func TestReachOfNobody(t *testing.T) {
	w := newWorld(t, 16, Config{InOrder: true, Reach: 8, Timeout: time.Second}, proven)
	w.engine.Step(Event{Kind: Found, Peer: id(1)}, nil)
	w.do(Event{Kind: Connected, Peer: id(1), Bitfield: []byte{0b1111_0111, 0}})
	w.pass(2 * time.Second)
	if got := w.verifiedPieces(); len(got) != 7 || w.count(Wait) != 1 || w.count(GiveUp) != 1 {
		t.Fatalf("got pieces %v, %v", got, w.log)
	}
}

// Pieces that were there when a stream began are not asked for when its reader comes to them.
func TestReachOfWhatIsThere(t *testing.T) {
	w := newWorld(t, 16, Config{InOrder: true, Reach: 2}, unproven)
	w.engine.proven = true
	w.do(Event{Kind: Opened, Bitfield: []byte{0b0011_0000, 0xff}})
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: Reach, Piece: 16})
	if got := w.verifiedPieces(); !slices.Equal(got, []int{0, 1, 4, 5, 6, 7}) || w.count(Done) != 1 {
		t.Fatalf("got pieces %v", got)
	}
}

// Of those who have everything a stream asks for what is needed next as often as there are others who need the same; of
// those others, for the first that they have.
func TestReachAmongOthers(t *testing.T) {
	w := newWorld(t, 800, Config{InOrder: true}, proven)
	e := w.engine
	for n := range byte(3) {
		e.Step(Event{Kind: Found, Peer: id(n)}, nil)
		e.Step(Event{Kind: Connected, Peer: id(n), Bitfield: []byte{0, 0b0000_1111, 0xff}}, nil)
	}
	whole := &peer{whole: true}
	next := 0
	for range 1000 {
		if e.choose(whole) == 0 {
			next++
		}
	}
	if next < 200 || next > 300 {
		t.Errorf("asked for what is next %d times in 1000, with 3 others", next)
	}
	first := slices.Min(slices.DeleteFunc(slices.Clone(e.rarity.order), func(i int32) bool { return !e.present[0].hasPiece(int(i)) }))
	if got := e.choose(e.present[0]); got != int(first) {
		t.Errorf("asked another for piece %d, and not %d", got, first)
	}
}
