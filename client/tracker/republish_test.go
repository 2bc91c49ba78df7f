package tracker

import (
	"slices"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

// What changes while a new connection is told everything again counts: a name that is taken away just then is not brought
// back, and one that is given to something else is not forgotten.
func TestChangesWhileToldAgain(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, _ := s.track(nil)
		must(t, tr.Publish(t.Context(), shoal.Public, "gone", object(1), nil))
		must(t, tr.Publish(t.Context(), shoal.Public, "other", object(2), nil))
		must(t, tr.Announced(t.Context()))
		reset := func() (published []wire.Publish) {
			s.mu.Lock()
			defer s.mu.Unlock()
			published, s.published = s.published, nil
			return published
		}
		reset()
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			var l wire.Lookup
			if f.Kind != wire.KindLookup || wire.Decode(slices.Clone(f.Body), &l) != nil {
				return nil, false, false
			}
			if l.Name == "gone" { // it is there still, and UNPUBLISH is on its way
				tr.Forget(shoal.Public, "gone")
				return nil, false, false
			}
			tr.Restore(shoal.Public, "other", object(3), nil)
			return wire.AppendError(nil, f.Kind, f.ID, shoal.NotFound), true, false
		})
		s.hangUp()
		time.Sleep(time.Minute)
		if published := reset(); len(published) != 0 {
			t.Errorf("published again: %+v", published)
		}
		s.answerBy(nil)
		s.hangUp()
		time.Sleep(time.Minute)
		if published := reset(); len(published) != 1 || published[0].Content != object(3) {
			t.Errorf("published again after that: %+v", published)
		}
	})
}
