package soap

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

var errAway = shoal.Errorf(shoal.Unreachable, "away")

// service is what a Breaker calls in tests.
type service struct {
	err   error
	calls int
}

func (s *service) call(context.Context) error {
	s.calls++
	return s.err
}

// opened returns a breaker that has just opened, and how often that took a call.
func opened(t *testing.T) (*Breaker, *service) {
	t.Helper()
	b, s := NewBreaker(DefaultBackoff), &service{err: errAway}
	for range DefaultBackoff.Failures {
		if err := b.Do(t.Context(), s.call); !errors.Is(err, errAway) {
			t.Fatal(err)
		}
	}
	if err := b.Do(t.Context(), s.call); !errors.Is(err, ErrOpen) || s.calls != DefaultBackoff.Failures {
		t.Fatalf("%v after %d calls", err, s.calls)
	}
	return b, s
}

func TestBreakerOpensOnlyForFailuresInARow(t *testing.T) {
	b, s := NewBreaker(DefaultBackoff), &service{}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		for range DefaultBackoff.Failures - 1 {
			s.err = errAway
			_ = b.Do(t.Context(), s.call)
			s.err = context.Canceled
			_ = b.Do(canceled, s.call) // says nothing
		}
		s.err = shoal.Errorf(shoal.BadRequest, "wrong") // was served
		if err := b.Do(t.Context(), s.call); !errors.Is(err, shoal.BadRequest) {
			t.Fatal(err)
		}
	}
	if want := 10 * (2*(DefaultBackoff.Failures-1) + 1); s.calls != want {
		t.Errorf("%d calls, want %d", s.calls, want)
	}
}

func TestBreakerBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := opened(t)
		for pause := DefaultBackoff.First; ; pause = min(2*pause, DefaultBackoff.Longest) {
			began := time.Now()
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited < pause/2 || waited > pause+time.Microsecond {
				t.Fatalf("it stayed open for %v of %v", waited, pause)
			}
			calls := s.calls
			if pause == DefaultBackoff.Longest {
				break
			}
			_ = b.Do(t.Context(), s.call)
			if err := b.Do(t.Context(), s.call); s.calls != calls+1 || !errors.Is(err, ErrOpen) {
				t.Fatalf("%d trials, then %v", s.calls-calls, err)
			}
		}
		s.err = nil
		for range 5 {
			if err := b.Do(t.Context(), s.call); err != nil {
				t.Fatal(err)
			}
		}
		// And the next pause is a short one again.
		s.err = errAway
		for range DefaultBackoff.Failures {
			_ = b.Do(t.Context(), s.call)
		}
		began := time.Now()
		if err := b.Wait(t.Context()); err != nil || time.Since(began) > DefaultBackoff.First+time.Microsecond {
			t.Errorf("it stayed open for %v, %v", time.Since(began), err)
		}
	})
}

func TestBreakerTriesOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := opened(t)
		time.Sleep(DefaultBackoff.First)
		answer := make(chan error)
		trial := make(chan error)
		go func() { trial <- b.Do(t.Context(), func(context.Context) error { return <-answer }) }()
		synctest.Wait()
		calls := s.calls
		if err := b.Do(t.Context(), s.call); !errors.Is(err, ErrOpen) || s.calls != calls {
			t.Errorf("a second trial: %v", err)
		}
		waited := make(chan error)
		go func() { waited <- b.Wait(t.Context()) }()
		synctest.Wait()
		select {
		case <-waited:
			t.Error("the trial was not waited for")
		default:
		}
		answer <- nil
		if err := <-trial; err != nil {
			t.Error(err)
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
		s.err = nil
		if err := b.Do(t.Context(), s.call); err != nil {
			t.Errorf("after a good trial: %v", err)
		}
	})
}

func TestBreakerForgetsATrialThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := opened(t)
		time.Sleep(DefaultBackoff.First)
		ctx, cancel := context.WithCancel(t.Context())
		err := b.Do(ctx, func(ctx context.Context) error {
			cancel()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = b.Do(t.Context(), func(context.Context) error { panic("half-way") })
		}()
		s.err = nil
		time.Sleep(2 * DefaultBackoff.First)
		if err := b.Do(t.Context(), s.call); err != nil {
			t.Errorf("the next trial: %v", err)
		}
	})
}

func TestBreakerWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _ := opened(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
