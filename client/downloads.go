package client

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"shoal"
	"shoal/client/queue"
	"shoal/client/store"
)

// DefaultAtOnce is how many queued downloads run at a time: enough for one that waits for its sources to cost nothing.
const DefaultAtOnce = 4

// openQueue opens the downloads that this daemon was given.
func (d *Daemon) openQueue() (err error) {
	atOnce := d.config.AtOnce
	if atOnce == 0 {
		atOnce = DefaultAtOnce
	}
	d.queue, err = queue.Open(queue.Config{
		Path: filepath.Join(d.config.State, "downloads.db"), AtOnce: atOnce, Fetch: d.fetch, Discard: discard, Log: d.config.Log,
	})
	return err
}

// fetch fulfils a queued wish, and serves what has come on.
func (d *Daemon) fetch(ctx context.Context, w queue.Wish, r queue.Reporter) (queue.Outcome, error) {
	g := Get{
		Group: w.Group, Target: w.Target, Range: w.Range, Out: w.Out, Timeout: w.Timeout, Retried: true, Found: r.Found, Report: r.Report,
	}
	if w.From != (shoal.DeviceID{}) {
		g.From = &w.From
	}
	got, err := d.Get(ctx, g)
	if err != nil {
		return queue.Outcome{}, err
	}
	o := queue.Outcome{Present: got.Present}
	if got.File != nil { // else it is a range, of which there is no object to serve
		swarm := shoal.Swarm{Group: w.Group, Object: got.File.Object()}
		if o.Unserved = d.keep(ctx, label{w.Group, got.Name}, got.File); o.Unserved != nil {
			d.unserve(swarm, o.Unserved)
		}
		o.Served = o.Unserved == nil
	}
	return o, nil
}

// publishPatience is how long a file that has come waits for a server that cannot be reached.
const publishPatience = 10 * time.Second

// keep serves a file that was downloaded on, and takes it over. A server that cannot be reached will hear of that when it
// can: the name stood for the file there.
func (d *Daemon) keep(ctx context.Context, l label, file *store.File) error {
	d.checkName(l)
	limited, cancel := context.WithTimeoutCause(ctx, publishPatience, shoal.Errorf(shoal.Unreachable, "the server does not answer"))
	defer cancel()
	err := d.tracker.Publish(limited, l.group, l.name, file.Object(), nil)
	switch shoal.CodeOf(err) {
	case shoal.Unreachable, shoal.Busy, shoal.Limit, shoal.Canceled:
		d.config.Log.Debug().Err(err).Str("path", file.Path()).Msg("the server does not know yet that a download is served on")
		err = nil
	}
	if err != nil {
		_ = file.Close() // only ever read
		return err
	}
	return d.take(l, file, NoSample)
}

// unserve ends what a download has begun to serve, where that cannot go on.
func (d *Daemon) unserve(swarm shoal.Swarm, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[swarm] == nil {
		d.shelf.Withdraw(swarm, shoal.Errorf(shoal.NotFound, "the download here is not served on: %w", why))
		d.tracker.Withdraw(swarm)
	}
}

// discard removes what a canceled download left.
func discard(download queue.Download) error {
	if download.Path == "" {
		return nil // it never came to be
	}
	var cut shoal.Range
	if r := download.Wish.Range; r != cut {
		var err error
		if cut, err = r.In(download.Object); err != nil {
			return err
		}
	}
	err := store.Discard(filepath.Dir(download.Path), download.Object, cut)
	if errors.Is(err, shoal.Busy) { // somebody else downloads it there, and will finish it or leave it
		return nil
	}
	return err
}
