package meta

import (
	"context"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
)

func TestMain(m *testing.M) {
	if run := os.Getenv(childEnv); run != "" {
		child(run)
		return
	}
	goleak.VerifyTestMain(m)
}

// open starts a store in a folder until the test ends.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Log: testLog(t), Free: plenty})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func plenty(string) (uint64, error) { return 1 << 40, nil }

// testLog passes on what is an error.
func testLog(t testing.TB) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
}

// device makes a key that stands for the n-th device of a test.
func device(n int) (d shoal.DeviceID) {
	d[0], d[1], d[2], d[31] = '/', byte(n), byte(n>>8), 0xff
	return d
}

func file(n int) shoal.Object {
	var o shoal.Object
	o.ID[0], o.ID[1], o.ID[2], o.Size = 0xf1, byte(n), byte(n>>8), int64(n)
	return o
}

// world is a store with people in it: the n-th user has the n-th device.
type world struct {
	*testing.T
	*Store
	sequence map[shoal.DeviceID]uint64
	mu       sync.Mutex // guards sequence
}

func newWorld(t *testing.T) *world {
	return &world{T: t, Store: open(t, t.TempDir()), sequence: make(map[shoal.DeviceID]uint64)}
}

func (w *world) id(device shoal.DeviceID) ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sequence[device]++
	return ID{Device: device, Sequence: w.sequence[device]}
}

func (w *world) apply(n int, m Mutation) (Outcome, error) {
	return w.Apply(w.Context(), w.id(device(n)), m)
}

// holder applies as whoever holds the folder.
func (w *world) holder(m Mutation) (Outcome, error) {
	id := w.id(shoal.DeviceID{1})
	id.Holder = true
	return w.Apply(w.Context(), id, m)
}

func (w *world) ok(n int, m Mutation) Outcome {
	w.Helper()
	o, err := w.apply(n, m)
	if err != nil {
		w.Fatalf("%T: %v", m, err)
	}
	return o
}

// refused checks the code of a refusal, and that its text has parts.
func (w *world) refused(n int, m Mutation, code shoal.Code, parts ...string) Outcome {
	w.Helper()
	o, err := w.apply(n, m)
	checkRefusal(w.T, err, code, parts...)
	return o
}

func checkRefusal(t testing.TB, err error, code shoal.Code, parts ...string) {
	t.Helper()
	if err == nil || shoal.CodeOf(err) != code {
		t.Fatalf("error %v, want code %v", err, code)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not have %q", err, p)
		}
	}
}

// users makes users by name; the n-th has the n-th device, from 1.
func (w *world) users(names ...Username) {
	w.Helper()
	for i, n := range names {
		w.ok(i+1, &CreateUser{User: n, Label: "laptop", Open: true, Password: "$argon2id$" + string(n)})
	}
}

// group makes a group of the first user, with others in it.
func (w *world) group(g shoal.Group, others map[int]Username) {
	w.Helper()
	w.ok(1, &CreateGroup{Group: g, Grace: time.Hour})
	for n, u := range others {
		w.ok(n, &RequestJoin{Group: g})
		w.ok(1, &AcceptRequest{Group: g, User: u})
	}
}

// state is a Sink that keeps everything, and history.
type state struct {
	mu       sync.Mutex
	records  map[key]Record
	replaced int
	applied  []uint64
}

func newState() *state { return &state{records: make(map[key]Record)} }

func (s *state) Replace(all iter.Seq2[Event, error], revision uint64) error {
	records := make(map[key]Record)
	for e, err := range all {
		if err != nil {
			return err
		}
		if e.Deleted {
			delete(records, e.Record.key())
		} else {
			records[e.Record.key()] = e.Record
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
	s.replaced++
	return nil
}

func (s *state) Apply(events []Event, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if e.Deleted {
			delete(s.records, e.Record.key())
		} else {
			s.records[e.Record.key()] = e.Record
		}
	}
	s.applied = append(s.applied, revision)
}

// at returns the record at a key, nil where there is none.
func (s *state) at(k key) Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[k]
}

func (s *state) keys(prefix key) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.records {
		if strings.HasPrefix(string(k), string(prefix)) {
			found = append(found, string(k))
		}
	}
	slices.Sort(found)
	return found
}

// all lists the state.
func (w *world) all() *state {
	w.Helper()
	return listed(w.T, w.Store)
}

func listed(t testing.TB, s *Store) *state {
	t.Helper()
	e, err := s.client.Get(t.Context(), s.full(versionKey))
	if err != nil {
		t.Fatal(err)
	}
	sink := newState()
	if err := sink.Replace(s.list(t.Context(), e.Header.Revision), 0); err != nil {
		t.Fatal(err)
	}
	return sink
}

// follow feeds a sink until the test ends.
func follow(t testing.TB, s *Store, sink Sink) *Feed {
	f := s.NewFeed(sink)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Errorf("the feed: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); run.Wait() })
	return f
}
