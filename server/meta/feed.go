package meta

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// Event is one change.
type Event struct {
	Record  Record // as it is now; of one that is deleted, what its key says
	Deleted bool
}

// Sink keeps the state in memory. Its methods are called by one goroutine, in the order of the revisions. What it is given
// is its own.
type Sink interface {
	// Replace takes a whole state, which is the one at the revision, in place of what there was: what the changes make of
	// nothing, though what is deleted may never have been put. It may be called again at any time. Reading the sequence
	// reads from etcd, so it takes time; it may end with an error, which Replace must return, leaving what there was as it
	// was.
	Replace(all iter.Seq2[Event, error], revision uint64) error
	// Apply takes changes that happened since, all those up to the revision. Those of one mutation are never apart.
	Apply(events []Event, revision uint64)
}

// Feed brings the state and all its changes to a sink. Run must run for the other methods to be of use; all of them may be
// called concurrently.
type Feed struct {
	s    *Store
	sink Sink

	mu      sync.Mutex // guards what is below
	applied uint64     // revision of what the sink has
	moved   chan struct{}
	next    *round // that who asks now waits for

	kick      chan struct{} // holds one when next is wanted
	confirmed atomic.Int64  // nanoseconds since 1970, 0 for never
}

const (
	// confirmEvery is how often the state is confirmed where nobody asks.
	confirmEvery = time.Second
	// roundLimit is how long asking etcd for its revision may take.
	roundLimit = 5 * time.Second
	// relist is how long to wait after etcd failed before asking for all again.
	relist = 100 * time.Millisecond
)

// NewFeed returns a feed for the sink, which has nothing until Run is called.
func (s *Store) NewFeed(sink Sink) *Feed {
	return &Feed{s: s, sink: sink, moved: make(chan struct{}), kick: make(chan struct{}, 1)}
}

// Run feeds the sink until ctx ends, however often etcd fails. Otherwise it returns an error only for what this version
// cannot read (codes Unsupported and Corrupt): then the sink's state must not be used any more.
func (f *Feed) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	run.Go(func() { f.answerRounds(ctx) })
	run.Go(func() { f.keepConfirming(ctx) })
	for {
		err := f.follow(ctx)
		if code := shoal.CodeOf(err); code == shoal.Unsupported || code == shoal.Corrupt {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		f.s.log.Warn().Err(err).Msg("the feed of changes broke off; listing all again")
		if !sleep(ctx, relist) {
			return nil
		}
	}
}

// follow lists and watches until something fails.
func (f *Feed) follow(ctx context.Context) error {
	r, err := f.s.client.Get(ctx, f.s.full(versionKey))
	if err != nil {
		return err
	}
	at := r.Header.Revision
	if err := f.sink.Replace(f.s.list(ctx, at), f.s.revision(at)); err != nil {
		return err
	}
	f.reach(f.s.revision(at))
	// A watch of its own, so that it ends with this call.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := f.s.client.Watch(requireLeader(ctx), f.s.prefix, clientv3.WithPrefix(), clientv3.WithRev(at+1), clientv3.WithFragment())
	for response := range changes {
		if err := response.Err(); err != nil {
			return err
		}
		if err := f.apply(&response); err != nil {
			return err
		}
	}
	return errors.New("the watch ended")
}

// apply passes a response on.
func (f *Feed) apply(r *clientv3.WatchResponse) error {
	if len(r.Events) == 0 {
		return nil
	}
	at := r.Events[len(r.Events)-1].Kv.ModRevision
	events := make([]Event, 0, len(r.Events))
	for _, e := range r.Events {
		event, err := f.s.event(e)
		if err != nil {
			return err
		}
		if event.Record != nil {
			events = append(events, event)
		}
	}
	if len(events) > 0 {
		f.sink.Apply(events, f.s.revision(at))
	}
	f.reach(f.s.revision(at))
	return nil
}

// event decodes a change; Record is nil where it is none of a Record.
func (s *Store) event(e *clientv3.Event) (Event, error) {
	return decodeEvent(s.short(e.Kv.Key), e.Kv.Value, e.Type == clientv3.EventTypeDelete)
}

func decodeEvent(k key, value []byte, deleted bool) (Event, error) {
	switch {
	case deleted:
		r, err := parseKey(k)
		return Event{r, true}, err
	case k == versionKey:
		_, err := decodeVersion(value)
		return Event{}, err
	}
	r, err := decodeRecord(k, value)
	return Event{Record: r}, err
}

// reach notes that the sink has the revision.
func (f *Feed) reach(revision uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if revision <= f.applied {
		return
	}
	f.applied = revision
	close(f.moved)
	f.moved = make(chan struct{})
}

// Revision returns the revision of what the sink has, 0 before it has anything.
func (f *Feed) Revision() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// WaitFor returns when the sink has what there is at the revision. The error is that of ctx.
func (f *Feed) WaitFor(ctx context.Context, revision uint64) error {
	for {
		f.mu.Lock()
		there, moved := f.applied >= revision, f.moved
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sleep waits, and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// requireLeader makes a watch end where its server has lost the others.
func requireLeader(ctx context.Context) context.Context { return clientv3.WithRequireLeader(ctx) }
