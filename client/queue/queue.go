// Package queue keeps the downloads that were handed to a daemon: some at a time run, first in, first out; what fails is
// tried again, later and later; what was accepted is not lost, whatever becomes of the process.
//
//	Add ──► Queued ──► Running ──► Done
//	          ▲  ▲        │  │
//	   Resume │  └────────┘  └──► Failed ── Resume ──► Queued
//	          │  what passes, with backoff
//	        Paused
package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/peer"
)

// Reporter takes what a download has to tell while it runs.
type Reporter interface {
	// Found is told once what will be fetched, and where to.
	Found(name shoal.Name, o shoal.Object, path string)
	// Report is told how far it is, several times a second, never concurrently.
	Report(peer.Status)
}

// Outcome is what became of a download that is there.
type Outcome struct {
	Present  bool  // it was there before
	Served   bool  // it is served on
	Unserved error // why it is not
}

// Config is what a Queue starts from.
type Config struct {
	Path   string // of its file, in a folder that is there
	AtOnce int    // how many downloads run at a time, 1 or more
	// Fetch fulfils a wish. When ctx ends it returns soon, and what has come is kept for the next time.
	Fetch func(ctx context.Context, w Wish, r Reporter) (Outcome, error)
	// Discard removes what an unfinished download left on disk. It is not being fetched then.
	Discard func(Download) error
	Log     zerolog.Logger
}

// Queue is the downloads of a daemon. Open makes it, Run works it off. The other methods may be called from any goroutine;
// they wait until Run has done what they ask for.
type Queue struct {
	config  Config
	journal *journal
	calls   chan func()
	news    chan news
	over    chan struct{} // closed when Run has returned

	// Run's goroutine owns the rest.

	all      []*entry // in the order of their IDs
	pending  map[Wish]*entry
	running  int
	finished int
	changed  chan struct{} // closed, and another one, when anything but progress changes
	runs     sync.WaitGroup
}

// entry is a download, and its run while there is one.
type entry struct {
	Download
	run *run
}

// news is what a run has to tell: what was found, or that it has ended.
type news struct {
	run     *run
	found   *found
	outcome Outcome
	err     error
}

type found struct {
	name   shoal.Name
	object shoal.Object
	path   string
}

// Open reads what is queued. Damaged entries are left out, and logged. Errors have the code Busy when another process has
// the file open, Unsupported when a newer program wrote it, Corrupt when it is no queue, NoSpace when the disk is full.
func Open(c Config) (*Queue, error) {
	j, err := openJournal(c.Path)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		config: c, journal: j, calls: make(chan func()), news: make(chan news), over: make(chan struct{}), pending: map[Wish]*entry{},
		changed: make(chan struct{}),
	}
	downloads, err := j.all()
	if err != nil && !errors.Is(err, shoal.Corrupt) {
		return nil, errors.Join(err, j.close())
	}
	if err != nil {
		c.Log.Error().Err(err).Msg("no longer queued")
	}
	for _, d := range downloads {
		d.Retry = time.Time{} // to begin anew is a good reason to try
		q.insert(&entry{Download: *d})
	}
	return q, nil
}

// Run downloads what is queued until ctx ends; then it waits for what runs to end. What has come is kept.
func (q *Queue) Run(ctx context.Context) {
	defer close(q.over)
	for _, e := range append([]*entry(nil), q.all...) {
		if e.State == Canceling { // the process ended before it was through with that
			q.discard(e)
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait, waits := q.fill(ctx); waits {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case do := <-q.calls:
			do()
		case n := <-q.news:
			q.hear(n)
		case <-timer.C:
		case <-ctx.Done():
			q.drain()
			return
		}
	}
}

// Close gives the file back. Run must have returned, or not have been called.
func (q *Queue) Close() error { return q.journal.close() }

// drain waits for all runs to end, whose context has ended.
func (q *Queue) drain() {
	for q.running > 0 {
		q.hear(<-q.news)
	}
	q.runs.Wait()
}

// ask has Run's goroutine carry out do.
func (q *Queue) ask(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	select {
	case q.calls <- func() { done <- do() }:
		return <-done
	case <-q.over:
		return shoal.Errorf(shoal.Unreachable, "the peer is about to end; ask again when it runs")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tell wakes who waits for a change.
func (q *Queue) tell() {
	close(q.changed)
	q.changed = make(chan struct{})
}
