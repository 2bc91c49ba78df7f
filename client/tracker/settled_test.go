package tracker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"shoal/wire"
)

// Settled waits for the server's answer to all offers, but not for a server that is away.
func TestSettled(t *testing.T) {
	within(t, func(t *testing.T, s *server) {
		tr, stop := s.track(nil)
		must(t, tr.Ping(t.Context()))
		hold := make(chan struct{})
		s.answerBy(func(f wire.Frame) ([]byte, bool, bool) {
			if f.Kind == wire.KindAnnounce {
				<-hold
			}
			return nil, false, false
		})
		tr.Offer(swarmOf(1), nil)
		settled := make(chan error, 1)
		wait := func() { settled <- tr.Settled(t.Context()) }
		go wait()
		time.Sleep(time.Second)
		if len(settled) > 0 {
			t.Fatal("settled before the offers were answered")
		}
		close(hold)
		must(t, <-settled)

		hold = make(chan struct{})
		tr.Offer(swarmOf(2), nil)
		go wait()
		synctest.Wait()
		if len(settled) > 0 {
			t.Fatal("settled before the offers were answered again")
		}
		s.set(true)
		s.hangUp() // it ends while an answer is waited for
		close(hold)
		must(t, <-settled)
		must(t, tr.Settled(t.Context())) // nobody is there

		s.answerBy(nil)
		s.set(false)
		must(t, tr.Ping(t.Context()))
		must(t, tr.Settled(t.Context()))
		must(t, stop())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		must(t, tr.Settled(ctx))
	})
}
