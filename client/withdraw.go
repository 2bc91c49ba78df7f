package client

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"shoal"
)

// checkEvery is how often a daemon looks whether its files are still what was published, besides at each request.
const checkEvery = 10 * time.Second

// changed forgets a swarm whose file is no longer what was published. The peer server calls it, and watch.
func (d *Daemon) changed(swarm shoal.Swarm, why error) {
	gone := d.labelsOf(swarm)
	d.mu.Lock()
	for _, l := range gone {
		d.vacant[l] = swarm.Object
	}
	d.mu.Unlock()
	for _, l := range gone {
		d.config.Log.Warn().Err(why).Str("name", string(l.name)).Msg("withdrawn; publish it again to serve what it is now")
		if err := d.forget(l, why); err != nil {
			d.config.Log.Error().Err(err).Msg("updating the catalog")
		}
	}
}

// lost forgets a swarm that must not be served any more; its names are the server's matter. The Client calls it.
func (d *Daemon) lost(swarm shoal.Swarm, why error) {
	for _, l := range d.labelsOf(swarm) {
		d.config.Log.Warn().Err(why).Str("group", string(l.group)).Str("name", string(l.name)).Msg("no longer served")
		if err := d.forget(l, why); err != nil {
			d.config.Log.Error().Err(err).Msg("updating the catalog")
		}
	}
}

// labelsOf are the names under which a swarm is served.
func (d *Daemon) labelsOf(swarm shoal.Swarm) (labels []label) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l, o := range d.names {
		if l.group == swarm.Group && o == swarm.Object {
			labels = append(labels, l)
		}
	}
	return labels
}

// checkName forgets what a name stands for here if that has changed.
func (d *Daemon) checkName(l label) {
	d.mu.Lock()
	swarm := shoal.Swarm{Group: l.group, Object: d.names[l]}
	file := d.files[swarm]
	d.mu.Unlock()
	if file == nil {
		return
	}
	if err := file.Check(); errors.Is(err, shoal.Changed) {
		d.changed(swarm, err)
	}
}

// watch looks now and then whether the files are still what was published.
func (d *Daemon) watch(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		d.mu.Lock()
		names := slices.Collect(maps.Keys(d.names))
		d.mu.Unlock()
		for _, l := range names {
			d.checkName(l)
		}
		d.freeNames(ctx)
	}
}

// freeNames takes the names of changed files away at the server, unless somebody else still serves what they stood for:
// then the changed file can be published under them. Where the server cannot be asked, the next round does it. A name that
// another user published stays.
func (d *Daemon) freeNames(ctx context.Context) {
	d.mu.Lock()
	vacant := maps.Clone(d.vacant)
	d.mu.Unlock()
	for l, o := range vacant {
		found, err := d.tracker.LookupName(ctx, l.group, l.name)
		if err == nil && found.Object == o && len(found.Sources) == 0 {
			err = d.tracker.Unpublish(ctx, l.group, l.name, o.ID)
		}
		if err != nil && !errors.Is(err, shoal.NotFound) && !errors.Is(err, shoal.Denied) {
			d.config.Log.Debug().Err(err).Str("name", string(l.name)).Msg("freeing the name of a changed file")
			continue
		}
		d.mu.Lock()
		delete(d.vacant, l)
		d.mu.Unlock()
	}
}
