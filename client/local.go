package client

import (
	"context"
	"path/filepath"
	"time"

	"shoal"
	"shoal/client/peer"
	"shoal/client/store"
	"shoal/client/tracker"
)

// copyEvery is how often a copy tells how far it is.
const copyEvery = 100 * time.Millisecond

// getHere makes what is wanted of what this process serves itself, which the server names it no source of. Without an error
// it is nil when nothing here will do.
func (c *Client) getHere(ctx context.Context, g Get, found *tracker.Found, wanted shoal.Range, path string) (*Got, error) {
	if g.From != nil && *g.From != c.Device() {
		return nil, nil
	}
	whole := c.shelf.Whole(shoal.Swarm{Group: g.Group, Object: found.Object})
	if whole == nil {
		return nil, nil
	}
	defer whole.Release()
	got, err := c.copyHere(ctx, g, whole, wanted, path)
	switch shoal.CodeOf(err) {
	case shoal.Changed, shoal.Corrupt: // others may have it as it was
		c.config.Log.Warn().Err(err).Str("path", path).Msg("what is served here is not what it should be")
		return nil, nil
	}
	if got != nil {
		got.Name = found.Name
	}
	return got, err
}

func (c *Client) copyHere(ctx context.Context, g Get, whole store.Content, wanted shoal.Range, path string) (*Got, error) {
	part, err := openPart(ctx, g, whole, wanted, path)
	if err != nil {
		return nil, err
	}
	got := &Got{Path: path}
	if err = part.Fill(ctx, whole, c.buffers, c.copied(g, whole.Object(), wanted)); err == nil {
		if g.isRange() {
			got.Path, err = part.Extract(ctx)
		} else {
			got.File, err = part.Finish()
		}
	}
	if closeErr := part.Close(); closeErr != nil { // what is there has been synced
		c.config.Log.Warn().Err(closeErr).Msg("closing a copy")
	}
	if err != nil {
		return nil, err
	}
	return got, nil
}

func openPart(ctx context.Context, g Get, whole store.Content, wanted shoal.Range, path string) (*store.Part, error) {
	dir, name := filepath.Dir(path), shoal.Name(filepath.Base(path))
	if g.isRange() {
		return store.ResumeRange(ctx, dir, name, whole.Object(), whole.Manifest(), wanted, nil)
	}
	return store.ResumePart(ctx, dir, name, whole.Object(), whole.Manifest(), nil)
}

// copied passes on how far a copy is, now and then.
func (c *Client) copied(g Get, o shoal.Object, wanted shoal.Range) func(held, before int64) {
	if g.Report == nil {
		return nil
	}
	first, count := o.PiecesOf(wanted)
	begin, _ := o.PieceRange(first)
	last, length := o.PieceRange(first + count - 1)
	size := last + length - begin
	var said time.Time
	return func(held, before int64) {
		if now := time.Now(); now.Sub(said) >= copyEvery || held == size {
			said = now
			own := peer.SourceStatus{Device: c.Device(), Connected: true, Bytes: held - before}
			g.Report(peer.Status{Size: size, Held: held, Resumed: before, Sources: []peer.SourceStatus{own}})
		}
	}
}
