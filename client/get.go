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
	Out     string          // the file or existing folder to write to; "" for Folder
	Folder  string          // where files go that Out does not place
	From    *shoal.DeviceID // the only device to fetch from; nil for all
	Timeout time.Duration   // how long to wait while nothing comes; 0 for ever
	// Found, if not nil, is told once what will be fetched, and where to.
	Found func(name shoal.Name, o shoal.Object, path string)
	// Report, if not nil, is told how far it is, several times a second.
	Report func(peer.Status)
}

// Got is a file that is whole, verified, synced, and under its final name.
type Got struct {
	Name    shoal.Name
	File    *store.File // the caller closes it
	Present bool        // it was there already
}

// Get downloads one file from all its sources at once, and serves what has come while the rest comes.
func (c *Client) Get(ctx context.Context, g Get) (*Got, error) {
	found, err := c.find(ctx, g)
	if err != nil {
		return nil, err
	}
	path := g.path(found.Name)
	name, err := shoal.ParseName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if g.Found != nil {
		g.Found(found.Name, found.Object, path)
	}
	// Nothing to fetch is nothing to fail at: the command may be repeated.
	if got, err := present(ctx, found, path); !errors.Is(err, shoal.NotFound) {
		return got, err
	}
	swarm := shoal.Swarm{Group: g.Group, Object: found.Object}
	ctx, end := c.gets.begin(ctx, swarm)
	defer end()
	file, err := peer.Transfer{
		Swarm: swarm, Dir: filepath.Dir(path), Name: name,
		Sources: found.Sources, From: g.From, Timeout: g.Timeout, Report: g.Report,
		Pool: c.pool, Tracker: c.tracker, Tickets: c.keeper, Shelf: c.shelf, Log: c.config.Log,
	}.Run(ctx)
	if errors.Is(err, shoal.Exists) {
		// Another command may have finished it since we looked.
		if got, err := present(ctx, found, path); err == nil {
			return got, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &Got{Name: found.Name, File: file}, nil
}

// present is what was found, if path holds it already; shoal.NotFound if nothing is there.
func present(ctx context.Context, found *tracker.Found, path string) (*Got, error) {
	file, err := store.Holds(ctx, path, found.Object, nil)
	if err != nil {
		return nil, err
	}
	return &Got{Name: found.Name, File: file, Present: true}, nil
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
