package swarm

import (
	"testing"
	"time"

	"shoal"
)

// world carries out an engine's actions for the sources of a test, which answer at once unless told otherwise.
type world struct {
	t       *testing.T
	engine  *Engine
	now     time.Duration
	silent  map[PeerID]bool // connect and never answer
	lying   map[PeerID]bool // answer wrongly
	served  map[PeerID]int
	pending []Event
	log     []Action
}

const (
	unproven = false
	proven   = true // the manifest is known from the beginning
)

func newWorld(t *testing.T, pieces int, c Config, manifest bool) *world {
	c.Object = shoal.Object{Size: int64(pieces) * (256 << 10)}
	w := &world{
		t: t, engine: New(c), silent: map[PeerID]bool{}, lying: map[PeerID]bool{}, served: map[PeerID]int{},
	}
	w.engine.proven, w.engine.opened = manifest, manifest
	return w
}

func id(n byte) PeerID { return PeerID{Device: shoal.DeviceID{n}, Session: uint64(n)} }

// do takes one event, and all that follows from it without time passing.
func (w *world) do(ev Event) {
	w.pending = append(w.pending, ev)
	for len(w.pending) > 0 {
		ev := w.pending[0]
		w.pending = w.pending[1:]
		ev.Now = w.now
		for _, a := range w.engine.Step(ev, nil) {
			w.log = append(w.log, a)
			w.answer(a)
		}
	}
}

func (w *world) answer(a Action) {
	reply := Event{Peer: a.Peer, Piece: a.Piece, Whole: true}
	switch a.Kind {
	case Connect:
		reply.Kind = Connected
	case FetchManifest:
		reply.Kind = ManifestVerified
	case Request:
		reply.Kind = PieceVerified
	default:
		return
	}
	if a.Kind != Connect && w.silent[a.Peer] {
		return
	}
	if a.Kind == Request && w.lying[a.Peer] {
		reply.Kind = PieceBad
	}
	if reply.Kind == ManifestVerified {
		defer func() { w.pending = append(w.pending, Event{Kind: Opened}) }()
	}
	if reply.Kind == PieceVerified {
		w.served[a.Peer]++
	}
	w.pending = append(w.pending, reply)
}

// pass lets time go by, tick by tick.
func (w *world) pass(d time.Duration) {
	for end := w.now + d; w.now < end; {
		w.now += TickEvery
		w.do(Event{Kind: Tick})
	}
}

func (w *world) count(kind ActionKind) (n int) {
	for _, a := range w.log {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

func TestWholeDownload(t *testing.T) {
	w := newWorld(t, 1000, Config{}, unproven)
	for n := range byte(4) {
		w.do(Event{Kind: Found, Peer: id(n)})
	}
	if w.count(Done) != 1 || w.count(Request) != 1000 || w.count(FetchManifest) != 1 {
		t.Fatalf("%d done, %d requests, %d manifests", w.count(Done), w.count(Request), w.count(FetchManifest))
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t, 10, Config{}, unproven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.silent[id(1)] = false
	w.do(Event{Kind: ManifestVerified, Peer: id(1)})
	w.pass(10 * stallAfter) // the disk takes its time: nobody is to blame
	if w.count(Request) != 0 || w.count(Drop) != 0 || w.count(Wait) != 0 {
		t.Fatal(w.log)
	}
	w.do(Event{Kind: Opened, Bitfield: []byte{0xf0, 0x40}})
	if w.count(Request) != 5 || w.count(Done) != 1 {
		t.Fatalf("%d requests for 5 missing pieces", w.count(Request))
	}
}

func TestNothingMissing(t *testing.T) {
	w := newWorld(t, 3, Config{}, unproven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: ManifestVerified, Peer: id(1)})
	w.do(Event{Kind: Opened, Bitfield: []byte{0xe0}})
	if w.count(Request) != 0 || w.count(Done) != 1 {
		t.Fatal(w.log)
	}
}

// What a source owed when it died goes to the others at once, without a tick in between.
func TestDeathReassignsAtOnce(t *testing.T) {
	w := newWorld(t, 20, Config{}, proven)
	w.silent[id(1)], w.silent[id(2)] = true, true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: Found, Peer: id(2)})
	owed := map[int]bool{}
	for _, a := range w.log {
		if a.Kind == Request && a.Peer == id(1) {
			owed[a.Piece] = true
		}
	}
	w.silent[id(2)] = false
	for i := range w.engine.peers[id(2)].inFlight {
		w.pending = append(w.pending, Event{Kind: PieceVerified, Peer: id(2), Piece: w.engine.peers[id(2)].inFlight[i]})
	}
	w.do(Event{Kind: Lost, Peer: id(1)})
	if len(owed) == 0 || w.count(Done) != 1 {
		t.Fatalf("source 1 owed %d pieces; %d are missing", len(owed), w.engine.Missing())
	}
}

