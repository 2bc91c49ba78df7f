package swarm

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"shoal"
)

// Config is what an Engine starts from.
type Config struct {
	Object shoal.Object
	// Timeout is how long the engine goes on when nothing comes. 0 is for ever.
	Timeout time.Duration
	// Seed makes the choices repeatable.
	Seed uint64
	// First and Count are the pieces that are wanted; Count is 0 for all.
	First, Count int
	// InOrder asks for the pieces in the object's order rather than for the rarest first: always where all others are whole.
	InOrder bool
	// Eager asks for blocks before Opened, because nothing of the object is here yet. They wait to be verified until then.
	Eager bool
	// Reach is how many of the wanted pieces, from the first on, may be asked for before there was a Reach; 0 for all.
	Reach int
	// Peers is how many may be connected at a time; 0 for as many as a LOOKUP gives.
	Peers int
	// Alpha, Beta and K weigh a score; all 0 for the defaults.
	Alpha, Beta, K float64
	// Without leaves rules out, to see in a simulation what they are worth.
	Without Rule
}

// Engine downloads one object. One goroutine owns it.
type Engine struct {
	config      Config
	pieces      int
	pieceLength int
	size        int64
	proven      bool // the manifest is known
	opened      bool // and pieces can be written
	limit       int  // peers connected at a time
	budget      int  // bytes in assembly at a time
	slots       int  // and pieces
	first, stop int  // the pieces that are wanted: from first on, before stop
	reach       int  // those before it may be asked for
	missing     int  // of those that are wanted
	held        int
	have        bitfield
	rarity      rarity
	partials    []*partial // pieces in assembly, the oldest first for the most part; behind its end are spare ones

	known    []*peer     // in the order in which they were found, by number
	index    Index[peer] // of known
	present  []*peer
	wholes   int // of those present
	hungry   []*peer
	starving int // how many are starved
	lates    int // and how many late
	banned   map[shoal.DeviceID]bool
	disputes []dispute
	troubles []trouble

	released  bool // something may be asked of others since the step began
	roomier   bool // one more piece may be in assembly
	discarded []int
	withdrawn []Action  // cancels that come before the next request
	given     []request // forgotten by revive: to be canceled at the peer of this step
	doubled   int64     // bytes that were asked of two in the end game
	wasted    int64     // bytes that came twice
	topRate   float64   // the best of those present, bytes a second
	leastWait float64   // seconds

	now       time.Duration
	heard     time.Duration // when anything came last
	foundAt   time.Duration // when a new source was found last
	replaceAt time.Duration
	connected int // peers connecting or present
	waiting   bool
	ended     bool
	rand      *rand.Rand
}

// New makes an Engine.
func New(c Config) *Engine {
	if c.Alpha == 0 && c.Beta == 0 && c.K == 0 {
		c.Alpha, c.Beta, c.K = DefaultAlpha, DefaultBeta, DefaultK
	}
	if c.K <= 0 {
		c.K = DefaultK
	}
	e := &Engine{
		config: c, pieces: c.Object.Pieces(), pieceLength: int(c.Object.PieceLength()), size: c.Object.Size,
		banned: map[shoal.DeviceID]bool{}, rand: rand.New(rand.NewPCG(c.Seed, 0)),
		limit: maxConnected, replaceAt: replaceEvery,
	}
	if c.Peers > 0 {
		e.limit = c.Peers
	}
	if e.pieces == 1 {
		e.limit = min(e.limit, 2) // one serves, one stands by
	}
	e.index = NewIndex[peer](e.rand.Uint64())
	e.setBudget(AssemblyBytes)
	e.have = newBitfield(e.pieces)
	e.rarity = newRarity(e.pieces, e.limit+1, e.rand)
	e.rarity.plain = e.without(RandomTies)
	e.first, e.stop = min(max(c.First, 0), e.pieces), e.pieces
	if c.Count > 0 {
		e.stop = min(e.stop, e.first+c.Count)
	}
	e.missing, e.reach = e.stop-e.first, e.first
	end := e.stop
	if c.Reach > 0 {
		end = min(end, e.first+c.Reach)
	}
	e.extend(end)
	return e
}

