package client

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"shoal"
	"shoal/client/queue"
	"shoal/client/store"
	"shoal/client/tracker"
	"shoal/ownsocket"
)

// Daemon serves files in the background and keeps, in its catalog, what it serves over restarts.
type Daemon struct {
	*Client
	dir     string
	catalog *store.Catalog
	control *ownsocket.Server
	queue   *queue.Queue // nil until it is open

	mu     sync.Mutex // guards the rest
	names  map[label]shoal.Object
	files  map[shoal.Swarm]*store.File // open, one for each swarm however many names it has
	vacant map[label]shoal.Object      // names of changed files, to be freed where nobody else has the old content
}

type label struct {
	group shoal.Group
	name  shoal.Name
}

// OpenDaemon opens everything that a daemon needs: its catalog, which only one at a time can have, its control socket,
// the port for peers and the session with the server, which may come later. dir is where files that are fetched go when
// the command names no place; it may be "".
func OpenDaemon(ctx context.Context, c Config, dir string) (*Daemon, error) {
	d := &Daemon{names: map[label]shoal.Object{}, files: map[shoal.Swarm]*store.File{}, vacant: map[label]shoal.Object{}}
	var err error
	if dir != "" {
		if d.dir, err = makeFolder(dir); err != nil {
			return nil, err
		}
	}
	if c.State, err = makeFolder(c.State); err != nil {
		return nil, err
	}
	if d.catalog, err = store.OpenCatalog(filepath.Join(c.State, "catalog.db")); err != nil {
		return nil, err
	}
	d.Client, err = open(ctx, c, Serves, d.changed, d.lost)
	if errors.Is(err, shoal.Unreachable) && d.Client != nil {
		c.Log.Warn().Err(err).Msg("serving goes on without the server until it can be reached")
		err = nil
	}
	if err != nil {
		return nil, errors.Join(err, d.catalog.Close())
	}
	if d.control, err = ownsocket.Listen(c.State, socketName); err == nil {
		err = d.restore()
	}
	if err == nil {
		err = d.openQueue()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	// Peers wait until the server has told what this daemon must not serve any more, if it can be reached.
	d.run.Go(func() {
		if d.tracker.Settled(d.background) == nil {
			close(d.ready)
		}
	})
	return d, nil
}

// Run serves until the context ends, or the server turns out to be one that is not to be trusted.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var run sync.WaitGroup
	run.Go(func() { d.runControl(ctx) })
	run.Go(func() { d.watch(ctx) })
	run.Go(func() { d.queue.Run(ctx) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-d.fatal:
	}
	cancel()
	run.Wait()
	d.close()
	return err
}

// Address is where peers connect to.
func (d *Daemon) Address() string { return d.address.String() }

func (d *Daemon) close() {
	if d.control != nil {
		d.control.Close()
	}
	d.Client.Close()
	if d.queue != nil {
		if err := d.queue.Close(); err != nil {
			d.config.Log.Error().Err(err).Msg("closing the queue of downloads")
		}
	}
	for _, f := range d.files {
		_ = f.Close() // only ever read
	}
	if err := d.catalog.Close(); err != nil {
		d.config.Log.Error().Err(err).Msg("closing the catalog")
	}
}

// restore serves again what the catalog has, as far as it is still the same.
func (d *Daemon) restore() error {
	entries, err := d.catalog.All()
	if err != nil && !errors.Is(err, shoal.Corrupt) {
		return err
	}
	if err != nil { // some entries; the others are good
		d.config.Log.Error().Err(err).Msg("no longer served")
	}
	for _, e := range entries {
		file, err := store.OpenFile(e.Path, e.Stamp, e.Object, e.Manifest)
		if err != nil {
			d.config.Log.Warn().Err(err).Str("name", string(e.Name)).Str("path", e.Path).Msg("no longer served")
			if errors.Is(err, shoal.Changed) {
				d.mu.Lock()
				d.vacant[label{e.Group, e.Name}] = e.Object
				d.mu.Unlock()
				err = d.catalog.Delete(e.Group, e.Name)
			}
			if err != nil {
				d.config.Log.Error().Err(err).Msg("updating the catalog")
			}
			continue
		}
		d.tracker.Restore(e.Group, e.Name, e.Object, d.sample(shoal.Swarm{Group: e.Group, Object: e.Object}, Sampling(!e.Withheld)))
		d.offer(label{e.Group, e.Name}, file)
	}
	return nil
}

// offer serves file under a name, and takes it over.
func (d *Daemon) offer(l label, file *store.File) {
	swarm := shoal.Swarm{Group: l.group, Object: file.Object()}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names[l] = swarm.Object
	if old := d.files[swarm]; old != nil {
		if old.Check() == nil {
			d.shelf.Put(swarm, old) // where the download that file is of may have put that
			_ = file.Close()        // only ever read; the one that is served already will do
			return
		}
		defer old.Close()
	}
	d.files[swarm] = file
	d.shelf.Put(swarm, file)
	d.tracker.Offer(swarm, nil)
}

// Share makes file stand for name in the group, serves it, and remembers that. It takes the file over. It returns when
// the server knows, or, where the server cannot be reached, with an error of code Unreachable and nothing done.
// mirrors are where web servers have the file.
func (d *Daemon) Share(ctx context.Context, group shoal.Group, name shoal.Name, file *store.File, sampling Sampling, mirrors ...shoal.Mirror) error {
	d.checkName(label{group, name})
	d.freeNames(ctx)
	// It is not served yet, so its beginning is read from the file itself now, and from what is served later.
	var first tracker.Sample
	if sampling == WithSample {
		first = func() []byte { return d.head(file) }
	}
	if err := d.tracker.PublishAt(ctx, mirrors, group, name, file.Object(), file.Manifest(), first); err != nil {
		_ = file.Close() // only ever read
		return err
	}
	if err := d.take(label{group, name}, file, sampling); err != nil {
		return err
	}
	return d.tracker.Announced(ctx)
}

// take serves file under a name that stands for it at the server, and remembers that. It takes the file over.
func (d *Daemon) take(l label, file *store.File, sampling Sampling) error {
	err := d.supersede(l, file.Object())
	if err == nil {
		later := d.sample(shoal.Swarm{Group: l.group, Object: file.Object()}, sampling)
		d.tracker.Restore(l.group, l.name, file.Object(), later)
		err = d.catalog.Put(store.Entry{
			Group: l.group, Name: l.name, Object: file.Object(), Path: file.Path(), Stamp: file.Stamp(), Manifest: file.Manifest(),
			Withheld: sampling == NoSample,
		})
	}
	if err != nil {
		_ = file.Close() // only ever read
		return err
	}
	d.offer(l, file)
	return nil
}

// supersede ends serving what a name stood for before, if that is not o.
func (d *Daemon) supersede(l label, o shoal.Object) error {
	d.mu.Lock()
	before, known := d.names[l]
	d.mu.Unlock()
	if !known || before == o {
		return nil
	}
	return d.forget(l, shoal.Errorf(shoal.NotFound, "%q stands for something else now", l.name))
}

// Unpublish takes a name away, here and at the server.
func (d *Daemon) Unpublish(ctx context.Context, group shoal.Group, name shoal.Name) error {
	l := label{group, name}
	d.mu.Lock()
	_, here := d.names[l]
	d.mu.Unlock()
	// Where only the server has lost the name there is still something to take away.
	if err := d.Client.Unpublish(ctx, group, name); err != nil && !(here && errors.Is(err, shoal.NotFound)) {
		return err
	}
	// Where the catalog cannot be written, the name stays here, so that asking again takes it away there, too.
	if err := d.catalog.Delete(group, name); err != nil {
		return err
	}
	d.drop(l, shoal.Errorf(shoal.NotFound, "%q is no longer published here", name))
	return nil
}

// forget ends serving under a name, now and after a restart.
func (d *Daemon) forget(l label, why error) error {
	d.drop(l, why)
	return d.catalog.Delete(l.group, l.name)
}

// drop ends serving under a name; the file itself is withdrawn with its last name in the group.
func (d *Daemon) drop(l label, why error) {
	d.tracker.Forget(l.group, l.name)
	d.mu.Lock()
	o, known := d.names[l]
	delete(d.names, l)
	swarm := shoal.Swarm{Group: l.group, Object: o}
	last := known
	for other, object := range d.names {
		if other.group == l.group && object == o {
			last = false
		}
	}
	var file *store.File
	if last {
		file = d.files[swarm]
		delete(d.files, swarm)
	}
	d.mu.Unlock()
	if file != nil {
		d.shelf.Withdraw(swarm, why)
		d.tracker.Withdraw(swarm)
		_ = file.Close() // only ever read
	}
}