func TestStallIsDroppedAfterFiveSeconds(t *testing.T) {
	w := newWorld(t, 100, Config{}, proven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.pass(stallAfter - TickEvery)
	if w.count(Drop) != 0 {
		t.Fatal("dropped too early")
	}
	w.pass(TickEvery)
	if w.count(Drop) != 1 || w.count(Wait) != 1 {
		t.Fatalf("%d drops, %d waits", w.count(Drop), w.count(Wait))
	}
	w.do(Event{Kind: Found, Peer: id(2)})
	if w.count(Done) != 1 {
		t.Fatalf("%d pieces missing", w.engine.Missing())
	}
}

// A source that is slow but alive is not dropped, and in the end others are asked for what it owes.
func TestSlowSourceHoldsUpNobody(t *testing.T) {
	w := newWorld(t, 100, Config{}, proven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: Found, Peer: id(2)})
	for range 20 {
		w.do(Event{Kind: Progress, Peer: id(1)})
		w.pass(TickEvery)
	}
	if w.count(Done) != 1 || w.count(Drop) != 0 {
		t.Fatalf("%d pieces missing, %d drops", w.engine.Missing(), w.count(Drop))
	}
	if w.count(Cancel) == 0 {
		t.Fatal("what came from elsewhere was not canceled")
	}
}

// A liar gets no more work, under whatever session its device comes back.
func TestLiarIsBanned(t *testing.T) {
	w := newWorld(t, 100, Config{}, proven)
	liar := id(1)
	w.lying[liar] = true
	w.do(Event{Kind: Found, Peer: liar})
	w.do(Event{Kind: Found, Peer: PeerID{Device: liar.Device, Session: 99}})
	w.pass(time.Minute)
	requests := w.count(Request)
	w.do(Event{Kind: Found, Peer: PeerID{Device: liar.Device, Session: 100}})
	w.do(Event{Kind: Found, Peer: id(2)})
	if w.served[liar] != 0 || w.served[id(2)] != 100 || w.count(Done) != 1 {
		t.Fatalf("served %v", w.served)
	}
	if requests > 2*w.engine.window {
		t.Fatalf("the liar was asked %d times", requests)
	}
}

func TestLostSourceIsTriedAgain(t *testing.T) {
	w := newWorld(t, 2, Config{}, proven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.do(Event{Kind: Lost, Peer: id(1)})
	w.silent[id(1)] = false
	if w.count(Connect) != 1 {
		t.Fatal("tried again without a pause")
	}
	w.pass(2 * retryFirst)
	if w.count(Connect) != 2 || w.count(Done) != 1 {
		t.Fatalf("%d connects, %d pieces missing", w.count(Connect), w.engine.Missing())
	}
}

func TestGivesUp(t *testing.T) {
	w := newWorld(t, 2, Config{Timeout: time.Minute}, unproven)
	w.do(Event{Kind: Tick})
	w.pass(time.Minute - TickEvery)
	if w.count(GiveUp) != 0 || w.count(Wait) != 1 {
		t.Fatalf("%d give up, %d wait", w.count(GiveUp), w.count(Wait))
	}
	w.pass(TickEvery)
	if w.count(GiveUp) != 1 {
		t.Fatal("did not give up")
	}
	if after := w.engine.Step(Event{Kind: Found, Peer: id(1), Now: w.now}, nil); len(after) != 0 {
		t.Fatal("goes on after giving up")
	}
}

// Partial sources are asked only for what they have, and for more as they get it.
func TestPartialSources(t *testing.T) {
	w := newWorld(t, 16, Config{}, proven)
	w.silent[id(1)] = true
	e := w.engine
	step := func(ev Event) (pieces []int) {
		for _, a := range e.Step(ev, nil) {
			if a.Kind == Request {
				pieces = append(pieces, a.Piece)
			}
		}
		return pieces
	}
	step(Event{Kind: Found, Peer: id(1)})
	got := step(Event{Kind: Connected, Peer: id(1), Bitfield: []byte{0b0000_0101, 0}})
	if len(got) != 2 || got[0]+got[1] != 5+7 {
		t.Fatal(got)
	}
	if got := step(Event{Kind: Have, Peer: id(1), Piece: 12}); len(got) != 1 || got[0] != 12 {
		t.Fatal(got)
	}
	if got := step(Event{Kind: Have, Peer: id(1), Piece: 16}); len(got) != 0 {
		t.Fatal("a piece that does not exist", got)
	}
}

func TestBadManifestIsBlamedOnItsSender(t *testing.T) {
	w := newWorld(t, 4, Config{}, unproven)
	e := w.engine
	e.Step(Event{Kind: Found, Peer: id(1)}, nil)
	e.Step(Event{Kind: Found, Peer: id(2)}, nil)
	e.Step(Event{Kind: Connected, Peer: id(1), Whole: true}, nil)
	e.Step(Event{Kind: Connected, Peer: id(2), Whole: true}, nil)
	actions := e.Step(Event{Kind: ManifestBad, Peer: id(1)}, nil)
	if len(actions) != 2 || actions[0] != (Action{Kind: Drop, Peer: id(1), Code: shoal.Corrupt}) ||
		actions[1] != (Action{Kind: FetchManifest, Peer: id(2)}) {
		t.Fatal(actions)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	w := newWorld(t, 4000, Config{}, proven)
	e := w.engine
	e.Step(Event{Kind: Found, Peer: id(1)}, nil)
	actions := e.Step(Event{Kind: Connected, Peer: id(1), Whole: true}, make([]Action, 0, 64))
	queue := make([]int, 0, 64)
	for _, a := range actions {
		queue = append(queue, a.Piece)
	}
	if n := testing.AllocsPerRun(1000, func() {
		actions = e.Step(Event{Kind: PieceVerified, Peer: id(1), Piece: queue[0]}, actions[:0])
		copy(queue, queue[1:])
		queue[len(queue)-1] = actions[0].Piece
	}); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}
