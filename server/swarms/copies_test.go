package swarms

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

// heldBy checks what a swarm counts of its pieces against what its sources have, and returns how many bytes that takes.
func heldBy(t *testing.T, w *swarm) (held int) {
	pieces := w.key.Object.Pieces()
	count, known := make([]uint32, pieces), 0
	for _, from := range w.sources {
		if from.has == nil {
			continue
		}
		known++
		held += len(from.has)
		for i := range pieces {
			if from.has.Has(i) {
				count[i]++
			}
		}
	}
	if known != w.held || (known > 0) != (w.copies != nil) {
		t.Errorf("%d bitfields where %d are counted", known, w.held)
		return held
	}
	if known == 0 {
		return 0
	}
	least, above, of := count[0], 0, map[uint32]uint32{}
	for _, n := range count {
		least = min(least, n)
		of[n]++
	}
	for n, pieces := range of {
		if n > least {
			above += int(pieces)
		}
		if w.copies.of[n] != pieces {
			t.Errorf("%d pieces that %d have, of which %d are counted", pieces, n, w.copies.of[n])
		}
	}
	if is := w.availability(); !reflect.DeepEqual(count, w.copies.count) || is.Least != least+uint32(w.whole) || int(is.Above) != above {
		t.Errorf("%v are counted as %v, and as %+v", count, w.copies.count, is)
	}
	return held + 4*pieces
}

// parts is an offer of pieces of an object of so many.
func parts(i, pieces int, has ...int) wire.Offer {
	s := shoal.Swarm{Group: shoal.Public, Object: shoal.Object{Size: int64(pieces) << 18}}
	binary.BigEndian.PutUint32(s.Object.ID[:], uint32(i))
	o := wire.Offer{Swarm: s, Pieces: uint32(len(has))}
	if len(has) > 0 && len(has) < pieces {
		o.Bitfield = shoal.NewBitfield(pieces)
		for _, p := range has {
			o.Bitfield.Set(p)
		}
	}
	return o
}

func TestAvailability(t *testing.T) {
	s := New()
	asking := s.Begin(1, deviceOf(1))
	is := func(want shoal.Availability, missing ...shoal.Span) {
		t.Helper()
		_, got, without := asking.Sources(nil, parts(1, 10).Swarm, now)
		if got != want || len(missing)+len(without) > 0 && !reflect.DeepEqual(without, missing) {
			t.Errorf("%+v without %v, want %+v without %v", got, without, want, missing)
		}
		consistent(t, s)
	}
	is(shoal.Availability{})
	a := begin(t, s, 2, parts(1, 10, 0, 1, 2, 5))
	is(shoal.Availability{Partial: 1, Above: 4}, shoal.Span{First: 3, Count: 2}, shoal.Span{First: 6, Count: 4})
	b := begin(t, s, 3, parts(1, 10, 3, 4, 5))
	is(shoal.Availability{Partial: 2, Above: 6}, shoal.Span{First: 6, Count: 4})
	announce := func(n *Session, o wire.Offer) {
		t.Helper()
		if err := n.Announce(nil, time.Time{}, []wire.Offer{o}); err != nil {
			t.Fatal(err)
		}
	}
	announce(a, parts(1, 10, 0, 1, 2, 5, 6, 7, 8, 9))
	is(shoal.Availability{Partial: 2, Least: 1, Above: 1})
	announce(a, parts(1, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
	is(shoal.Availability{Whole: 1, Partial: 1, Least: 1, Above: 3})
	announce(b, parts(1, 10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9))
	is(shoal.Availability{Whole: 2, Least: 2})
	b.End()
	is(shoal.Availability{Whole: 1, Least: 1})
	announce(a, parts(1, 10, 9))
	is(shoal.Availability{Partial: 1, Above: 1}, shoal.Span{First: 0, Count: 9})
	announce(a, parts(1, 10))
	is(shoal.Availability{})
	if s.held != 0 || a.held != 0 {
		t.Errorf("%d bytes are left, %d of them the session's", s.held, a.held)
	}
}

// What there is no room for counts for nothing, and nothing is said to be missing then (rule S12); what a session, or all of
// them, can take is bounded.
func TestNoRoomForBitfields(t *testing.T) {
	s := New()
	s.maxHeld = 4*10 + 2 + 4*10 + 2 + 2
	a := begin(t, s, 2, parts(1, 10, 0))
	b := begin(t, s, 3, parts(2, 10, 0))
	c := begin(t, s, 4, parts(2, 10, 1), parts(1, 10, 1), parts(3, 10, 1)) // one of them
	consistent(t, s)
	if s.held != s.maxHeld || c.held != 2 {
		t.Errorf("%d bytes are held, %d of them for one session", s.held, c.held)
	}
	_, is, missing := a.Sources(nil, parts(1, 10).Swarm, now)
	if want := (shoal.Availability{Partial: 2, Above: 1}); is != want || len(missing) > 0 {
		t.Errorf("%+v without %v", is, missing)
	}
	b.End()
	if err := c.Announce(nil, time.Time{}, []wire.Offer{parts(1, 10, 2, 3)}); err != nil {
		t.Fatal(err)
	}
	if _, is, missing = a.Sources(nil, parts(1, 10).Swarm, now); is.Above != 3 || len(missing) != 2 {
		t.Errorf("when there is room: %+v without %v", is, missing)
	}
	consistent(t, s)

	s = New()
	n := begin(t, s, 1)
	for i := range 20 {
		o := wire.Offer{Swarm: shoal.Swarm{Group: shoal.Public, Object: shoal.Object{ID: shoal.FileID{byte(i)}, Size: shoal.MaxSize}}, Pieces: 1}
		o.Bitfield = make(shoal.Bitfield, shoal.MaxPieces/8)
		o.Bitfield[i] = 1
		if err := n.Announce(nil, time.Time{}, []wire.Offer{o}); err != nil {
			t.Fatal(err)
		}
	}
	if n.held != maxSessionHeld {
		t.Errorf("%d bytes of bitfields are held for a session", n.held)
	}
	consistent(t, s)
	n.End()
	if s.held != 0 {
		t.Errorf("%d bytes are left", s.held)
	}
}

// Whatever sources announce in whatever order, the counts are right.
func TestCountsOfPieces(t *testing.T) {
	s := New()
	random := rand.New(rand.NewPCG(5, 6))
	sessions := make([]*Session, 6)
	for i := range sessions {
		sessions[i] = begin(t, s, uint64(i))
	}
	for range 300 {
		i := random.IntN(len(sessions))
		if random.IntN(20) == 0 {
			sessions[i].End()
			sessions[i] = begin(t, s, uint64(i))
		}
		pieces := 1 + random.IntN(3)*7
		has := random.Perm(pieces)[:random.IntN(pieces+1)]
		if err := sessions[i].Announce(nil, time.Time{}, []wire.Offer{parts(pieces, pieces, has...)}); err != nil {
			t.Fatal(err)
		}
		consistent(t, s)
		if t.Failed() {
			return
		}
	}
}
