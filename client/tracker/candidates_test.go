package tracker

import (
	"bytes"
	"testing"
	"time"

	"shoal/identity"
)

// A device signs anew where it is before what it has signed expires, whether there is a server or not.
func TestCandidatesWithoutServer(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, stop := s.track(nil)
		must(t, tr.Ping(t.Context()))
		first := tr.Candidates()
		s.set(true)
		s.hangUp()
		for range 50 {
			got, err := identity.VerifyCandidates(tr.Candidates(), tr.config.Key.Device(), tr.Now().Add(candidateLife/2-time.Millisecond))
			if err != nil || len(got) != 1 {
				t.Fatalf("%v: %v", got, err)
			}
			time.Sleep(7 * time.Minute)
		}
		if again := tr.Candidates(); bytes.Equal(again, first) || !bytes.Equal(again, tr.Candidates()) {
			t.Error("it is signed never, or always")
		}
		must(t, stop())
	})
	if tr := New(Config{}); tr.Candidates() != nil {
		t.Error("one who serves nothing is somewhere")
	}
}
