package peer

import (
	"context"

	"shoal"
	"shoal/client/store"
	"shoal/client/swarm"
)

// destination is where a transfer's verified pieces go.
type destination interface {
	store.Content
	WritePiece(piece int, data []byte) error
	Close() error
}

// goal is what a download is for.
type goal struct {
	// open makes the destination. It is called once, in a goroutine of its own, with a manifest that has been verified.
	open func(context.Context, *shoal.Manifest) (destination, error)
	// finish is called when every wanted piece is there. What it returns, if not nil, is served in the destination's place.
	finish func(context.Context) (store.Content, error)
}

// Run downloads the object to Dir under Name and returns it, whole, synced and under its final name; the caller closes it.
// When it fails, what has come stays in the folder for the next attempt.
func (t Transfer) Run(ctx context.Context) (*store.File, error) {
	var part *store.Part
	var file *store.File
	config := swarm.Config{Eager: !store.Begun(t.Dir, t.Swarm.Object, nil)}
	err := t.run(ctx, config, goal{
		open: func(ctx context.Context, proof *shoal.Manifest) (_ destination, err error) {
			part, err = store.ResumePart(ctx, t.Dir, t.Name, t.Swarm.Object, proof, nil)
			return part, err
		},
		finish: func(context.Context) (_ store.Content, err error) {
			file, err = part.Finish()
			return file, err
		},
	}, nil)
	return file, err
}

// RunRange downloads Range, writes its bytes alone to a file in Dir under Name, synced, and returns the file's path. When
// it fails, what has come stays in the folder for the next attempt.
func (t Transfer) RunRange(ctx context.Context) (path string, err error) {
	var part *store.Part
	config := t.ranged()
	config.Eager = !store.Begun(t.Dir, t.Swarm.Object, &t.Range)
	err = t.run(ctx, config, goal{
		open: func(ctx context.Context, proof *shoal.Manifest) (_ destination, err error) {
			part, err = store.ResumeRange(ctx, t.Dir, t.Name, t.Swarm.Object, proof, t.Range, nil)
			return part, err
		},
		finish: func(ctx context.Context) (_ store.Content, err error) {
			path, err = part.Extract(ctx)
			return nil, err
		},
	}, nil)
	return path, err
}

// ranged is what an engine is told of the range.
func (t Transfer) ranged() swarm.Config {
	first, count := t.Swarm.Object.PiecesOf(t.Range)
	return swarm.Config{First: first, Count: count}
}

// wantedBytes is how long the pieces are that a config wants.
func wantedBytes(c swarm.Config) (n int64) {
	count := c.Count
	if count == 0 {
		count = c.Object.Pieces() - c.First
	}
	begin, _ := c.Object.PieceRange(c.First)
	last, length := c.Object.PieceRange(c.First + count - 1)
	return last + length - begin
}
