package swarms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	now   = time.UnixMilli(1_700_000_000_000)
	later = now.Add(time.Hour)
)

// swarmOf is a swarm of an object of four pieces.
func swarmOf(i int) (s shoal.Swarm) {
	s.Group = shoal.Public
	binary.BigEndian.PutUint32(s.Object.ID[:], uint32(i))
	s.Object.Size = 1 << 20
	return s
}

// offer is one of the first pieces.
func offer(i int, pieces uint32) wire.Offer {
	o := wire.Offer{Swarm: swarmOf(i), Pieces: pieces}
	if pieces > 0 && pieces < 4 {
		o.Bitfield = shoal.Bitfield{0xf0 << (4 - pieces)}
	}
	return o
}

func deviceOf(id uint64) (d shoal.DeviceID) {
	binary.BigEndian.PutUint64(d[:], id)
	return d
}

// begin starts a session with offers.
func begin(t testing.TB, s *Swarms, id uint64, offers ...wire.Offer) *Session {
	t.Helper()
	n := s.Begin(id, deviceOf(id))
	if err := n.Announce(fmt.Append(nil, "candidates of ", id), later, offers); err != nil {
		t.Fatal(err)
	}
	return n
}

func counts(s *Swarms, i int) [2]uint32 {
	entries := []wire.Entry{{Content: swarmOf(i).Object}}
	s.Count(shoal.Public, entries)
	return [2]uint32{entries[0].Whole, entries[0].Partial}
}

// ids are the sessions among sources, which must all be different.
func ids(t *testing.T, sources []wire.Source) map[uint64]uint32 {
	t.Helper()
	got := make(map[uint64]uint32)
	for _, s := range sources {
		if _, twice := got[s.Session]; twice {
			t.Errorf("session %d is there twice", s.Session)
		}
		if s.Device != deviceOf(s.Session) || string(s.Candidates) != fmt.Sprint("candidates of ", s.Session) {
			t.Errorf("session %d has the device or candidates of another", s.Session)
		}
		got[s.Session] = s.Pieces
	}
	return got
}

// sourcesFor is what a session is told of a swarm. The counts must be those of Count.
func sourcesFor(s *Session, of shoal.Swarm, now time.Time) []wire.Source {
	got, available, _ := s.Sources(nil, of, now)
	counted := []wire.Entry{{Content: of.Object}}
	if s.all.Count(of.Group, counted); counted[0].Availability != available {
		panic(fmt.Sprintf("%+v where %+v is counted", available, counted[0].Availability))
	}
	return got
}

// all yields the swarms. None of the groups may be empty.
func all(t *testing.T, s *Swarms) iter.Seq2[shoal.Swarm, *swarm] {
	return func(yield func(shoal.Swarm, *swarm) bool) {
		for g, in := range s.groups {
			if len(in) == 0 {
				t.Errorf("the group %s without swarms", g)
			}
			for o, w := range in {
				if !yield(shoal.Swarm{Group: g, Object: o}, w) {
					return
				}
			}
		}
	}
}

// consistent checks the bookkeeping, all of it.
func consistent(t *testing.T, s *Swarms) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	offers, held := 0, 0
	for key, w := range all(t, s) {
		held += heldBy(t, w)
		if len(w.sources) == 0 || w.key != key {
			t.Errorf("a swarm of %d sources under another key", len(w.sources))
		}
		whole := 0
		for at, from := range w.sources {
			if place, ok := from.session.offers[w]; !ok || place != at {
				t.Errorf("a session believes to be at %d and is at %d", place, at)
			}
			if from.pieces == 0 {
				t.Error("a source of nothing")
			}
			whole += isWhole(w, from.pieces)
		}
		if whole != w.whole {
			t.Errorf("%d whole instead of %d", w.whole, whole)
		}
		offers += len(w.sources)
	}
	if offers != s.offers || held != s.held {
		t.Errorf("%d offers and %d bytes are counted instead of %d and %d", s.offers, s.held, offers, held)
	}
}

