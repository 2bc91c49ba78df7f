package swarm

import (
	"slices"
	"testing"
	"time"

	"shoal"
)

// world carries out an engine's actions for the sources of a test, which answer at once unless told otherwise.
type world struct {
	t       testing.TB
	engine  *Engine
	now     time.Duration
	silent  map[PeerID]bool // connect and never answer
	lying   map[PeerID]bool // answer wrongly
	served  map[PeerID]int  // bytes
	pending []Event
	log     []Action
}

const (
	unproven = false
	proven   = true // the manifest is known from the beginning
)

func newWorld(t testing.TB, pieces int, c Config, manifest bool) *world {
	c.Object = shoal.Object{Size: int64(pieces) * (256 << 10)}
	w := &world{
		t: t, engine: New(c), silent: map[PeerID]bool{}, lying: map[PeerID]bool{}, served: map[PeerID]int{},
	}
	w.engine.proven, w.engine.opened = manifest, manifest
	return w
}

func (e *Engine) peer(id PeerID) *peer { return e.index.Find(&id) }

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
		reply.Kind, reply.Begin, reply.Length = BlockArrived, a.Begin, a.Length
	case Verify:
		reply.Kind = PieceVerified
		for _, u := range w.engine.partial(a.Piece).units {
			if w.lying[w.engine.known[u.from].id] {
				reply.Kind = PieceBad
			}
		}
	default:
		return
	}
	if a.Kind != Connect && a.Kind != Verify && w.silent[a.Peer] {
		return
	}
	if reply.Kind == ManifestVerified {
		defer func() { w.pending = append(w.pending, Event{Kind: Opened}) }()
	}
	if reply.Kind == BlockArrived && !w.lying[a.Peer] {
		w.served[a.Peer] += a.Length
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
	if w.count(Done) != 1 || w.count(Verify) != 1000 || w.count(FetchManifest) != 1 || w.engine.Wasted() != 0 {
		t.Fatalf("%d done, %d pieces, %d manifests", w.count(Done), w.count(Verify), w.count(FetchManifest))
	}
}

