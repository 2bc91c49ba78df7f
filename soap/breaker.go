package soap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"shoal"
)

// ErrOpen is what Do returns when it does not call, because the last calls failed.
var ErrOpen = errors.New("not called, because the last calls failed")

// Backoff says when a Breaker stops calling, and for how long.
type Backoff struct {
	Failures int           // in a row, after which it opens
	First    time.Duration // that it stays open at first; doubled after each trial that fails
	Longest  time.Duration // that it stays open at most
}

// DefaultBackoff is for a service that a queue calls: what is pending is asked again within half a minute of its return.
var DefaultBackoff = Backoff{Failures: 3, First: 500 * time.Millisecond, Longest: 30 * time.Second}

// Breaker stands between callers and a service that may not be there. It is closed (calls go through) until several in
// a row fail; then it is open (none do) for a while, different each time so that those who wait do not come at once; and
// then half-open: one call goes through as a trial, which closes or opens it again. For concurrent use.
type Breaker struct {
	backoff Backoff

	mu       sync.Mutex // guards what is below
	failures int        // in a row
	until    time.Time  // it is open up to here; zero when it is closed
	trial    bool       // one is under way
	pause    time.Duration
	changed  chan struct{} // closed and replaced when a trial ends
}

// NewBreaker makes a closed Breaker.
func NewBreaker(b Backoff) *Breaker {
	return &Breaker{backoff: b, changed: make(chan struct{})}
}

// Do calls call and returns its error, or ErrOpen without calling. That the call was refused as wrong in itself
// (shoal.BadRequest) or given up by ctx is no failure of the service.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {
	trial, err := b.enter()
	if err != nil {
		return err
	}
	served, verdict := false, false
	defer func() { b.leave(trial, served, verdict) }()
	err = call(ctx)
	served = err == nil || shoal.CodeOf(err) == shoal.BadRequest
	verdict = served || ctx.Err() == nil
	return err
}

// enter lets a call in, as a trial if the breaker has been open for long enough. The error is ErrOpen.
func (b *Breaker) enter() (trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return false, nil
	}
	if wait := time.Until(b.until); wait > 0 {
		return false, fmt.Errorf("%w; the next is possible in %v", ErrOpen, wait.Round(time.Millisecond))
	}
	if b.trial {
		return false, fmt.Errorf("%w; one is under way to see whether that goes on", ErrOpen)
	}
	b.trial = true
	return true, nil
}

// leave notes how a call ended. Without a verdict nothing is known of the service.
func (b *Breaker) leave(trial, served, verdict bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trial = false
		close(b.changed)
		b.changed = make(chan struct{})
	}
	switch {
	case !verdict:
	case served && (trial || b.until.IsZero()):
		b.failures, b.pause, b.until = 0, 0, time.Time{}
	case served: // a call that began before it opened; the trial will tell
	case trial:
		b.open()
	case b.until.IsZero():
		if b.failures++; b.failures >= b.backoff.Failures {
			b.open()
		}
	}
}

// open opens the breaker for between half of the pause that is due and all of it.
func (b *Breaker) open() {
	b.pause = min(max(2*b.pause, b.backoff.First), b.backoff.Longest)
	b.until = time.Now().Add(b.pause/2 + rand.N(b.pause/2+1))
}

// Wait returns when Do would call, as far as can be known before: another caller may be faster. The error is ctx's.
func (b *Breaker) Wait(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, changed := b.waiting()
		if changed == nil {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// waiting says for how long Do will not call, and what ends that before; nil when it would call now.
func (b *Breaker) waiting() (time.Duration, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return 0, nil
	}
	wait := time.Until(b.until)
	switch {
	case wait > 0:
		return wait, b.changed
	case b.trial:
		return time.Hour, b.changed
	}
	return 0, nil
}
