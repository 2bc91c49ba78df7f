// Package audit writes down who did what to what, with which outcome, from where and how long it took: mutations,
// refusals and connections one by one, reads as counts per device and minute. Whoever has something to say leaves it and
// goes on; one goroutine asks the enrichment service for numbers and the time, and writes to the log.
package audit

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/soap"
)

const (
	// maxQueue is how many events wait at most; each takes some 300 bytes.
	maxQueue = 32_768
	// stampTimeout is how long the enrichment service may take for a batch.
	stampTimeout = time.Second
	// readsEvery is how often reads are counted.
	readsEvery = time.Minute
)

// backoff gives up a service at its first failure: all it costs is the mark that a time is the server's own.
var backoff = soap.Backoff{Failures: 1, First: time.Second, Longest: 30 * time.Second}

// Stamper gives a batch of count events the time and a range of numbers.
type Stamper interface {
	Stamp(ctx context.Context, count int) (soap.Stamp, error)
}

// Event is one thing that was done or refused. What does not apply is empty or zero.
type Event struct {
	Device    shoal.DeviceID // who
	Operation string         // what
	Object    string         // on what
	Content   shoal.Object   // what that is
	Err       error          // the outcome; nil for ok
	Remote    string         // from where
	Session   uint64
	Begin     time.Time // when
	Duration  time.Duration
}

// Log takes events. Run must be called for them to be written. For concurrent use; a nil Log takes nothing.
type Log struct {
	log     zerolog.Logger
	stamper Stamper // nil for none
	breaker *soap.Breaker
	wake    chan struct{} // capacity 1: the queue is not empty

	mu    sync.Mutex // guards what is below
	queue []line
	limit int // of the queue

	reads reads

	unstamped bool // the last batch was; Run's
}

// line is what one line of the log will say: an event, how many were lost in this place, or what a device has read.
type line struct {
	event Event
	lost  int
	read  *count
}

// New makes a Log that writes to log. Without a stamper, times are the server's own.
func New(log zerolog.Logger, stamper Stamper) *Log {
	return &Log{
		log: log, stamper: stamper, breaker: soap.NewBreaker(backoff), wake: make(chan struct{}, 1), limit: maxQueue,
		reads: newReads(),
	}
}

// Record takes an event. It does not wait: where the queue is full, the event is counted as lost.
func (l *Log) Record(e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	last := len(l.queue) - 1
	switch {
	case last+1 < l.limit:
		l.queue = append(l.queue, line{event: e})
	case l.queue[last].lost > 0:
		l.queue[last].lost++
	default:
		l.queue = append(l.queue, line{lost: 1, event: Event{Begin: e.Begin}})
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends, and then what is left, without waiting for the enrichment service. What is recorded later is
// not written.
func (l *Log) Run(ctx context.Context) {
	minute := time.NewTicker(readsEvery)
	defer minute.Stop()
	for {
		select {
		case <-l.wake:
			l.write(ctx, l.take())
		case now := <-minute.C:
			l.write(ctx, l.reads.collect(now))
		case <-ctx.Done():
			l.write(ctx, append(l.take(), l.reads.collect(time.Now())...))
			return
		}
	}
}

// take empties the queue.
func (l *Log) take() []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.queue
	l.queue = nil
	return lines
}

// stamp is the time and the first number of a batch; nil where the enrichment service did not give them.
func (l *Log) stamp(ctx context.Context, count int) *soap.Stamp {
	if l.stamper == nil || ctx.Err() != nil {
		return nil
	}
	var stamp soap.Stamp
	err := l.breaker.Do(ctx, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, stampTimeout)
		defer cancel()
		stamp, err = l.stamper.Stamp(ctx, count)
		return err
	})
	if unstamped := err != nil; unstamped != l.unstamped {
		l.unstamped = unstamped
		if unstamped {
			l.log.Warn().Err(err).Msg("the enrichment service gives no stamps; until it does, times are the server's own")
		} else {
			l.log.Info().Msg("the enrichment service gives stamps again")
		}
	}
	if err != nil {
		return nil
	}
	return &stamp
}