func TestResume(t *testing.T) {
	w := newWorld(t, 10, Config{}, unproven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.silent[id(1)] = false
	w.do(Event{Kind: ManifestVerified, Peer: id(1)})
	w.pass(10 * dropAfter) // the disk takes its time: nobody is to blame
	if w.count(Request) != 0 || w.count(Drop) != 0 || w.count(Wait) != 0 {
		t.Fatal(w.log)
	}
	w.do(Event{Kind: Opened, Bitfield: []byte{0xf0, 0x40}})
	if w.count(Verify) != 5 || w.count(Done) != 1 {
		t.Fatalf("%d of 5 missing pieces", w.count(Verify))
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
	owed := len(w.engine.peer(id(1)).requests)
	w.silent[id(2)] = false
	for _, r := range w.engine.peer(id(2)).requests {
		w.pending = append(w.pending, Event{Kind: BlockArrived, Peer: id(2), Piece: r.piece, Begin: r.begin, Length: r.length})
	}
	w.do(Event{Kind: Lost, Peer: id(1)})
	if owed == 0 || w.count(Done) != 1 {
		t.Fatalf("source 1 owed %d blocks; %d pieces are missing", owed, w.engine.Missing())
	}
}

func TestStallIsDroppedAfterFiveSeconds(t *testing.T) {
	w := newWorld(t, 100, Config{}, proven)
	w.silent[id(1)] = true
	w.do(Event{Kind: Found, Peer: id(1)})
	w.pass(dropAfter - TickEvery)
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
	if w.served[liar] != 0 || w.served[id(2)] != 100<<18 || w.count(Done) != 1 {
		t.Fatalf("served %v", w.served)
	}
	if requests > 4*firstWindow/firstBlock {
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
			if a.Kind == Request && a.Begin == 0 {
				pieces = append(pieces, a.Piece)
			}
		}
		return pieces
	}
	step(Event{Kind: Budget, Length: 64 << 20})
	step(Event{Kind: Found, Peer: id(1)})
	w.engine.peer(id(1)).rate = 100e6 // so that there is room
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
	if want := []Action{
		{Kind: Ban, Peer: id(1)}, {Kind: Drop, Peer: id(1), Code: shoal.Corrupt}, {Kind: FetchManifest, Peer: id(2)},
	}; !slices.Equal(actions, want) {
		t.Fatal(actions)
	}
	if actions = e.Step(Event{Kind: ManifestBad, Peer: id(1)}, nil); len(actions) != 0 {
		t.Fatal("it is banned again", actions)
	}
}

// Peers are tried in the order in which they were found, as a server puts them; the last one is when there is room.
func TestTriedInOrder(t *testing.T) {
	e := newWorld(t, 4, Config{}, proven).engine
	const peers = maxConnected + 1
	tried := func(ev Event) (ids []PeerID) {
		for _, a := range e.Step(ev, nil) {
			if a.Kind == Connect {
				ids = append(ids, a.Peer)
			}
		}
		return ids
	}
	for i := byte(peers); i > 1; i-- {
		if got := tried(Event{Kind: Found, Peer: id(i)}); !slices.Equal(got, []PeerID{id(i)}) {
			t.Fatalf("tried are %v", got)
		}
	}
	last := id(1)
	if got := tried(Event{Kind: Found, Peer: last}); len(got) > 0 {
		t.Fatalf("tried are %v, one too many", got)
	}
	if got := tried(Event{Kind: Lost, Peer: id(peers)}); !slices.Equal(got, []PeerID{last}) {
		t.Fatalf("tried are %v when another is lost", got)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	w := newWorld(t, 4000, Config{}, proven)
	e := w.engine
	var queue []Action
	step := func(ev Event) {
		e.now += time.Millisecond
		ev.Now = e.now
		queue = e.Step(ev, queue)
	}
	for n := range byte(8) {
		step(Event{Kind: Found, Peer: id(n)})
		step(Event{Kind: Connected, Peer: id(n), Whole: n < 4, Bitfield: []byte{0xff, 0xff}})
	}
	piece, done := 16, 0
	once := func() {
		a := queue[0]
		queue = queue[:copy(queue, queue[1:])]
		switch a.Kind {
		case Request:
			step(Event{Kind: BlockArrived, Peer: a.Peer, Piece: a.Piece, Begin: a.Begin, Length: a.Length})
		case Verify:
			step(Event{Kind: PieceVerified, Piece: a.Piece})
			done++
			step(Event{Kind: Have, Peer: id(5), Piece: piece})
			piece++
		}
	}
	for range 2000 {
		once()
	}
	if n := testing.AllocsPerRun(5000, once); n != 0 || done < 300 {
		t.Errorf("%v allocations a step, after %d pieces", n, done)
	}
}

// A mute peer gives blocks, and is asked for nothing else: a manifest from elsewhere will do, and HASHES are not its to give.
func TestMutePeer(t *testing.T) {
	w := newWorld(t, 4, Config{}, unproven)
	e := w.engine
	step := func(ev Event) []Action { return e.Step(ev, nil) }
	step(Event{Kind: Found, Peer: id(1)})
	if got := step(Event{Kind: Connected, Peer: id(1), Whole: true, Mute: true}); len(got) != 1 || got[0].Kind != Wait {
		t.Fatal("before the manifest is known", got)
	}
	if got := step(Event{Kind: Proven}); len(got) > 0 {
		t.Fatal("the manifest is known", got)
	}
	if got := step(Event{Kind: Opened}); len(got) == 0 || got[0].Kind != Request {
		t.Fatal("pieces can be written", got)
	}
	a := e.partials[0]
	e.disputes = append(e.disputes, dispute{piece: a.piece, length: a.length, from: make([]uint16, len(a.units))})
	if got := e.investigate(nil); len(got) > 0 {
		t.Fatal("asked for HASHES", got)
	}
	step(Event{Kind: Found, Peer: id(2)})
	for _, got := range step(Event{Kind: Connected, Peer: id(2), Whole: true}) {
		if got.Kind == FetchHashes && got.Peer != id(2) {
			t.Fatal("asked for HASHES", got)
		}
	}
	if got := e.disputes[0].asked; got != e.peer(id(2)) {
		t.Fatal("nobody is asked for HASHES")
	}
}
