package tracker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// After each loss of the connection the server is told everything again.
func TestReconnects(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, stop := s.track(nil)
		must(t, tr.Publish(t.Context(), shoal.Public, "one", object(1), nil))
		must(t, tr.Publish(t.Context(), shoal.Public, "two", object(2), nil))
		must(t, tr.Unpublish(t.Context(), shoal.Public, "two", object(2).ID))
		tr.Offer(swarmOf(1), nil)
		tr.Offer(swarmOf(2), nil)
		tr.Withdraw(swarmOf(2))
		must(t, tr.Announced(t.Context()))
		for range 3 {
			s.mu.Lock()
			s.published, s.announced = nil, nil
			s.mu.Unlock()
			s.hangUp()
			s.set(true)
			time.Sleep(time.Minute)
			s.set(false)
			must(t, tr.Ping(t.Context()))
			must(t, tr.Announced(t.Context()))
			synctest.Wait() // names come after offers
			s.mu.Lock()
			if len(s.published) != 1 || s.published[0].Name != "one" || s.published[0].Content != object(1) {
				t.Errorf("published again: %+v", s.published)
			}
			if len(s.announced) != 1 || len(s.announced[0].Candidates) == 0 || len(s.announced[0].Offers) != 1 ||
				s.announced[0].Offers[0].Swarm != swarmOf(1) || s.announced[0].Offers[0].Pieces != 1 {
				t.Errorf("announced again: %+v", s.announced)
			}
			s.mu.Unlock()
		}
		must(t, stop())
	})
}

// A name that was taken away while this process was away is not brought back.
func TestDeletedStaysDeleted(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		must(t, tr.Publish(t.Context(), shoal.Public, "gone", object(1), nil))
		must(t, tr.Publish(t.Context(), shoal.Public, "kept", object(2), nil))
		must(t, tr.Announced(t.Context()))
		s.mu.Lock()
		s.published = nil
		s.mu.Unlock()
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			var l wire.Lookup
			if f.Kind != wire.KindLookup || wire.Decode(slices.Clone(f.Body), &l) != nil {
				return nil, false, false
			}
			return wire.AppendError(nil, f.Kind, f.ID, shoal.NotFound), l.Name == "gone", false
		})
		for range 2 {
			s.hangUp()
			time.Sleep(time.Minute)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.published) != 2 || s.published[0].Name != "kept" || s.published[1].Name != "kept" {
			t.Errorf("published again: %+v", s.published)
		}
	})
}

// A mutation whose answer got lost is asked for again under its number, so that it is done once.
func TestMutationIsRetried(t *testing.T) {
	for name, lose := range map[string]func(f wire.Frame) (reply []byte, done, hangUp bool){
		"closed": func(wire.Frame) ([]byte, bool, bool) { return nil, false, true },
		"stopped": func(wire.Frame) ([]byte, bool, bool) {
			return wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.Busy)), true, false
		},
		"cut": func(wire.Frame) ([]byte, bool, bool) { return []byte{0, 0}, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, s *server) {
				tr, _ := s.track(nil)
				lost := 0
				s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
					if f.Kind == wire.KindPublish && lost < 2 {
						if lost++; name == "cut" {
							time.AfterFunc(time.Second, s.hangUp)
						}
						return lose(f)
					}
					return nil, false, false
				})
				must(t, tr.Publish(t.Context(), shoal.Public, "it", object(1), nil))
				s.mu.Lock()
				defer s.mu.Unlock()
				// When the connection is new there may be another one, to publish again what this has published.
				if n := s.published; len(n) < 3 || n[1].Sequence != n[0].Sequence || n[2].Sequence != n[0].Sequence {
					t.Errorf("asked %+v", s.published)
				}
			})
		})
	}
}

// However many mutations begin at once, each that is sent has a higher number than those before it (rule S1).
func TestMutationsAreSentInOrder(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		must(t, tr.Ping(t.Context()))
		var all sync.WaitGroup
		const many = 500
		for i := range many {
			all.Go(func() {
				must(t, tr.Publish(t.Context(), shoal.Public, shoal.Name(fmt.Sprint(i)), object(1), nil))
			})
		}
		all.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.published) < many || !slices.IsSortedFunc(s.published, func(a, b wire.Publish) int { return cmp.Compare(a.Sequence, b.Sequence) }) {
			t.Errorf("%d were sent, not in the order of their numbers", len(s.published))
		}
	})
}

// An error that the server answers is no reason to ask again; neither is a rule that was broken.
func TestErrorsAreNotRetried(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			switch f.Kind {
			case wire.KindPublish:
				return wire.AppendError(nil, f.Kind, f.ID, shoal.NameTaken), true, false
			case wire.KindList:
				return wire.AppendEvent(nil, wire.KindBye, wire.NewBye(shoal.BadRequest)), true, false
			}
			return nil, false, false
		})
		wantCode(t, tr.Publish(t.Context(), shoal.Public, "it", object(1), nil), shoal.NameTaken)
		_, err := tr.List(t.Context(), shoal.Public)
		wantCode(t, err, shoal.BadRequest)
		must(t, tr.Ping(t.Context())) // perhaps on the link that has just ended, for which it is not to blame
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.published) != 1 {
			t.Errorf("a name that was refused is published again: %+v", s.published)
		}
	})
}

