package swarm

import (
	"testing"
	"time"
)

// An eager engine asks for blocks at once, for a little, and has them verified when there is something to verify them by.
func TestEager(t *testing.T) {
	e := newWorld(t, 4, Config{Eager: true}, unproven).engine
	step := func(ev Event) []Action { return e.Step(ev, nil) }
	pieces := map[int]int{} // bytes that have come
	for n := byte(1); n <= 2; n++ {
		step(Event{Kind: Found, Peer: id(n)})
		for asked := step(Event{Kind: Connected, Peer: id(n), Whole: true}); len(asked) > 0; asked = asked[1:] {
			a := asked[0]
			switch a.Kind {
			case Verify:
				t.Fatalf("piece %d is to be verified", a.Piece)
			case Request:
				pieces[a.Piece] += a.Length
				asked = append(asked, step(Event{Kind: BlockArrived, Peer: id(n), Piece: a.Piece, Begin: a.Begin, Length: a.Length})...)
			}
			if got := e.peer(id(n)).asked; got > eagerWindow {
				t.Fatalf("%d bytes are asked for at a time", got)
			}
		}
		if got := e.peer(id(n)).served; got != eagerMost {
			t.Fatalf("%d bytes are asked for", got)
		}
	}
	step(Event{Kind: ManifestVerified, Peer: id(1)})
	var onDisk, come int
	for i, bytes := range pieces {
		if bytes != 256<<10 {
			t.Fatalf("%d bytes of piece %d have come", bytes, i)
		}
		onDisk, come = come, i
	}
	found := newBitfield(4)
	found.set(onDisk)
	for _, a := range step(Event{Kind: Opened, Bitfield: found}) {
		if a.Kind == Verify && a.Piece == come || a.Kind == Discard && a.Piece == onDisk {
			delete(pieces, a.Piece)
		}
	}
	if len(pieces) > 0 {
		t.Errorf("%d was on disk and %d has come: what of %v?", onDisk, come, pieces)
	}
}

// A block that comes once more does no harm to a piece of which all is there and which waits to be verified.
func TestEagerTwice(t *testing.T) {
	e := newWorld(t, 1, Config{Eager: true}, unproven).engine
	step := func(ev Event) []Action { return e.Step(ev, nil) }
	step(Event{Kind: Found, Peer: id(1)})
	var come []Action
	for asked := step(Event{Kind: Connected, Peer: id(1), Whole: true}); len(asked) > 0; asked = asked[1:] {
		if a := asked[0]; a.Kind == Request {
			come = append(come, a)
			asked = append(asked, step(Event{Kind: BlockArrived, Peer: id(1), Piece: a.Piece, Begin: a.Begin, Length: a.Length})...)
		}
	}
	for _, a := range come {
		for _, did := range step(Event{Kind: BlockArrived, Peer: id(1), Piece: a.Piece, Begin: a.Begin, Length: a.Length}) {
			if did.Kind == Discard {
				t.Fatalf("piece %d is thrown away", did.Piece)
			}
		}
	}
	step(Event{Kind: ManifestVerified, Peer: id(1)})
	for _, a := range step(Event{Kind: Opened}) {
		if a.Kind == Verify {
			return
		}
	}
	t.Error("nothing is verified")
}

// One that was late, and from whom all was taken back, is asked again: there is nothing that could come from it else.
func TestLateAndRelieved(t *testing.T) {
	e := newWorld(t, 4, Config{}, true).engine
	step := func(ev Event) []Action { return e.Step(ev, nil) }
	step(Event{Kind: Found, Peer: id(1)})
	step(Event{Kind: Connected, Peer: id(1), Whole: true})
	p := e.peer(id(1))
	now := 2 * time.Second
	step(Event{Kind: Tick, Now: now})
	if !p.late {
		t.Fatal("it is not late")
	}
	for len(p.requests) > 0 {
		e.cancel(p, 0, nil)
	}
	for range 4 * 60 {
		now += TickEvery
		step(Event{Kind: Tick, Now: now})
		if len(p.requests) > 0 {
			return
		}
	}
	t.Error("it is never asked again")
}

// A piece that one source was to send alone is others' when that one is gone, also if it owed nothing just then.
func TestLoneSenderIsReplaced(t *testing.T) {
	e := newWorld(t, 1, Config{}, true).engine
	step := func(ev Event) []Action { return e.Step(ev, nil) }
	step(Event{Kind: Found, Peer: id(1)})
	step(Event{Kind: Connected, Peer: id(1), Whole: true})
	p, a := e.peer(id(1)), e.partials[0]
	for len(p.requests) > 0 {
		e.release(p, 0)
	}
	a.alone, a.owner = true, p
	step(Event{Kind: Found, Peer: id(2)})
	step(Event{Kind: Connected, Peer: id(2), Whole: true})
	for _, did := range step(Event{Kind: Lost, Peer: id(1)}) {
		if did.Kind == Request && did.Peer == id(2) {
			return
		}
	}
	t.Error("the rest of it is asked of nobody")
}
