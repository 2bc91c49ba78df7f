package swarm

import (
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
}

// Engine downloads one object. Its first strategy is simple: pieces are asked for in order from a random beginning, each
// of whoever is free and has it; what a peer owed when it was lost goes to others at once; in the end an idle peer is
// asked for what another has owed for long.
type Engine struct {
	config  Config
	pieces  int
	proven  bool // the manifest is known
	opened  bool // and pieces can be written
	window  int  // pieces asked of a peer at a time
	limit   int  // peers connected at a time
	missing int
	have    bitfield
	asked   []uint8         // how many peers each piece is asked of
	askedAt []time.Duration // when it was asked last
	cursor  int             // where the search for the next piece begins
	peers   map[PeerID]*peer
	order   []*peer // the same, in the order in which they were found: what a map does not give
	banned  map[shoal.DeviceID]bool

	now       time.Duration
	heard     time.Duration // when anything came last
	connected int           // peers connecting or present
	waiting   bool
	ended     bool
	rand      *rand.Rand
}

// New makes an Engine.
func New(c Config) *Engine {
	e := &Engine{
		config: c, pieces: c.Object.Pieces(), peers: map[PeerID]*peer{}, banned: map[shoal.DeviceID]bool{},
		window: int(max(2, windowBytes/c.Object.PieceLength())), rand: rand.New(rand.NewPCG(c.Seed, 0)),
	}
	e.limit = maxConnected
	if e.pieces == 1 {
		e.limit = 2 // one serves, one stands by
	}
	e.have = make(bitfield, (e.pieces+7)/8)
	e.asked = make([]uint8, e.pieces)
	e.askedAt = make([]time.Duration, e.pieces)
	e.missing = e.pieces
	e.cursor = e.rand.IntN(e.pieces)
	return e
}

// Missing is the number of pieces that are not there yet.
func (e *Engine) Missing() int { return e.missing }

// Step takes one event and appends what is to be done about it to actions. It does not allocate, but for a peer that is
// new. After Done or GiveUp nothing more comes.
func (e *Engine) Step(ev Event, actions []Action) []Action {
	if e.ended {
		return actions
	}
	e.now = max(e.now, ev.Now)
	switch p := e.peers[ev.Peer]; {
	case ev.Kind == Tick:
		actions = e.tick(actions)
	case ev.Kind == Opened:
		actions = e.open(ev.Bitfield, actions)
	case ev.Kind == Found:
		if p == nil && !e.banned[ev.Peer.Device] {
			p = &peer{id: ev.Peer, inFlight: make([]int, 0, e.window+1)}
			e.peers[ev.Peer] = p
			e.order = append(e.order, p)
		}
		actions = e.connect(actions)
	case p != nil:
		actions = e.fromPeer(p, ev, actions)
	}
	return e.finish(actions)
}

func (e *Engine) fromPeer(p *peer, ev Event, actions []Action) []Action {
	switch ev.Kind {
	case Connected:
		if p.phase == connecting {
			p.phase, p.whole, p.has, p.heard = present, ev.Whole, ev.Bitfield, e.now
			if !p.whole && len(p.has) < len(e.have) {
				p.has = append(make(bitfield, 0, len(e.have)), ev.Bitfield...)[:len(e.have)]
			}
			actions = e.assignAll(actions)
		}
	case Lost:
		actions = e.lose(p, actions)
	case Have:
		if p.phase == present && !p.whole && ev.Piece >= 0 && ev.Piece < e.pieces {
			p.has.set(ev.Piece)
			actions = e.assign(p, actions)
		}
	case Progress:
		p.heard = e.now
		if p.owes() { // a peer's sign of life is no progress
			e.heard = e.now
		}
	case ManifestVerified:
		p.manifest, e.proven = false, true
	case ManifestBad:
		actions = e.ban(p, actions)
	case PieceVerified:
		actions = e.verified(p, ev.Piece, actions)
	case PieceBad:
		e.release(p, ev.Piece)
		actions = e.ban(p, actions)
	case Refused:
		// It said that it had the piece, and does not give it: ask others first, and it again after a pause.
		if e.release(p, ev.Piece) {
			actions = e.drop(p, shoal.NotHeld, actions)
		}
	}
	return actions
}

