// Package swarms is what a server knows for now: which sessions serve which objects, and where they can be reached. It
// is rebuilt by announcements, so it is in memory only, and it may hold objects that the registry does not know (yet).
package swarms

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/wire"
)

const (
	// MaxOffers is how many offers a session can have (rule S7).
	MaxOffers = 10_000
	// maxAll is how many offers all sessions together can have; each takes some 150 bytes, and its bitfield (maxHeld).
	maxAll = 2_000_000
)

// Swarms knows who has what. All methods of it and of its sessions may be called concurrently; none waits for anything
// but the lock.
type Swarms struct {
	mu      sync.RWMutex                            // guards everything below, sessions and swarms included
	groups  map[shoal.Group]map[shoal.Object]*swarm // none of them empty
	offers  int
	held    int // bytes of bitfields and counts
	maxAll  int // of offers; constant
	maxHeld int // of held; constant
	reports reports
	random  func(n int) int // a random number in [0, n), to be called concurrently; constant
}

// New returns no swarms at all.
func New() *Swarms {
	return &Swarms{
		groups: make(map[shoal.Group]map[shoal.Object]*swarm), maxAll: maxAll, maxHeld: maxHeld,
		reports: newReports(), random: rand.IntN,
	}
}

// swarm is the sources of one object in one group, in no order. None is empty.
type swarm struct {
	sources []source
	whole   int                          // sources that have all pieces
	held    int                          // sources of which it is known which pieces they have, and that is neither none nor all
	copies  *copies                      // of these; nil where there are none
	absent  atomic.Pointer[[]shoal.Span] // what missing found; nil where something has changed since
	key     shoal.Swarm
}

type source struct {
	session *Session
	pieces  uint32
	has     shoal.Bitfield // which pieces; nil where that is all, or not known
}

// find returns a swarm, nil for one without sources. The caller holds mu.
func (s *Swarms) find(of shoal.Swarm) *swarm { return s.groups[of.Group][of.Object] }

// put makes a swarm, which must not be there. The caller holds mu, and adds a source.
func (s *Swarms) put(key shoal.Swarm) *swarm {
	in := s.groups[key.Group]
	if in == nil {
		in = make(map[shoal.Object]*swarm)
		s.groups[key.Group] = in
	}
	w := &swarm{key: key}
	in[key.Object] = w
	return w
}

// tidy forgets a swarm that has no sources. The caller holds mu.
func (s *Swarms) tidy(w *swarm) {
	if len(w.sources) > 0 {
		return
	}
	in := s.groups[w.key.Group]
	if delete(in, w.key.Object); len(in) == 0 {
		delete(s.groups, w.key.Group)
	}
}

// Session is what one connection's process offers.
type Session struct {
	all        *Swarms
	id         uint64
	device     shoal.DeviceID
	candidates []byte // a statement by device; replaced, never changed
	expires    time.Time
	offers     map[*swarm]int // where the session is in the swarm's sources
	held       int            // bytes of bitfields
	ended      bool
}

// Begin starts a session, which offers nothing at first. id is unique among those that have not ended.
func (s *Swarms) Begin(id uint64, device shoal.DeviceID) *Session {
	return &Session{all: s, id: id, device: device}
}

// Announce replaces the session's candidates, unless nil, and its offers for the swarms named, 0 pieces ending one; or
// changes nothing and returns an error. candidates is a verified statement by the session's device that holds until
// expires; it is kept and must not change. The error's code is BadRequest (rule S6) or Limit (rule S7).
func (s *Session) Announce(candidates []byte, expires time.Time, offers []wire.Offer) error {
	a := s.all
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := s.check(candidates, offers); err != nil {
		return err
	}
	if candidates != nil {
		s.candidates, s.expires = candidates, expires
	}
	for _, o := range offers {
		if w := s.set(o); w != nil {
			a.tidy(w)
		}
	}
	return nil
}