func (e *Engine) setBudget(bytes int) {
	e.slots = min(max(1, bytes/e.pieceLength), math.MaxUint16)
	e.budget = max(bytes, e.pieceLength)
	e.partials = slices.Grow(e.partials, max(e.slots-len(e.partials), 0))
}

// Step takes one event and appends what is to be done about it to actions. It does not allocate in the steady state.
// After Done, GiveUp or Fail nothing more comes.
func (e *Engine) Step(ev Event, actions []Action) []Action {
	if e.ended {
		return actions
	}
	e.now = max(e.now, ev.Now)
	e.released, e.roomier = false, false
	before := len(actions)
	switch ev.Kind {
	case Tick:
		actions = e.tick(actions)
	case Opened:
		actions = e.open(ev.Bitfield, actions)
	case Budget:
		e.setBudget(max(ev.Length, 0))
		e.roomier = true
	case Found:
		e.found(ev.Peer)
		actions = e.connect(actions)
	case PieceVerified:
		actions = e.verified(ev.Piece, actions)
	case PieceBad:
		actions = e.bad(ev.Piece, actions)
	case BlockBad:
		actions = e.blame(&ev, actions)
	case Reach:
		e.extend(ev.Piece)
	case Proven:
		e.proven = true
	default:
		p := ev.Handle.peer
		if p == nil {
			p = e.index.Find(&ev.Peer)
		}
		if p != nil {
			actions = e.fromPeer(p, &ev, actions)
		}
	}
	if e.released {
		e.wake(idle)
	} else if e.roomier && e.starving > 0 {
		e.wake(starved)
	} else if e.roomier {
		e.wake(lagging)
	}
	actions = e.feed(actions)
	if ev.Kind == Have && len(actions) == before {
		return actions // by far the most frequent, and nothing has changed
	}
	return e.finish(actions)
}

func (e *Engine) fromPeer(p *peer, ev *Event, actions []Action) []Action {
	switch ev.Kind {
	case BlockArrived:
		actions = e.arrived(p, ev, actions)
		for _, r := range e.given {
			actions = e.takeBack(p, r, actions)
		}
		e.given = e.given[:0]
	case Have:
		e.has(p, ev.Piece)
	case Progress:
		p.heard = e.now
		if p.owes() { // a peer's sign of life is no progress
			e.heard = e.now
		}
	case Connected:
		e.isConnected(p, ev)
		actions = e.askManifest(actions)
	case Lost:
		if e.without(Deaths) && p.phase == present {
			break
		}
		e.lose(p)
		actions = e.connect(actions)
		actions = e.askManifest(actions)
	case Choked:
		p.choked = true
		e.void(p)
	case Unchoked:
		p.choked = false
		e.want(p)
	case Refused:
		actions = e.refused(p, ev, actions)
	case ManifestVerified:
		p.manifest, e.proven = false, true
	case ManifestBad:
		p.manifest = false
		actions = e.ban(p, -1, actions)
		actions = e.askManifest(actions)
	case HashesVerified:
		e.settle(p, ev.Piece, true)
	case HashesRefused:
		e.settle(p, ev.Piece, false)
	case HashesBad:
		e.settle(p, ev.Piece, false)
		actions = e.ban(p, -1, actions)
	}
	if len(e.disputes) > 0 {
		actions = e.investigate(actions)
	}
	return actions
}

// refused takes a request's error.
func (e *Engine) refused(p *peer, ev *Event, actions []Action) []Action {
	k := p.find(ev.Piece, ev.Begin, ev.Length)
	if k < 0 {
		return actions
	}
	if ev.Code == shoal.Limit || ev.Code == shoal.Busy {
		e.curb(p)
		e.release(p, k)
		e.sate(p)
		return actions
	}
	e.release(p, k)
	if ev.Code == shoal.Canceled {
		e.want(p)
		return actions
	}
	// It said that it had the piece, and does not give it: ask others first, and it again after a pause.
	p.lapse(e.now)
	e.fails(p, ev.Piece)
	actions = e.drop(p, shoal.NotHeld, actions)
	return e.connect(actions)
}
