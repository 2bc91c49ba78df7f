package meta

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// TestFollow compares what a feed brought, from the beginning and from the middle, with what is there.
func TestFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	early, late := newState(), newState()
	first := follow(t, w.Store, early)
	w.users("ann", "bob", "cat")
	w.group("lab", map[int]Username{2: "bob", 3: "cat"})
	for i := range 50 {
		w.ok(1+i%3, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint("file ", i)), Content: file(i)})
	}
	second := follow(t, w.Store, late)
	var run sync.WaitGroup
	for user := 1; user <= 3; user++ {
		run.Go(func() {
			for i := user; i < 50; i += 2 {
				name := shoal.Name(fmt.Sprint("file ", i))
				o, err := w.apply(user, &Publish{Group: "lab", Name: name, Content: file(i)})
				if err != nil {
					t.Errorf("publishing: %v", err)
				}
				// A mutation is seen when its revision is there.
				if err := first.WaitFor(t.Context(), o.Revision); err != nil || early.at(objectKey("lab", name)) == nil {
					t.Errorf("%v, and the name is not there", err)
				}
				if i%5 == 0 {
					w.apply(user, &StopShare{Group: "lab", Name: name, File: file(i).ID})
				}
			}
		})
	}
	run.Wait()
	w.ok(2, &LeaveGroup{Group: "lab"})
	last := w.ok(3, &DeleteUser{User: "cat"})
	if err := w.clearDeparted(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := w.all()
	for i, f := range []*Feed{first, second} {
		if err := errors.Join(f.WaitFor(t.Context(), last.Revision), f.Barrier(t.Context())); err != nil {
			t.Fatal(err)
		}
		got := []*state{early, late}[i]
		if !reflect.DeepEqual(got.records, want.records) {
			t.Errorf("feed %d brought %d records, there are %d", i, len(got.records), len(want.records))
		}
		if !slices.IsSorted(got.applied) {
			t.Errorf("feed %d: revisions %d", i, got.applied)
		}
	}
}

// TestCompacted forgets what a feed waits for: it gets a whole state anew.
func TestCompacted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	sink := &slow{state: newState(), stop: make(chan struct{}), stopped: make(chan struct{})}
	f := follow(t, w.Store, sink)
	<-sink.stopped // between list and watch
	for i := range 20 {
		w.ok(1, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint(i)), Content: file(i)})
	}
	o := w.ok(1, &Unpublish{Group: "lab", Name: "7", File: file(7).ID})
	if err := w.compact(t.Context(), int64(o.Revision-w.base)); err != nil {
		t.Fatal(err)
	}
	close(sink.stop)
	if err := f.WaitFor(t.Context(), o.Revision); err != nil {
		t.Fatal(err)
	}
	if got := sink.keys("o/"); len(got) != 19 || sink.replaced != 2 {
		t.Errorf("objects %q after %d states", got, sink.replaced)
	}
	// And it goes on.
	o = w.ok(1, &Publish{Group: "lab", Name: "new", Content: file(7)})
	if err := f.WaitFor(t.Context(), o.Revision); err != nil || sink.at(objectKey("lab", "new")) == nil {
		t.Errorf("the feed ended: %v", err)
	}
}

// slow is a sink that stops after its first state until it is let go.
type slow struct {
	*state
	stop, stopped chan struct{}
	once          sync.Once
}

func (s *slow) Replace(all iter.Seq2[Event, error], revision uint64) error {
	err := s.state.Replace(all, revision)
	s.once.Do(func() { close(s.stopped); <-s.stop })
	return err
}

// broken fails to read as long as it is told to.
type broken struct {
	clientv3.KV
	mu   sync.Mutex
	down bool // guarded by mu
	gets int  // likewise
}

func (b *broken) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *broken) Get(ctx context.Context, key string, o ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	b.mu.Lock()
	down := b.down
	b.gets++
	b.mu.Unlock()
	if down {
		return nil, errors.New("no quorum")
	}
	return b.KV.Get(ctx, key, o...)
}

// TestBarrier reads what was acknowledged before, and says when that cannot be confirmed.
func TestBarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	client := clientv3.NewCtxClient(t.Context())
	kv := &broken{KV: w.client.KV}
	client.KV, client.Watcher = kv, w.client.Watcher
	s := another(t, w.Store)
	s.client = client
	sink := newState()
	f := follow(t, s, sink)
	if !f.Confirmed().IsZero() && f.Revision() == 0 {
		t.Error("confirmed before there is anything")
	}
	before := time.Now()
	var run sync.WaitGroup
	for i := range 200 {
		run.Go(func() {
			name := shoal.Name(fmt.Sprint(i))
			w.ok(1, &Publish{Group: "lab", Name: name, Content: file(i)})
			if err := f.Barrier(t.Context()); err != nil || sink.at(objectKey("lab", name)) == nil {
				t.Errorf("the name is not there: %v", err)
			}
		})
	}
	run.Wait()
	if c := f.Confirmed(); c.Before(before) || c.After(time.Now()) {
		t.Errorf("confirmed at %v, want since %v", c, before)
	}
	if kv.gets > 220 {
		t.Errorf("%d reads for 200 barriers", kv.gets)
	}
	kv.set(true)
	checkRefusal(t, f.Barrier(t.Context()), shoal.Unreachable, "quorum")
	at := f.Confirmed()
	checkRefusal(t, f.Barrier(t.Context()), shoal.Unreachable)
	if got := f.Confirmed(); !got.Equal(at) {
		t.Errorf("confirmed at %v without an answer, before at %v", got, at)
	}
	kv.set(false)
	if err := f.Barrier(t.Context()); err != nil || !f.Confirmed().After(at) {
		t.Errorf("%v; confirmed at %v", err, f.Confirmed())
	}
}

// TestBrokenFeed fails while a state is listed: what there was stays until a whole one is there.
func TestBrokenFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	client := clientv3.NewCtxClient(t.Context())
	kv := &broken{KV: w.client.KV, down: true}
	client.KV, client.Watcher = kv, w.client.Watcher
	s := another(t, w.Store)
	s.client = client
	sink := newState()
	f := follow(t, s, sink)
	checkRefusal(t, f.Barrier(t.Context()), shoal.Unreachable)
	if sink.replaced != 0 || f.Revision() != 0 {
		t.Errorf("%d states, revision %d", sink.replaced, f.Revision())
	}
	kv.set(false)
	if err := f.WaitFor(t.Context(), 2); err != nil || sink.at(userKey("ann")) == nil {
		t.Errorf("the user is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.WaitFor(ctx, 1<<60); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting in vain: %v", err)
	}
}
