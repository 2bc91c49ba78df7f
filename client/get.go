package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shoal"
	"shoal/client/peer"
	"shoal/client/store"
	"shoal/client/tracker"
)

// Get is a wish for one file.
type Get struct {
	Group   shoal.Group
	Target  string          // a name or a FileID
	Range   shoal.Range     // what is wanted of the file; zero for all
	Out     string          // the file or existing folder to write to; "" for Folder
	Folder  string          // where files go that Out does not place
	From    *shoal.DeviceID // the only device to fetch from; nil for all
	Timeout time.Duration   // how long to wait while nothing comes; 0 for ever
	Retried bool            // whoever asks tries again by itself, and need not be told to
	// Found, if not nil, is told once what will be fetched, and where to.
	Found func(name shoal.Name, o shoal.Object, path string)
	// Report, if not nil, is told how far it is, several times a second.
	Report func(peer.Status)
}

// Got is a file that is whole, verified, synced, and under its final name, or a file with a range's bytes.
type Got struct {
	Name    shoal.Name
	Path    string
	File    *store.File // the caller closes it; nil for a range
	Present bool        // it was there already
}

// Get downloads one file from all its sources at once, and serves what has come while the rest comes. Of a range that is not
// all of a file, the bytes alone are written.
func (c *Client) Get(ctx context.Context, g Get) (*Got, error) {
	found, err := c.find(ctx, g)
	if err != nil {
		return nil, err
	}
	wanted, err := g.Range.In(found.Object)
	if err != nil {
		return nil, err
	}
	path := g.path(g.fileName(found.Name, wanted))
	name, err := shoal.ParseName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if g.Found != nil {
		g.Found(found.Name, found.Object, path)
	}
	if g.isRange() {
		return c.getRange(ctx, g, found, wanted, path)
	}
	// Nothing to fetch is nothing to fail at: the command may be repeated.
	if got, err := present(ctx, found, path); !errors.Is(err, shoal.NotFound) {
		return got, err
	}
	if got, err := c.getHere(ctx, g, found, wanted, path); got != nil || err != nil {
		return got, err
	}
	t := c.transfer(g, found)
	t.Dir, t.Name = filepath.Dir(path), name
	ctx, end := c.gets.begin(ctx, t.Swarm)
	defer end()
	file, err := t.Run(ctx)
	if errors.Is(err, shoal.Exists) {
		// Another command may have finished it since we looked.
		if got, err := present(ctx, found, path); err == nil {
			return got, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &Got{Name: found.Name, Path: file.Path(), File: file}, nil
}

// transfer is the download of what was found, without where it goes.
func (c *Client) transfer(g Get, found *tracker.Found) peer.Transfer {
	return peer.Transfer{
		Swarm:   shoal.Swarm{Group: g.Group, Object: found.Object},
		Sources: found.Sources, From: g.From, Timeout: g.Timeout, Retried: g.Retried, Report: g.Report,
		Pool: c.pool, Tracker: c.tracker, Tickets: c.keeper, Exchange: c.known, Shelf: c.shelf, Log: c.config.Log,
	}
}

// present is what was found, if path holds it already; shoal.NotFound if nothing is there.
func present(ctx context.Context, found *tracker.Found, path string) (*Got, error) {
	file, err := store.Holds(ctx, path, found.Object, nil)
	if err != nil {
		return nil, err
	}
	return &Got{Name: found.Name, Path: file.Path(), File: file, Present: true}, nil
}

// find asks the server for the target: as a FileID if it looks like one, and else as a name.
func (c *Client) find(ctx context.Context, g Get) (*tracker.Found, error) {
	if id, err := shoal.ParseFileID(strings.ToLower(g.Target)); err == nil {
		found, err := c.tracker.LookupFile(ctx, g.Group, id)
		if !errors.Is(err, shoal.NotFound) {
			return found, err
		}
	}
	name, err := shoal.ParseName(g.Target)
	if err != nil {
		return nil, err
	}
	return c.tracker.LookupName(ctx, g.Group, name)
}

// path is where the file goes.
func (g Get) path(name shoal.Name) string {
	if g.Out == "" {
		return filepath.Join(g.Folder, string(name))
	}
	info, err := os.Stat(g.Out)
	if err == nil && info.IsDir() || errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(g.Out, "/") {
		return filepath.Join(g.Out, string(name))
	}
	return g.Out
}
