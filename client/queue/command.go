package queue

import (
	"context"
	"time"

	"shoal"
)

// most is how many downloads a queue has, with those that are finished.
const most = 20_000

// Add queues downloads. A wish that is queued, running or paused already is not queued twice: it is the download that is
// there. When Add returns, they are on disk. Errors have the code Limit when the queue is full, NoSpace when the disk is; then
// none has been queued.
func (q *Queue) Add(ctx context.Context, wishes []Wish) (downloads []Download, err error) {
	for _, w := range wishes {
		if err := w.Check(); err != nil {
			return nil, err
		}
	}
	err = q.ask(ctx, func() error {
		downloads, err = q.add(wishes)
		return err
	})
	return downloads, err
}

func (q *Queue) add(wishes []Wish) ([]Download, error) {
	now := time.Now()
	asked := make([]*entry, len(wishes))
	fresh := map[Wish]*entry{}
	var stored []*Download
	for i, w := range wishes {
		if asked[i] = q.pending[w]; asked[i] == nil {
			asked[i] = fresh[w]
		}
		if asked[i] == nil {
			e := &entry{Download: Download{Wish: w, State: Queued, Added: now, Due: now}}
			asked[i], fresh[w] = e, e
			stored = append(stored, &e.Download)
		}
	}
	if len(q.all)+len(stored) > most {
		return nil, shoal.Errorf(shoal.Limit, "the queue has %d downloads, and takes %d at most; clear the finished ones", len(q.all), most)
	}
	if len(stored) > 0 {
		if err := q.journal.add(stored); err != nil {
			return nil, err
		}
	}
	downloads := make([]Download, len(asked))
	for i, e := range asked {
		if fresh[e.Wish] == e && q.pending[e.Wish] != e {
			q.insert(e)
		}
		downloads[i] = e.describe(now)
	}
	q.tell()
	return downloads, nil
}

// describe is the download as it is at this moment.
func (e *entry) describe(now time.Time) Download {
	d := e.Download
	if e.run == nil {
		return d
	}
	if e.State == Queued {
		d.State = Running
	}
	e.run.describe(&d, now)
	return d
}

// List returns all downloads in the order in which they were queued, and what is closed as soon as anything but their
// progress changes.
func (q *Queue) List(ctx context.Context) (downloads []Download, changed <-chan struct{}, err error) {
	err = q.ask(ctx, func() error {
		now := time.Now()
		downloads, changed = make([]Download, len(q.all)), q.changed
		for i, e := range q.all {
			downloads[i] = e.describe(now)
		}
		return nil
	})
	return downloads, changed, err
}

// Pause keeps a download from going on until Resume. What has come is kept. The error has code BadRequest for one that is
// finished, NotFound for a number that none has.
func (q *Queue) Pause(ctx context.Context, id uint64) (Download, error) {
	return q.alter(ctx, id, func(e *entry) error {
		if e.State == Paused {
			return nil
		}
		if e.State != Queued {
			return shoal.Errorf(shoal.BadRequest, "download %d is %s, and cannot be paused", id, e.State)
		}
		to := e.Download
		to.State, to.Retry = Paused, time.Time{}
		if err := q.change(e, to); err != nil {
			return err
		}
		e.end()
		return nil
	})
}

// Resume has a download that is paused, failed, or waits for its next attempt go on when it is its turn. The error has code
// BadRequest for one that is done, NotFound for a number that none has.
func (q *Queue) Resume(ctx context.Context, id uint64) (Download, error) {
	return q.alter(ctx, id, func(e *entry) error {
		to := e.Download
		switch e.State {
		case Queued, Paused: // it keeps its place
		case Failed:
			if other := q.pending[e.Wish]; other != nil {
				return shoal.Errorf(shoal.BadRequest, "what download %d wanted was queued again, as %d", id, other.ID)
			}
			to.Due, to.Ended = time.Now(), time.Time{}
		default:
			return shoal.Errorf(shoal.BadRequest, "download %d is %s, and cannot be resumed", id, e.State)
		}
		to.State, to.Attempts, to.Retry = Queued, 0, time.Time{}
		return q.change(e, to)
	})
}

// Cancel ends a download, and removes what has come of it. One that is done is only forgotten: the file stays. The error has
// code NotFound for a number that none has.
func (q *Queue) Cancel(ctx context.Context, id uint64) (Download, error) {
	return q.alter(ctx, id, func(e *entry) error {
		switch e.State {
		case Done:
			return q.forget([]*entry{e})
		case Canceling:
			return nil
		}
		to := e.Download
		to.State = Canceling
		if err := q.change(e, to); err != nil {
			return err
		}
		if e.run == nil {
			q.discard(e)
		}
		e.end()
		return nil
	})
}

// Clear forgets the downloads that are done or failed, and returns how many those were. Files stay, and so do the
// parts of what failed.
func (q *Queue) Clear(ctx context.Context) (cleared int, err error) {
	err = q.ask(ctx, func() error {
		var gone []*entry
		for _, e := range q.all {
			if e.State.Finished() {
				gone = append(gone, e)
			}
		}
		cleared = len(gone)
		if cleared == 0 {
			return nil
		}
		return q.forget(gone)
	})
	return cleared, err
}

// alter has Run's goroutine change one download, and returns it as it is then.
func (q *Queue) alter(ctx context.Context, id uint64, change func(*entry) error) (d Download, err error) {
	err = q.ask(ctx, func() error {
		e := q.find(id)
		if e == nil {
			return shoal.Errorf(shoal.NotFound, "there is no download %d; shoal downloads lists those that there are", id)
		}
		err := change(e)
		d = e.describe(time.Now())
		return err
	})
	return d, err
}

// end has a run end, if there is one.
func (e *entry) end() {
	if e.run != nil {
		e.run.cancel()
	}
}