func TestCallsTimeOut(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) { return nil, f.Kind == wire.KindList, false })
		for _, down := range []bool{false, true} {
			if s.set(down); down {
				s.hangUp()
			}
			began := time.Now()
			_, err := tr.List(t.Context(), shoal.Public)
			wantCode(t, err, shoal.Unreachable)
			if !strings.Contains(err.Error(), "server:1 did not answer within 20s") || time.Since(began) != callTimeout {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := tr.Announced(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("without a server: %v", err)
		}
	})
}

// A server that must not be trusted is not asked again, and everybody who waits is told.
func TestUntrusted(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		refuse := false
		var mu sync.Mutex
		tr, stop := s.track(func(*wire.HelloReply) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse {
				return shoal.Errorf(shoal.Untrusted, "another realm")
			}
			return nil
		})
		must(t, tr.Ping(t.Context()))
		s.set(true)
		s.hangUp()
		waiting := make(chan error, 1)
		go func() { waiting <- tr.Ping(t.Context()) }()
		synctest.Wait()
		mu.Lock()
		refuse = true
		mu.Unlock()
		s.set(false)
		wantCode(t, <-waiting, shoal.Untrusted)
		wantCode(t, tr.Ping(t.Context()), shoal.Untrusted)
		wantCode(t, stop(), shoal.Untrusted)
	})
}

// A server that hangs up at once is tried more and more seldom.
func TestServerThatHangsUp(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		s.answerBy(func(wire.Frame) ([]byte, bool, bool) { return nil, false, true })
		s.track(nil)
		time.Sleep(time.Minute)
		if n := s.connections(); n < 5 || n > 40 {
			t.Errorf("%d connections in a minute", n)
		}
	})
}

// Candidates are signed anew before they expire, and the server hears of nothing twice.
func TestCandidatesAreRenewed(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		s.set(true)
		tr, _ := s.track(nil)
		tr.Offer(swarmOf(1), nil) // before there is a connection, so that it goes with the candidates
		s.set(false)
		must(t, tr.Announced(t.Context()))
		time.Sleep(2*candidateLife + time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.announced) != 5 {
			t.Fatalf("announced %d times", len(s.announced))
		}
		for _, a := range s.announced[1:] {
			if len(a.Candidates) == 0 || len(a.Offers) != 0 {
				t.Errorf("announced %+v", a)
			}
		}
		if until, err := identity.Expires(s.announced[4].Candidates); err != nil || !until.After(time.Now()) {
			t.Errorf("they expire at %v: %v", until, err)
		}
	})
}

// More than a frame holds, and an error that is none of the connection.
func TestManyOffers(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		first := true
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			if f.Kind == wire.KindAnnounce && first {
				first = false
				return wire.AppendError(nil, f.Kind, f.ID, shoal.Limit), true, false
			}
			return nil, false, false
		})
		for i := range 2*wire.MaxOffers + 1 {
			sw := swarmOf(1)
			sw.Object.Size = int64(i)
			tr.Offer(sw, nil)
		}
		must(t, tr.Announced(t.Context()))
		s.mu.Lock()
		defer s.mu.Unlock()
		seen := map[shoal.Swarm]bool{}
		for _, a := range s.announced {
			for _, o := range a.Offers {
				seen[o.Swarm] = true
			}
		}
		if len(seen) != 2*wire.MaxOffers+1 || len(s.conns) != 1 {
			t.Errorf("%d offers over %d connections", len(seen), len(s.conns))
		}
	})
}

// The server is believed only what was asked.
func TestLookup(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		device, other := identity.NewKey(), identity.NewKey()
		at := func(port uint16, sec wire.Security) identity.Candidate {
			return identity.Candidate{Security: sec, Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
		}
		sign := func(k *identity.Key, c ...identity.Candidate) []byte {
			return identity.SignCandidates(k, c, time.Now(), time.Hour)
		}
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			return wire.AppendReply(nil, f.Kind, f.ID, &wire.LookupReply{Name: "it", Content: object(1), Sources: []wire.Source{
				{Device: device.Device(), Session: 1, Pieces: 1, Candidates: sign(device, at(1, wire.TLS), at(2, wire.Plaintext))},
				{Device: device.Device(), Session: 2, Pieces: 1, Candidates: sign(other, at(3, wire.Plaintext))}, // not by the device
				{Device: device.Device(), Session: 3, Pieces: 1, Candidates: sign(device, at(4, wire.TLS))},      // rule C3
				{Device: device.Device(), Session: 4, Pieces: 1, Candidates: []byte{1, 2, 3}},
			}}), f.Kind == wire.KindLookup, false
		})
		found, err := tr.LookupName(t.Context(), shoal.Public, "it")
		must(t, err)
		if len(found.Sources) != 1 || found.Sources[0].Session != 1 || !slices.Equal(found.Sources[0].Addresses, []identity.Candidate{at(2, wire.Plaintext)}) {
			t.Errorf("found %+v", found)
		}
		_, err = tr.LookupName(t.Context(), shoal.Public, "other")
		wantCode(t, err, shoal.Untrusted)
		_, err = tr.LookupFile(t.Context(), shoal.Public, object(2).ID)
		wantCode(t, err, shoal.Untrusted)
		_, err = tr.LookupFile(t.Context(), shoal.Public, object(1).ID)
		must(t, err)
	})
}

func TestStopWithoutServer(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		s.set(true)
		tr, stop := s.track(nil)
		wantCode(t, tr.Connect(t.Context()), shoal.Unreachable)
		must(t, stop())
	})
}