// check refuses what Announce must not do. The caller holds mu.
func (s *Session) check(candidates []byte, offers []wire.Offer) error {
	if s.ended {
		return shoal.Errorf(shoal.Canceled, "the session has ended")
	}
	more := 0
	for _, o := range offers {
		if pieces := o.Swarm.Object.Pieces(); int64(o.Pieces) > int64(pieces) {
			return shoal.Errorf(shoal.BadRequest, "an offer of %d pieces of %v, which has %d (rule S6)", o.Pieces, o.Swarm.Object.ID, pieces)
		}
		if o.Pieces > 0 {
			more++
		}
	}
	if more > 0 && candidates == nil && s.candidates == nil {
		return shoal.Errorf(shoal.BadRequest, "an offer before there are candidates: nobody could come for it (rule S6)")
	}
	if s.exceeds(offers, more) {
		return shoal.Errorf(shoal.Limit, "more than %d offers of one session, or more than the server can hold; stop serving what is not needed", MaxOffers)
	}
	return nil
}

// exceeds reports whether the offers, more of which are of at least one piece, would be too many.
func (s *Session) exceeds(offers []wire.Offer, more int) bool {
	if len(s.offers)+more <= MaxOffers && s.all.offers+more <= s.all.maxAll {
		return false
	}
	// Only now it matters which of them are new.
	after := make(map[shoal.Swarm]bool, len(offers))
	for _, o := range offers {
		after[o.Swarm] = o.Pieces > 0
	}
	change := 0
	for key, stays := range after {
		_, was := s.offers[s.all.find(key)]
		switch {
		case stays && !was:
			change++
		case was && !stays:
			change--
		}
	}
	return change > 0 && (len(s.offers)+change > MaxOffers || s.all.offers+change > s.all.maxAll)
}

// set makes one offer hold and returns its swarm, which may be empty then; nil if there is none. The caller holds mu.
func (s *Session) set(o wire.Offer) *swarm {
	a := s.all
	w := a.find(o.Swarm)
	if w == nil {
		if o.Pieces == 0 {
			return nil
		}
		w = a.put(o.Swarm)
	}
	at, was := s.offers[w]
	switch {
	case o.Pieces == 0 && was:
		s.withdraw(w, at)
	case o.Pieces == 0:
	case was:
		w.whole += isWhole(w, o.Pieces) - isWhole(w, w.sources[at].pieces)
		w.sources[at].pieces = o.Pieces
		w.hold(at, o.Bitfield)
	default:
		if s.offers == nil {
			s.offers = make(map[*swarm]int)
		}
		s.offers[w] = len(w.sources)
		w.sources = append(w.sources, source{session: s, pieces: o.Pieces})
		w.whole += isWhole(w, o.Pieces)
		w.hold(len(w.sources)-1, o.Bitfield)
		a.offers++
	}
	return w
}

func isWhole(w *swarm, pieces uint32) int {
	if int(pieces) == w.key.Object.Pieces() {
		return 1
	}
	return 0
}

// Sources appends to useful, which is empty, at most wire.MaxSources of a swarm that have candidates which hold at now,
// without the asking session; a random choice if there are more (rule S5), and in the order in which they are best tried
// (rule R5). The candidates are shared and must not be changed. The availability counts all sources that there are, as Count
// does, and missing are the pieces that none of them has, not to be changed either.
func (s *Session) Sources(useful []wire.Source, of shoal.Swarm, now time.Time) (_ []wire.Source, _ shoal.Availability, missing []shoal.Span) {
	a := s.all
	a.mu.RLock()
	defer a.mu.RUnlock()
	w := a.find(of)
	if w == nil {
		return useful, shoal.Availability{}, nil
	}
	if in := a.reports.groups[of.Group]; in != nil || len(w.sources) > wire.MaxSources {
		return s.choose(useful, w, in, now), w.availability(), w.missing()
	}
	for i := range w.sources {
		useful = s.appendUseful(useful, &w.sources[i], now)
	}
	return useful, w.availability(), w.missing()
}

// appendUseful appends a source, if it is of use to the session that asks. The caller holds mu.
func (s *Session) appendUseful(useful []wire.Source, from *source, now time.Time) []wire.Source {
	of := from.session
	if of == s || !now.Before(of.expires) {
		return useful
	}
	return append(useful, wire.Source{Session: of.id, Device: of.device, Pieces: from.pieces, Candidates: of.candidates})
}

// Count sets the availability in entries of a group.
func (s *Swarms) Count(group shoal.Group, entries []wire.Entry) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	in := s.groups[group]
	for i := range entries {
		e := &entries[i]
		if w := in[e.Content]; w != nil {
			e.Availability = w.availability()
		}
	}
}
