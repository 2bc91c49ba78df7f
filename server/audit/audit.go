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
	// countEvery is how often reads are counted, and what strangers were refused.
	countEvery = time.Minute
	// mostStrangers is how many events of strangers are written one by one in a second.
	mostStrangers = 20
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

	second    int64 // since 1970, that strangers counts
	strangers int   // events of theirs
	omitted   int   // of these, since the last minute, that are not written one by one

	reads reads

	unstamped bool // the last batch was; Run's
}

// line is what one line of the log will say: an event, how many were lost in this place, or what a device has read.
type line struct {
	event   Event
	lost    int
	omitted int // events of strangers
	read    *count
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

// RecordStranger is Record for what somebody did who has proven nothing. Most of what comes beyond a few a second is only
// counted: else who greets without end would push everything else out of the log.
func (l *Log) RecordStranger(e Event) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if now := e.Begin.Add(e.Duration).Unix(); now != l.second {
		l.second, l.strangers = now, 0
	}
	l.strangers++
	over := l.strangers > mostStrangers
	if over {
		l.omitted++
	}
	l.mu.Unlock()
	if !over {
		l.Record(e)
	}
}

// count is what was only counted.
func (l *Log) count(now time.Time) []line {
	lines := l.reads.collect(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.omitted > 0 {
		lines = append(lines, line{omitted: l.omitted, event: Event{Begin: now}})
		l.omitted = 0
	}
	return lines
}

// Run writes until ctx ends, and then what is left, without waiting for the enrichment service. What is recorded later is
// not written.
func (l *Log) Run(ctx context.Context) {
	minute := time.NewTicker(countEvery)
	defer minute.Stop()
	for {
		select {
		case <-l.wake:
			l.write(ctx, l.take())
		case now := <-minute.C:
			l.write(ctx, l.count(now))
		case <-ctx.Done():
			l.write(ctx, append(l.take(), l.count(time.Now())...))
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
