package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client"
	"shoal/client/link"
	"shoal/client/store"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

const (
	sessions = 8        // devices that ask
	fileSize = 16 << 20 // bytes of the file that is fetched meanwhile, again and again
)

// Load is what clients do to a server: requests, of which each is logged by the server, and downloads while they last.
type Load struct {
	world    *World
	holder   *client.Client // serves the file
	file     *store.File
	trackers []*tracker.Tracker
	folder   string // where files are fetched to, in memory

	cancel context.CancelFunc
	run    sync.WaitGroup
	once   sync.Once
}

// NewLoad connects the clients. Close must be called.
func (w *World) NewLoad(ctx context.Context) (_ *Load, err error) {
	l := &Load{world: w}
	ctx, l.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.folder, err = os.MkdirTemp("/dev/shm", "shoal-faults-"); err != nil {
		return l, fmt.Errorf("making a folder in memory: %w", err)
	}
	if err = w.makeUser(ctx); err != nil {
		return l, err
	}
	if l.holder, err = l.client(ctx, "holder"); err != nil {
		return l, err
	}
	if err = l.publish(ctx); err != nil {
		return l, err
	}
	for range sessions {
		key := identity.NewKey()
		if err = w.enrol(ctx, key.Device()); err != nil {
			return l, err
		}
		t := tracker.New(tracker.Config{
			Server: w.server.Addr().String(), Key: key, Transport: overPlaintext, Dial: link.TCP(overPlaintext),
			Accept: func(*wire.HelloReply) error { return nil }, Log: zerolog.Nop(),
		})
		if err = t.Connect(ctx); err != nil {
			return l, err
		}
		l.trackers = append(l.trackers, t)
		l.run.Go(func() { _ = t.Run(ctx) }) // ends with ctx; what fails before fails a call
	}
	return l, nil
}

// client connects the device of a state folder.
func (l *Load) client(ctx context.Context, name string) (*client.Client, error) {
	realm, state := l.world.server.Realm(), filepath.Join(l.folder, name)
	device, err := client.Device(state)
	if err == nil {
		err = l.world.enrol(ctx, device)
	}
	if err != nil {
		return nil, err
	}
	return client.Open(ctx, client.Config{
		Server: l.world.server.Addr().String(), State: state, Pin: &realm, Transport: overPlaintext,
		Listen: "127.0.0.1:0", Log: zerolog.Nop(),
	}, client.Serves, nil)
}

// publish makes the file and serves it.
func (l *Load) publish(ctx context.Context) error {
	content := make([]byte, fileSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content) // never fails
	path := filepath.Join(l.folder, "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	var err error
	if l.file, err = store.Hash(ctx, path, nil); err != nil {
		return err
	}
	return l.holder.Publish(ctx, shoal.Public, "file", l.file, client.WithSample)
}

// requestsPerDownload says how many requests a load makes for each download that goes on meanwhile.
const requestsPerDownload = 1000

// Run makes lines requests, a multiple of 1000, and downloads meanwhile, one after the other, and returns how long all of
// that took. It calls at, unless nil, whenever another percent of the requests is done, from several goroutines. The
// error is that of the first operation that failed.
func (l *Load) Run(ctx context.Context, lines int, at func(percent int)) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) {
		if err != nil {
			cancel(err)
		}
	}
	var todo atomic.Int64
	todo.Store(int64(lines))
	var all sync.WaitGroup
	begin := time.Now()
	for i, t := range l.trackers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				left := int(todo.Add(-1))
				if left < 0 {
					return
				}
				fail(ask(ctx, t, i, n))
				if at != nil && left%(lines/100) == 0 {
					at(100 - left/(lines/100))
				}
			}
		})
	}
	all.Go(func() {
		for n := 0; n < lines/requestsPerDownload && ctx.Err() == nil; n++ {
			fail(l.get(ctx))
		}
	})
	all.Wait()
	return time.Since(begin), context.Cause(ctx)
}

// ask publishes a name or takes it away again, which the server syncs to disk, or most of the time, asks for a ticket: each
// is a line of the log.
func ask(ctx context.Context, t *tracker.Tracker, session, n int) error {
	const rarely = 50
	name := shoal.Name(fmt.Sprintf("session %d", session))
	o := shoal.Object{ID: shoal.FileID{byte(session + 1)}, Size: 1}
	switch n % rarely {
	case 0:
		return t.Publish(ctx, shoal.Public, name, o, func() []byte { return []byte("x") })
	case 1:
		return t.Unpublish(ctx, shoal.Public, name, o.ID)
	}
	_, err := t.Ticket(ctx, shoal.Public)
	return err
}

// get fetches the file as a new process would.
func (l *Load) get(ctx context.Context) error {
	c, err := l.client(ctx, "getter")
	if err != nil {
		return err
	}
	defer c.Close()
	path := filepath.Join(l.folder, "fetched")
	got, err := c.Get(ctx, client.Get{Group: shoal.Public, Target: "file", Out: path, Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	return errors.Join(got.File.Close(), os.Remove(path))
}

// Close ends the clients. It may be called again.
func (l *Load) Close() { l.once.Do(l.close) }

func (l *Load) close() {
	l.cancel()
	l.run.Wait()
	if l.holder != nil {
		l.holder.Close()
	}
	if l.file != nil {
		l.file.Close()
	}
	if l.folder != "" {
		os.RemoveAll(l.folder)
	}
}
