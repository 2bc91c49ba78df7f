package client

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"shoal"
	"shoal/client/tracker"
)

// isRange reports whether a part of the file is wanted.
func (g Get) isRange() bool { return g.Range != shoal.Range{} }

// fileName is what a file is called that nothing else is said of.
func (g Get) fileName(name shoal.Name, wanted shoal.Range) shoal.Name {
	if !g.isRange() {
		return name
	}
	return shoal.Name(fmt.Sprintf("%s.%d-%d", name, wanted.Begin, wanted.End))
}

// getRange downloads the wanted range to path. What stands there already cannot be told from something else.
func (c *Client) getRange(ctx context.Context, g Get, found *tracker.Found, wanted shoal.Range, path string) (*Got, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, shoal.Errorf(shoal.Exists, "%s is there already; remove it, or choose another name with -o", path)
	}
	if got, err := c.getHere(ctx, g, found, wanted, path); got != nil || err != nil {
		return got, err
	}
	t := c.transfer(g, found)
	t.Range, t.Dir, t.Name = wanted, filepath.Dir(path), shoal.Name(filepath.Base(path))
	ctx, end := c.gets.begin(ctx, t.Swarm)
	defer end()
	path, err := t.RunRange(ctx)
	if err != nil {
		return nil, err
	}
	return &Got{Name: found.Name, Path: path}, nil
}

// Cat downloads what Get would, and writes it to w: in order, verified, and beginning as soon as the beginning is there.
// Out and Folder do not count; an error of w ends it, and no use is made of w when Cat has returned.
func (c *Client) Cat(ctx context.Context, g Get, w io.Writer) error {
	found, err := c.find(ctx, g)
	if err != nil {
		return err
	}
	t := c.transfer(g, found)
	if t.Range, err = g.Range.In(found.Object); err != nil {
		return err
	}
	t.Dir = c.config.State
	if g.Found != nil {
		g.Found(found.Name, found.Object, "")
	}
	ctx, end := c.gets.begin(ctx, t.Swarm)
	defer end()
	return t.Stream(ctx, w)
}
