package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"shoal"
	"shoal/client/queue"
)

// downloadsRequest is what a command asks of the daemon's queue. It is JSON, the request's body.
type downloadsRequest struct {
	Wishes []queue.Wish `json:"wishes,omitempty"` // to be queued
	IDs    []uint64     `json:"ids,omitempty"`    // the downloads it is about; none for all
	Watch  bool         `json:"watch,omitempty"`  // go on until none of them moves by itself
	Alter  Alteration   `json:"alter,omitempty"`
}

// Alteration is what can be done to downloads.
type Alteration string

// The alterations. Clear forgets those that are finished, whatever their IDs.
const (
	Pause  Alteration = "pause"
	Resume Alteration = "resume"
	Cancel Alteration = "cancel"
	Clear  Alteration = "clear"
)

// refusal is why something is not done with one of several.
type refusal struct {
	Which int          `json:"which"` // of the wishes or IDs, from 0
	Error controlError `json:"error"`
}

func readDownloads(r *http.Request) (request downloadsRequest, err error) {
	const limit = 64 << 20 // bytes: more than all wishes have that a queue takes, unless their paths are very long
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, limit)).Decode(&request); err != nil && !errors.Is(err, io.EOF) {
		return request, shoal.Errorf(shoal.BadRequest, "a request to the daemon that cannot be read: %w", err)
	}
	return request, nil
}

// lookPatience is how long wishes are checked with the server before they are queued.
const lookPatience = 5 * time.Second

// controlQueue queues wishes. What is surely not there is refused, so that a mistyped name is noticed at once; a server that
// cannot be reached is no reason not to queue.
func (d *Daemon) controlQueue(ctx context.Context, r downloadsRequest, say func(controlLine)) error {
	look, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	var wishes []queue.Wish
	for i, w := range r.Wishes {
		err := w.Check()
		if err == nil && look.Err() == nil {
			err = d.lookFor(look, w)
		}
		if err != nil {
			say(controlLine{Refused: &refusal{i, controlError{shoal.CodeOf(err), err.Error()}}})
			continue
		}
		wishes = append(wishes, w)
	}
	downloads, err := d.queue.Add(ctx, wishes)
	for _, download := range downloads {
		say(controlLine{Download: &download})
	}
	return err
}

// lookFor returns an error if the server says that there is no such thing, or that it has no such bytes.
func (d *Daemon) lookFor(ctx context.Context, w queue.Wish) error {
	if !d.tracker.Connected() {
		return nil
	}
	found, err := d.find(ctx, Get{Group: w.Group, Target: w.Target})
	if err == nil {
		_, err = w.Range.In(found.Object)
	}
	switch shoal.CodeOf(err) {
	case shoal.NotFound, shoal.BadRequest:
		return err
	}
	return nil
}

// controlDownloads tells of downloads as they are, and, to who watches, of each change and every second of those that run.
func (d *Daemon) controlDownloads(ctx context.Context, r downloadsRequest, say func(controlLine)) error {
	said := map[uint64]queue.Download{}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for first := true; ; first = false {
		all, changed, err := d.queue.List(ctx)
		if err != nil {
			return err
		}
		wanted, err := choose(all, r.IDs, first)
		if err != nil {
			return err
		}
		if !tellNews(wanted, said, say) || !r.Watch {
			return nil
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// choose finds downloads by their IDs; without IDs, all. One that is not there is an error, if it must be.
func choose(all []queue.Download, ids []uint64, must bool) ([]queue.Download, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var chosen []queue.Download
	for _, id := range ids {
		i, there := slices.BinarySearchFunc(all, id, func(d queue.Download, id uint64) int { return cmp.Compare(d.ID, id) })
		if there {
			chosen = append(chosen, all[i])
		} else if must {
			return nil, shoal.Errorf(shoal.NotFound, "there is no download %d; shoal downloads lists those that there are", id)
		}
	}
	return chosen, nil
}

// tellNews says what is new since it was called last, and reports whether any of the downloads moves by itself.
func tellNews(downloads []queue.Download, said map[uint64]queue.Download, say func(controlLine)) (moves bool) {
	there := make(map[uint64]bool, len(downloads))
	for _, d := range downloads {
		there[d.ID] = true
		moves = moves || d.State.Moves()
		before, known := said[d.ID]
		if !known || d.State == queue.Running || d.State != before.State || d.Attempts != before.Attempts || d.Name != before.Name {
			say(controlLine{Download: &d})
		}
		said[d.ID] = d
	}
	for id := range said {
		if !there[id] {
			delete(said, id)
			say(controlLine{Gone: id})
		}
	}
	say(controlLine{Round: true})
	return moves
}

// controlAlter alters downloads. One that cannot be does not keep the others from it.
func (d *Daemon) controlAlter(ctx context.Context, r downloadsRequest, say func(controlLine)) error {
	if r.Alter == Clear {
		_, err := d.queue.Clear(ctx)
		return err
	}
	alter, ok := map[Alteration]func(context.Context, uint64) (queue.Download, error){
		Pause: d.queue.Pause, Resume: d.queue.Resume, Cancel: d.queue.Cancel,
	}[r.Alter]
	if !ok {
		return shoal.Errorf(shoal.BadRequest, "downloads cannot be altered by %q", r.Alter)
	}
	ids, err := r.altered(ctx, d.queue)
	if err != nil {
		return err
	}
	for i, id := range ids {
		download, err := alter(ctx, id)
		if err != nil {
			say(controlLine{Refused: &refusal{i, controlError{shoal.CodeOf(err), err.Error()}}})
			continue
		}
		say(controlLine{Download: &download})
	}
	return nil
}

// altered are the downloads that an alteration is about: without IDs, all that it can be done to.
func (r downloadsRequest) altered(ctx context.Context, q *queue.Queue) ([]uint64, error) {
	if len(r.IDs) > 0 {
		return r.IDs, nil
	}
	all, _, err := q.List(ctx)
	var ids []uint64
	for _, d := range all {
		moves := d.State == queue.Queued || d.State == queue.Running
		stands := d.State == queue.Paused || d.State == queue.Failed
		if r.Alter != Resume && moves || r.Alter != Pause && stands {
			ids = append(ids, d.ID)
		}
	}
	return ids, err
}
