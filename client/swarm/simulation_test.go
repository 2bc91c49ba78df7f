package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"shoal"
)

// A simulation runs an Engine against peers that are slow, partial, dying, stalling or lying, on virtual time, and
// checks with every action that it is one the engine may take.
type simulation struct {
	t      *testing.T
	engine *Engine
	rand   *rand.Rand
	now    time.Duration
	pieces int
	peers  map[PeerID]*simPeer
	order  []PeerID
	asked  map[int]map[PeerID]bool
	banned map[shoal.DeviceID]bool
	queue  []later
	held   []bool
	manifest, opened,
	done, gaveUp bool
	log []Action
}

type simPeer struct {
	id        PeerID
	has       []bool
	delay     time.Duration // for one piece
	dies      float64       // chance for each request
	stalls    float64
	lies      float64
	refuses   float64
	connected bool
	pending   map[int]int // the request that counts, by piece
	serial    int
	frees     time.Duration // when its line is free again
}

// later is an event that comes at a time, unless it is void by then.
type later struct {
	at    time.Duration
	event Event
	void  func() bool
}

func simulate(t *testing.T, seed uint64) *simulation {
	r := rand.New(rand.NewPCG(seed, 1))
	pieces := 1 + r.IntN(200)
	s := &simulation{
		t: t, rand: r, pieces: pieces, peers: map[PeerID]*simPeer{}, asked: map[int]map[PeerID]bool{},
		banned: map[shoal.DeviceID]bool{}, held: make([]bool, pieces),
		engine: New(Config{
			Object: shoal.Object{Size: int64(pieces) * (256 << 10)}, Timeout: 10 * time.Minute, Seed: seed,
		}),
	}
	// One honest peer has everything, and comes late; so every download must end well.
	n := r.IntN(8)
	for i := range n {
		p := &simPeer{
			id:    PeerID{Device: shoal.DeviceID{byte(1 + i/2)}, Session: uint64(i)},
			delay: time.Duration(1+r.IntN(2000)) * time.Millisecond, has: make([]bool, pieces), pending: map[int]int{},
		}
		for _, chance := range []*float64{&p.dies, &p.stalls, &p.lies, &p.refuses} {
			if r.IntN(4) == 0 {
				*chance = r.Float64() / 10
			}
		}
		for k := range p.has {
			p.has[k] = i%2 == 0 || r.IntN(3) > 0
		}
		s.add(p, time.Duration(r.IntN(20_000))*time.Millisecond)
	}
	good := &simPeer{
		id: PeerID{Device: shoal.DeviceID{200}, Session: 200}, delay: 50 * time.Millisecond,
		has: slices.Repeat([]bool{true}, pieces), pending: map[int]int{},
	}
	s.add(good, time.Duration(r.IntN(60_000))*time.Millisecond)
	s.run()
	return s
}

func (s *simulation) add(p *simPeer, at time.Duration) {
	s.peers[p.id] = p
	s.order = append(s.order, p.id)
	for range 1 + s.rand.IntN(2) { // a server repeats itself
		s.after(at, Event{Kind: Found, Peer: p.id}, nil)
	}
}

func (s *simulation) after(d time.Duration, e Event, void func() bool) {
	s.queue = append(s.queue, later{s.now + d, e, void})
}

func (s *simulation) run() {
	for tick := TickEvery; !s.done && !s.gaveUp; {
		next := 0
		for i := range s.queue {
			if s.queue[i].at < s.queue[next].at {
				next = i
			}
		}
		if len(s.queue) == 0 || s.queue[next].at > tick {
			s.now = tick
			tick += TickEvery
			s.step(Event{Kind: Tick})
			if s.now > time.Hour {
				s.t.Fatal("it does not end")
			}
			continue
		}
		l := s.queue[next]
		s.queue = slices.Delete(s.queue, next, next+1)
		s.now = l.at
		if l.void == nil || !l.void() {
			s.happen(l.event)
		}
	}
}

// happen keeps the books for an event, and hands it to the engine.
func (s *simulation) happen(e Event) {
	p := s.peers[e.Peer]
	switch e.Kind {
	case PieceVerified:
		s.forget(p, e.Piece)
		s.held[e.Piece] = true
	case PieceBad:
		s.forget(p, e.Piece)
		s.ban(p.id.Device)
	case Refused:
		s.forget(p, e.Piece)
	case ManifestBad:
		s.ban(p.id.Device)
	case Lost:
		s.cut(p)
	case Connected:
		p.connected = true
	case ManifestVerified:
		if !s.manifest {
			s.manifest = true
			s.after(time.Second, Event{Kind: Opened}, nil)
		}
	case Opened:
		s.opened = true
	case Have:
		p.has[e.Piece] = true
	}
	s.step(e)
}

func (s *simulation) ban(d shoal.DeviceID) { s.banned[d] = true }