// open begins the download proper, with what is on disk already.
func (e *Engine) open(onDisk bitfield, actions []Action) []Action {
	if e.opened {
		return actions
	}
	e.proven, e.opened = true, true
	for i := range e.pieces {
		if onDisk.get(i) && !e.have.get(i) {
			e.have.set(i)
			e.missing--
		}
	}
	return e.assignAll(actions)
}

// verified notes that piece i is there, and takes it back from others who were asked for it.
func (e *Engine) verified(p *peer, i int, actions []Action) []Action {
	e.release(p, i)
	p.failures, p.heard, e.heard = 0, e.now, e.now
	if i < 0 || i >= e.pieces || e.have.get(i) {
		return e.assign(p, actions)
	}
	e.have.set(i)
	e.missing--
	if e.asked[i] > 0 {
		for _, other := range e.order {
			if e.release(other, i) {
				actions = append(actions, Action{Kind: Cancel, Peer: other.id, Piece: i})
				actions = e.assign(other, actions)
			}
		}
	}
	return e.assign(p, actions)
}

// release ends p's request for piece i, and reports whether there was one.
func (e *Engine) release(p *peer, i int) bool {
	if !p.forget(i) {
		return false
	}
	e.asked[i]--
	return true
}

// ban drops a peer that sent something false; its device gets no more work in this transfer.
func (e *Engine) ban(p *peer, actions []Action) []Action {
	e.banned[p.id.Device] = true
	for _, other := range e.order {
		if other.id.Device == p.id.Device {
			actions = e.drop(other, shoal.Corrupt, actions)
		}
	}
	return actions
}

// drop ends a connection from this side.
func (e *Engine) drop(p *peer, why shoal.Code, actions []Action) []Action {
	if p.phase == connecting || p.phase == present {
		actions = append(actions, Action{Kind: Drop, Peer: p.id, Code: why})
	}
	return e.lose(p, actions)
}

// lose takes back what p owed, so that others get it at once, and puts off the next attempt.
func (e *Engine) lose(p *peer, actions []Action) []Action {
	if p.phase != connecting && p.phase != present {
		return actions
	}
	for len(p.inFlight) > 0 {
		e.release(p, p.inFlight[0])
	}
	pause := min(retryFirst<<min(p.failures, 16), retryMost)
	p.phase, p.manifest, p.has, p.whole = away, false, nil, false
	p.failures++
	p.retryAt = e.now + pause/2 + time.Duration(e.rand.Int64N(int64(pause)))
	e.connected--
	actions = e.connect(actions)
	return e.assignAll(actions)
}

// tick looks at what only time brings about.
func (e *Engine) tick(actions []Action) []Action {
	if e.proven && !e.opened {
		e.heard = e.now // it is our disk that takes its time
	}
	for _, p := range e.order {
		if p.owes() && e.now-p.heard >= stallAfter {
			actions = e.drop(p, shoal.Unreachable, actions)
		}
	}
	actions = e.connect(actions)
	actions = e.assignAll(actions)
	return e.askAgain(actions)
}

// connect tries the peers that are not connected and whose pause is over.
func (e *Engine) connect(actions []Action) []Action {
	for _, p := range e.order {
		if e.connected >= e.limit {
			break
		}
		if p.phase == away && e.now >= p.retryAt && !e.banned[p.id.Device] {
			p.phase, p.heard = connecting, e.now
			e.connected++
			actions = append(actions, Action{Kind: Connect, Peer: p.id})
		}
	}
	return actions
}

// finish adds what follows from the state as a whole.
func (e *Engine) finish(actions []Action) []Action {
	if e.missing == 0 {
		e.ended = true
		return append(actions, Action{Kind: Done})
	}
	waiting := e.proven == e.opened && !slices.ContainsFunc(e.order, (*peer).owes)
	if waiting && !e.waiting {
		actions = append(actions, Action{Kind: Wait})
	}
	e.waiting = waiting
	if e.config.Timeout > 0 && e.now-e.heard >= e.config.Timeout {
		e.ended = true
		actions = append(actions, Action{Kind: GiveUp})
	}
	return actions
}
