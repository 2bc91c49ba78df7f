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
	w.do(Event{Kind: Reach, Piece: 20, Begin: 20})
	w.do(Event{Kind: Reach, Piece: 15, Begin: 15}) // which takes nothing back
	if got := w.verifiedPieces(); !slices.Equal(got, append(want, 18, 19)) {
		t.Fatalf("got pieces %v", got)
	}
	w.do(Event{Kind: Reach, Piece: 1000, Begin: 30})
	got := w.verifiedPieces()
	if front := got[:20]; !slices.IsSorted(front) || front[19] != 29 {
		t.Errorf("in order came %v", front)
	}
	if slices.IsSorted(got[20:]) {
		t.Error("what is not needed soon came in order, too")
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 80 || got[0] != 10 || got[79] != 89 || w.count(Done) != 1 {
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
	w.do(Event{Kind: Reach, Piece: 16, Begin: 16})
	if got := w.verifiedPieces(); !slices.Equal(got, []int{0, 1, 4, 5, 6, 7}) || w.count(Done) != 1 {
		t.Fatalf("got pieces %v", got)
	}
}