func (s *simulation) forget(p *simPeer, piece int) {
	delete(p.pending, piece)
	delete(s.asked[piece], p.id)
}

func (s *simulation) cut(p *simPeer) {
	p.connected = false
	p.frees = 0
	for piece := range p.pending {
		s.forget(p, piece)
	}
}

func (s *simulation) step(e Event) {
	e.Now = s.now
	for _, a := range s.engine.Step(e, nil) {
		s.log = append(s.log, a)
		s.do(a)
	}
	for _, id := range s.order {
		if n := len(s.peers[id].pending); n > s.engine.window {
			s.t.Fatalf("%d pieces are asked of a peer at a time, and %d may be", n, s.engine.window)
		}
	}
}

func (s *simulation) do(a Action) {
	if s.done || s.gaveUp {
		s.t.Fatalf("%+v after the end", a)
	}
	p := s.peers[a.Peer]
	switch a.Kind {
	case Connect:
		if p.connected || s.banned[p.id.Device] {
			s.t.Fatalf("connects to %v", p.id)
		}
		bits := make([]byte, (s.pieces+7)/8)
		for i, has := range p.has {
			if has {
				bits[i/8] |= 0x80 >> (i % 8)
			}
		}
		serial := s.renew(p)
		s.after(p.delay/4, Event{Kind: Connected, Peer: p.id, Bitfield: bits}, func() bool { return p.serial != serial })
		for i, has := range p.has {
			if !has && s.rand.IntN(3) == 0 {
				s.after(p.delay/4+time.Duration(s.rand.IntN(9000))*time.Millisecond, Event{Kind: Have, Peer: p.id, Piece: i},
					func() bool { return p.serial != serial || !p.connected })
			}
		}
	case FetchManifest:
		kind := ManifestVerified
		if s.rand.Float64() < p.lies {
			kind = ManifestBad
		}
		serial := p.serial
		s.after(p.delay, Event{Kind: kind, Peer: p.id}, func() bool { return p.serial != serial })
	case Request:
		s.request(p, a.Piece)
	case Cancel:
		s.forget(p, a.Piece)
	case Drop:
		s.cut(p)
		s.renew(p)
	case Done:
		if slices.Contains(s.held, false) {
			s.t.Fatal("done, and pieces are missing")
		}
		s.done = true
	case GiveUp:
		s.gaveUp = true
	}
}

// renew makes what was to come from the peer void.
func (s *simulation) renew(p *simPeer) int {
	p.serial++
	return p.serial
}

func (s *simulation) request(p *simPeer, piece int) {
	switch {
	case !s.opened || !p.connected:
		s.t.Fatalf("piece %d is asked of %v, which is not connected, or too early", piece, p.id)
	case s.banned[p.id.Device]:
		s.t.Fatalf("piece %d is asked of a device that is banned", piece)
	case !p.has[piece] || s.held[piece]:
		s.t.Fatalf("piece %d is asked of %v, which does not have it, or it is here", piece, p.id)
	case len(s.asked[piece]) >= 2 || s.asked[piece][p.id]:
		s.t.Fatalf("piece %d is asked of %v, and of %v already", piece, p.id, s.asked[piece])
	}
	if s.asked[piece] == nil {
		s.asked[piece] = map[PeerID]bool{}
	}
	s.asked[piece][p.id] = true
	s.renewRequest(p, piece)
}

func (s *simulation) renewRequest(p *simPeer, piece int) {
	number := len(s.log)
	p.pending[piece] = number
	serial := p.serial
	void := func() bool { return p.serial != serial || p.pending[piece] != number }
	p.frees = max(p.frees, s.now) + p.delay
	at := p.frees - s.now
	switch chance := s.rand.Float64(); {
	case chance < p.dies:
		s.after(at/2, Event{Kind: Lost, Peer: p.id}, void)
		return
	case chance < p.dies+p.stalls:
		return
	case chance < p.dies+p.stalls+p.lies:
		s.after(at, Event{Kind: PieceBad, Peer: p.id, Piece: piece}, void)
	case chance < p.dies+p.stalls+p.lies+p.refuses:
		s.after(at, Event{Kind: Refused, Peer: p.id, Piece: piece}, void)
	default:
		s.after(at, Event{Kind: PieceVerified, Peer: p.id, Piece: piece}, void)
	}
	s.after(at/2, Event{Kind: Progress, Peer: p.id}, void)
}

func TestSimulations(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if s := simulate(t, seed); !s.done {
				t.Errorf("gave up after %v with %d of %d pieces missing", s.now, s.engine.Missing(), s.pieces)
			}
		})
	}
}

func TestSameSeedSameActions(t *testing.T) {
	for seed := range uint64(10) {
		if !slices.Equal(simulate(t, seed).log, simulate(t, seed).log) {
			t.Errorf("seed %d: two runs differ", seed)
		}
	}
}