func TestOffers(t *testing.T) {
	s := New()
	asking := s.Begin(1, deviceOf(1))
	if got := sourcesFor(asking, swarmOf(1), now); len(got) != 0 {
		t.Errorf("sources of nothing: %v", got)
	}
	a := begin(t, s, 2, offer(1, 4), offer(2, 1))
	b := begin(t, s, 3, offer(1, 1))
	if got := ids(t, sourcesFor(asking, swarmOf(1), now)); len(got) != 2 || got[2] != 4 || got[3] != 1 {
		t.Errorf("got %v", got)
	}
	if got := counts(s, 1); got != [2]uint32{1, 1} {
		t.Errorf("%v whole and partial", got)
	}
	// Who asks is not among them (rule S5).
	if got := ids(t, sourcesFor(a, swarmOf(1), now)); len(got) != 1 || got[3] != 1 {
		t.Errorf("got %v", got)
	}
	// The last offer for a swarm counts, also within one announcement; others stand.
	if err := b.Announce(nil, time.Time{}, []wire.Offer{offer(1, 2), offer(1, 4)}); err != nil {
		t.Fatal(err)
	}
	if got := counts(s, 1); got != [2]uint32{2, 0} {
		t.Errorf("%v whole and partial", got)
	}
	if err := a.Announce(nil, time.Time{}, []wire.Offer{offer(1, 0), offer(9, 0)}); err != nil {
		t.Fatal(err)
	}
	if got := counts(s, 1); got != [2]uint32{1, 0} {
		t.Errorf("%v whole and partial", got)
	}
	if got := counts(s, 2); got != [2]uint32{0, 1} {
		t.Errorf("%v whole and partial", got)
	}
	consistent(t, s)
	// A session's end takes all its offers away (rule S6).
	a.End()
	b.End()
	asking.End()
	if len(s.groups) != 0 || s.offers != 0 {
		t.Errorf("%d groups and %d offers are left", len(s.groups), s.offers)
	}
	if err := a.Announce(nil, time.Time{}, []wire.Offer{offer(1, 1)}); !errors.Is(err, shoal.Canceled) {
		t.Errorf("offered after the end: %v", err)
	}
}

// The same content in another group is another swarm.
func TestGroupsAreApart(t *testing.T) {
	s := New()
	begin(t, s, 1, offer(1, 4))
	other := swarmOf(1)
	other.Group = "lab"
	if got := sourcesFor(s.Begin(2, deviceOf(2)), other, now); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	entries := []wire.Entry{{Content: other.Object}}
	if s.Count("lab", entries); entries[0].Whole != 0 {
		t.Error("counted in the other group")
	}
}

func TestOffersRefused(t *testing.T) {
	s := New()
	n := s.Begin(1, deviceOf(1))
	refused := func(err error, code shoal.Code) {
		t.Helper()
		if !errors.Is(err, code) {
			t.Errorf("got %v, want %v", err, code)
		}
		if len(s.groups) != 0 || n.candidates != nil {
			t.Error("a part of it was done")
		}
	}
	refused(n.Announce(nil, time.Time{}, []wire.Offer{offer(1, 1)}), shoal.BadRequest) // no candidates yet
	refused(n.Announce([]byte("c"), later, []wire.Offer{offer(1, 4), offer(2, 5)}), shoal.BadRequest)
	refused(n.Announce([]byte("c"), later, []wire.Offer{offer(1, 1<<32-1)}), shoal.BadRequest)
	if err := n.Announce(nil, time.Time{}, []wire.Offer{offer(1, 0)}); err != nil {
		t.Errorf("nothing can be offered without candidates: %v", err)
	}
	if err := n.Announce([]byte("c"), later, nil); err != nil {
		t.Error(err)
	}
	if err := n.Announce(nil, time.Time{}, []wire.Offer{offer(1, 4)}); err != nil {
		t.Error(err)
	}
}

// 10,000 offers are held and no more, whatever the order in which they come (rule S7).
func TestOfferLimit(t *testing.T) {
	s := New()
	n := begin(t, s, 1)
	for i := 0; i < MaxOffers; i += 500 {
		var offers []wire.Offer
		for j := range 500 {
			offers = append(offers, offer(i+j, 1))
		}
		if err := n.Announce(nil, time.Time{}, offers); err != nil {
			t.Fatal(err)
		}
	}
	full := func(err error) {
		t.Helper()
		if !errors.Is(err, shoal.Limit) || len(n.offers) != MaxOffers {
			t.Errorf("%d offers, %v", len(n.offers), err)
		}
	}
	full(n.Announce(nil, time.Time{}, []wire.Offer{offer(MaxOffers, 1)}))
	full(n.Announce(nil, time.Time{}, []wire.Offer{offer(MaxOffers, 1), offer(MaxOffers+1, 1), offer(7, 0)}))
	// What is there may change, and one may take the place of another, in either order.
	for _, offers := range [][]wire.Offer{
		{offer(7, 4), offer(7, 3)},
		{offer(7, 0), offer(MaxOffers, 1)},
		{offer(7, 1), offer(MaxOffers, 0)},
		{offer(MaxOffers, 1), offer(MaxOffers, 0)},
	} {
		if err := n.Announce(nil, time.Time{}, offers); err != nil {
			t.Errorf("%v: %v", offers, err)
		}
		if len(n.offers) != MaxOffers {
			t.Errorf("%d offers", len(n.offers))
		}
	}
	// Another session has its own.
	begin(t, s, 2, offer(MaxOffers+5, 1))
	consistent(t, s)
}

