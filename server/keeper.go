package server

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"shoal/server/meta"
	"shoal/server/meta/embedded"
	"shoal/server/registry"
)

// Etcd says where the state is that must not be lost. The zero Etcd is one of this server's own, in its state folder.
type Etcd struct {
	Endpoints []string // of a cluster
	CAFile    string   // of the authority that certified the cluster, PEM
	CertFile  string   // that the cluster knows this server by, PEM
	KeyFile   string
}

// keeper has the state that must not be lost, and feeds the registry.
type keeper struct {
	store *meta.Store
	feed  *meta.Feed
	alone bool // no other server changes the state

	stop    context.CancelFunc
	feeding sync.WaitGroup
	failed  chan struct{} // closed when the feed has ended by itself
	err     error         // why, once it has
}

// openKeeper opens the state, in a folder below dir where it is the server's own, and returns when the registry has it.
func openKeeper(ctx context.Context, dir string, e Etcd, r *registry.Registry, log zerolog.Logger) (*keeper, error) {
	if len(e.Endpoints) == 0 {
		defer spareCollections(embedded.DatabaseSize(etcdFolder(dir)))()
	}
	store, err := meta.Open(ctx, meta.Options{
		Dir: etcdFolder(dir), Endpoints: e.Endpoints, CAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile, Log: log,
	})
	if err != nil {
		return nil, err
	}
	feeding, stop := context.WithCancel(context.Background())
	k := &keeper{store: store, feed: store.NewFeed(r), alone: len(e.Endpoints) == 0, stop: stop, failed: make(chan struct{})}
	k.feeding.Go(func() {
		if k.err = k.feed.Run(feeding); k.err != nil {
			close(k.failed)
		}
	})
	if err := k.ready(ctx); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// etcdFolder is where the embedded etcd of a server with that state folder is.
func etcdFolder(dir string) string { return filepath.Join(dir, "etcd") }

// ready waits for the first list.
func (k *keeper) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	defer func() { cancel(nil); <-watching }()
	go func() {
		defer close(watching)
		select {
		case <-k.failed:
			cancel(k.err)
		case <-ctx.Done():
		}
	}()
	if err := k.feed.WaitFor(ctx, 1); err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	return nil
}

// apply is session.Host.Mutate.
func (k *keeper) apply(ctx context.Context, id meta.ID, m meta.Mutation) (meta.Outcome, error) {
	o, err := k.store.Apply(ctx, id, m)
	shows := o.Revision
	if k.alone {
		// A refusal tells of the state, too: who hears it must not read of an earlier one then. With others, each read asks
		// for the latest.
		shows = max(shows, o.Decided)
	}
	if shows > 0 {
		// It is on disk, and where waiting ends early, asking again will tell.
		if waited := k.feed.WaitFor(ctx, shows); waited != nil {
			return meta.Outcome{}, fmt.Errorf("waiting for the state to show a change: %w", waited)
		}
	}
	return o, err
}

// barrier is session.Host.Barrier: nil where this server is alone.
func (k *keeper) barrier() func(context.Context) error {
	if k.alone {
		return nil
	}
	return k.feed.Barrier
}

// close ends the feed and the embedded etcd, if they were begun.
func (k *keeper) close() {
	if k.store == nil {
		return
	}
	k.stop()
	k.feeding.Wait()
	k.store.Close()
}
