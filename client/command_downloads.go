package client

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"shoal"
	"shoal/client/queue"
)

// Queue hands downloads of several targets to the daemon: what is wanted of each, from whom and where to is as in each Get;
// paths are this process's. each is called for every Get, in no order: with its download, or why
// it was refused.
func (c *Control) Queue(ctx context.Context, gets []Get, each func(i int, d *queue.Download, err error)) error {
	request := downloadsRequest{Wishes: make([]queue.Wish, 0, len(gets))}
	var sent []int // which of gets each wish is
	for i, g := range gets {
		w, err := g.wish()
		if err != nil {
			each(i, nil, err)
			continue
		}
		request.Wishes = append(request.Wishes, w)
		sent = append(sent, i)
	}
	var queued []*queue.Download
	refused := map[int]bool{}
	err := c.postDownloads(ctx, "queue", request, func(line controlLine) {
		switch r := line.Refused; {
		case r != nil && r.Which >= 0 && r.Which < len(sent):
			refused[r.Which] = true
			each(sent[r.Which], nil, shoal.Errorf(r.Error.Code, "%s", r.Error.Text))
		case line.Download != nil:
			queued = append(queued, line.Download)
		}
	})
	if err != nil {
		return err
	}
	for i, which := range sent {
		if refused[i] {
			continue
		}
		if len(queued) == 0 {
			return shoal.Errorf(shoal.Internal, "the daemon has not queued everything, and does not say why")
		}
		each(which, queued[0], nil)
		queued = queued[1:]
	}
	return nil
}

// wish is the Get as the queue has it.
func (g Get) wish() (w queue.Wish, err error) {
	out := g.Out
	if out == "" {
		out = filepath.Clean(g.Folder) + "/"
	}
	if out, err = absolute(out); err != nil {
		return w, fmt.Errorf("finding %s: %w", g.Out, err)
	}
	w = queue.Wish{Group: g.Group, Target: g.Target, Range: g.Range, Out: out, Timeout: g.Timeout}
	if g.From != nil {
		w.From = *g.From
	}
	return w, w.Check()
}

// Downloads tells of the daemon's downloads, or of those with the IDs, in the order in which they were queued; round is called
// when all have been told of. With watch it goes on until none of them moves by itself: it tells of each that has changed, once
// a second of those that run, and of those that are no longer there (gone), and calls round after each time. round may be
// nil. The error has code NotFound where there is no download with one of the IDs.
func (c *Control) Downloads(ctx context.Context, ids []uint64, watch bool, each func(queue.Download), gone func(id uint64), round func()) error {
	return c.postDownloads(ctx, "downloads", downloadsRequest{IDs: ids, Watch: watch}, func(line controlLine) {
		switch {
		case line.Download != nil:
			each(*line.Download)
		case line.Gone != 0 && gone != nil:
			gone(line.Gone)
		case line.Round && round != nil:
			round()
		}
	})
}

// Alter alters the downloads with the IDs; without IDs all that it can be done to. failed is told why one could not be, with
// its place among the IDs.
func (c *Control) Alter(ctx context.Context, how Alteration, ids []uint64, each func(queue.Download), failed func(i int, err error)) error {
	return c.postDownloads(ctx, "downloads/alter", downloadsRequest{IDs: ids, Alter: how}, func(line controlLine) {
		switch {
		case line.Download != nil:
			each(*line.Download)
		case line.Refused != nil:
			failed(line.Refused.Which, shoal.Errorf(line.Refused.Error.Code, "%s", line.Refused.Error.Text))
		}
	})
}

func (c *Control) postDownloads(ctx context.Context, what string, request downloadsRequest, each func(controlLine)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("asking the daemon for %s: %w", what, err)
	}
	return c.post(ctx, what, body, each)
}

// absolute is a path that means the same to the daemon, whose folder is another one. A slash at its end stays.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil && path != "" && path[len(path)-1] == '/' && abs != "/" {
		abs += "/"
	}
	return abs, err
}