// All sessions together have a limit as well.
func TestAllOffersLimit(t *testing.T) {
	s := New()
	s.maxAll = 3
	a := begin(t, s, 1, offer(1, 1), offer(2, 1))
	b := begin(t, s, 2, offer(1, 1))
	if err := b.Announce(nil, time.Time{}, []wire.Offer{offer(2, 1)}); !errors.Is(err, shoal.Limit) {
		t.Errorf("got %v", err)
	}
	a.End()
	if err := b.Announce(nil, time.Time{}, []wire.Offer{offer(2, 1)}); err != nil {
		t.Error(err)
	}
	consistent(t, s)
}

func TestExpiredCandidates(t *testing.T) {
	s := New()
	asking := s.Begin(1, deviceOf(1))
	n := begin(t, s, 2, offer(1, 4))
	if got := sourcesFor(asking, swarmOf(1), later.Add(-1)); len(got) != 1 {
		t.Errorf("just before: %v", got)
	}
	if got := sourcesFor(asking, swarmOf(1), later); len(got) != 0 {
		t.Errorf("at the end: %v", got)
	}
	if err := n.Announce([]byte("candidates of 2"), later.Add(time.Hour), nil); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, sourcesFor(asking, swarmOf(1), later)); len(got) != 1 {
		t.Errorf("renewed: %v", got)
	}
	// Many that expired do not keep the one that has not from being found.
	for id := range uint64(500) {
		n := s.Begin(10+id, deviceOf(10+id))
		if err := n.Announce([]byte("old"), now, []wire.Offer{offer(1, 4)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := ids(t, sourcesFor(asking, swarmOf(1), later)); len(got) != 1 || got[2] != 4 {
		t.Errorf("among the expired: %v", got)
	}
}

// Each source is as likely as any other to be among the 50, whatever its place (rule S5).
func TestSourcesAreUniform(t *testing.T) {
	const sources, draws = 200, 1600
	s := New()
	random := rand.New(rand.NewPCG(3, 4))
	s.random = random.IntN
	var asking *Session
	for id := range uint64(sources + 1) {
		n := begin(t, s, id, offer(1, 1+uint32(id%4)))
		if id == 77 {
			asking = n
		}
	}
	seen := make(map[uint64]int)
	for range draws {
		got := ids(t, sourcesFor(asking, swarmOf(1), now))
		if len(got) != wire.MaxSources {
			t.Fatalf("%d sources", len(got))
		}
		for id := range got {
			seen[id]++
		}
	}
	if len(seen) != sources || seen[77] != 0 {
		t.Errorf("%d of %d sources were drawn, the asking one %d times", len(seen), sources, seen[77])
	}
	// Each is drawn 400 times in the mean, with a standard deviation below 18.
	const mean = draws * wire.MaxSources / sources
	for id, n := range seen {
		if n < mean-90 || n > mean+90 {
			t.Errorf("session %d was drawn %d times, %d are expected", id, n, mean)
		}
	}
}

// With 51 sources and one of them asking, the other 50 are all there.
func TestFewSources(t *testing.T) {
	s := New()
	var asking *Session
	for id := range uint64(wire.MaxSources + 1) {
		asking = begin(t, s, id, offer(1, 1))
		if got := ids(t, sourcesFor(asking, swarmOf(1), now)); len(got) != int(id) {
			t.Errorf("%d of %d sources", len(got), id)
		}
	}
}

// Everything at once, against the bookkeeping.
func TestConcurrentSessions(t *testing.T) {
	s := New()
	var sessions sync.WaitGroup
	for id := range uint64(16) {
		sessions.Go(func() {
			random := rand.New(rand.NewPCG(id, 1))
			for life := range uint64(5) {
				n := s.Begin(id+100*life, deviceOf(id))
				if err := n.Announce([]byte("c"), later, nil); err != nil {
					t.Error(err)
				}
				for range 60 {
					var offers []wire.Offer
					for range random.IntN(20) {
						offers = append(offers, offer(random.IntN(40), uint32(random.IntN(5))))
					}
					if err := n.Announce(nil, time.Time{}, offers); err != nil {
						t.Error(err)
					}
					useful, _, _ := n.Sources(nil, swarmOf(random.IntN(40)), now)
					for _, from := range useful {
						if from.Session == id+100*life {
							t.Error("one's own source")
						}
					}
				}
				if id%2 == 0 || life < 4 {
					n.End()
				}
			}
		})
	}
	sessions.Wait()
	consistent(t, s)
	if s.offers == 0 {
		t.Error("nothing is left to check")
	}
}

// What is asked of 10,000 sources costs no more than of 100.
func BenchmarkSources(b *testing.B) {
	for _, n := range []uint64{10, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New()
			for id := range n {
				begin(b, s, id, offer(1, 4))
			}
			asking := s.Begin(n, deviceOf(n))
			b.ReportAllocs()
			var useful []wire.Source
			for b.Loop() {
				if useful, _, _ = asking.Sources(useful[:0], swarmOf(1), now); len(useful) != int(min(n, wire.MaxSources)) {
					b.Fatal("too few")
				}
			}
		})
	}
}
