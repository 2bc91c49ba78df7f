package session

import (
	"context"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/server/meta"
	"shoal/server/registry"
)

// state is a registry that is fed by an etcd of its own. It is of use within bubbles of virtual time as well: whoever asks
// is carried across by goroutines that were started outside.
type state struct {
	registry *registry.Registry
	store    *meta.Store

	turn    sync.Mutex // held by who asks
	asked   chan mutation
	answers chan outcome
}

type mutation struct {
	id meta.ID
	m  meta.Mutation
}

type outcome struct {
	meta.Outcome
	err error
}

// newState starts one, outside of bubbles, until the test ends.
func newState(t testing.TB) *state {
	t.Helper()
	r := registry.New()
	store, err := meta.Open(t.Context(), meta.Options{
		Dir: t.TempDir(), Log: zerolog.Nop(), Free: func(string) (uint64, error) { return 1 << 40, nil },
	})
	must(t, err)
	s := &state{registry: r, store: store, asked: make(chan mutation), answers: make(chan outcome)}
	feed := store.NewFeed(r)
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := feed.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	run.Go(func() {
		for q := range s.asked {
			o, err := store.Apply(ctx, q.id, q.m)
			if waited := feed.WaitFor(ctx, o.Revision); waited != nil {
				err = waited
			}
			s.answers <- outcome{o, err}
		}
	})
	t.Cleanup(func() {
		close(s.asked)
		cancel()
		run.Wait()
		store.Close()
	})
	must(t, feed.WaitFor(t.Context(), 1))
	return s
}

// apply is Host.Mutate.
func (s *state) apply(_ context.Context, id meta.ID, m meta.Mutation) (meta.Outcome, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.asked <- mutation{id, m}
	o := <-s.answers
	return o.Outcome, o.err
}

// serve makes a host answer from the state.
func (s *state) serve(h *Host) *Host {
	h.Registry, h.Mutate, h.Manifest = s.registry, s.apply, s.store.Manifest
	return h
}

// fill makes names of shoal.Public stand for objects in a registry that nothing else feeds.
func fill(r *registry.Registry, names []shoal.Name, content func(i int) shoal.Object) {
	for i, n := range names {
		r.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: n, Content: content(i)}}}, r.Revision()+1)
	}
}
