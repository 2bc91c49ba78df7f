package queue

import (
	"context"
	"maps"
	"slices"
	"time"

	"shoal"
)

// keepFinished is how many finished downloads are remembered: the oldest go.
const keepFinished = 1000

// insert takes an entry into the queue's tables.
func (q *Queue) insert(e *entry) {
	q.all = append(q.all, e)
	if e.State.Finished() {
		q.finished++
	} else if e.State != Canceling {
		q.pending[e.Wish] = e
	}
}

// change gives an entry another state, once that is on disk. In the tables it moves accordingly.
func (q *Queue) change(e *entry, to Download) error {
	if err := q.journal.put(&to); err != nil {
		return err
	}
	q.become(e, to)
	return nil
}

// become is change for what cannot be undone: that the disk has not taken it is no reason to think that it is not so.
func (q *Queue) become(e *entry, to Download) {
	if q.pending[e.Wish] == e {
		delete(q.pending, e.Wish)
	}
	if e.State.Finished() {
		q.finished--
	}
	e.Download = to
	if e.State.Finished() {
		q.finished++
	} else if e.State != Canceling {
		q.pending[e.Wish] = e
	}
	q.tell()
}

// forget takes entries out of the queue.
func (q *Queue) forget(gone []*entry) error {
	ids := make(map[uint64]bool, len(gone))
	for _, e := range gone {
		ids[e.ID] = true
	}
	if err := q.journal.delete(maps.Keys(ids)); err != nil {
		return err
	}
	for _, e := range gone {
		if q.pending[e.Wish] == e {
			delete(q.pending, e.Wish)
		}
		if e.State.Finished() {
			q.finished--
		}
	}
	q.all = slices.DeleteFunc(q.all, func(e *entry) bool { return ids[e.ID] })
	q.tell()
	return nil
}

// find is the entry with that number; nil if there is none.
func (q *Queue) find(id uint64) *entry {
	i, there := slices.BinarySearchFunc(q.all, id, func(e *entry, id uint64) int {
		switch {
		case e.ID < id:
			return -1
		case e.ID > id:
			return 1
		}
		return 0
	})
	if !there {
		return nil
	}
	return q.all[i]
}

// fill starts downloads while there is room. It returns how long to wait for the next one, where there is room for it.
func (q *Queue) fill(ctx context.Context) (wait time.Duration, waits bool) {
	for q.running < q.config.AtOnce && ctx.Err() == nil {
		next, soonest := q.next(time.Now())
		if next == nil {
			return time.Until(soonest), !soonest.IsZero()
		}
		q.start(ctx, next)
	}
	return 0, false
}

// next is the download whose turn it is: of those that may begin the one that has been due for longest. Without one, soonest
// is when the first of the others may begin; zero where there are none.
func (q *Queue) next(now time.Time) (next *entry, soonest time.Time) {
	for _, e := range q.all {
		switch {
		case e.State != Queued || e.run != nil: // a run that was told to end has not yet
		case e.Retry.After(now):
			if soonest.IsZero() || e.Retry.Before(soonest) {
				soonest = e.Retry
			}
		case next == nil || e.Due.Before(next.Due):
			next = e
		}
	}
	return next, soonest
}

// start begins an attempt.
func (q *Queue) start(ctx context.Context, e *entry) {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{id: e.ID, ctx: ctx, cancel: cancel, begun: time.Now(), held: e.Held, queue: q}
	e.run = r
	q.running++
	q.tell()
	wish := e.Wish
	q.runs.Go(func() {
		n := news{run: r}
		n.outcome, n.err = q.config.Fetch(ctx, wish, r)
		q.news <- n
	})
}

// hear takes what a run has to tell.
func (q *Queue) hear(n news) {
	e := q.find(n.run.id) // what runs is not forgotten
	if f := n.found; f != nil {
		to := e.Download
		to.Name, to.Object, to.Path = f.name, f.object, f.path
		if to.Size == 0 {
			to.Size = f.object.Size
		}
		q.note(e, to)
		return
	}
	told := n.run.ctx.Err() != nil
	n.run.cancel()
	e.run = nil
	q.running--
	to := e.Download
	n.run.settleInto(&to, time.Now())
	switch {
	case n.err == nil:
		q.succeed(e, to, n.outcome)
	case e.State == Canceling:
		e.Download = to
		q.discard(e)
	case told: // by Pause, which may have been taken back, or the end of Run
		q.note(e, to)
	default:
		q.fail(e, to, n)
	}
}

// note keeps what has happened.
func (q *Queue) note(e *entry, to Download) {
	if err := q.journal.put(&to); err != nil {
		q.config.Log.Error().Err(err).Uint64("download", e.ID).Msg("what became of a download will not be known after this process ends")
	}
	q.become(e, to)
}

func (q *Queue) succeed(e *entry, to Download, o Outcome) {
	to.State, to.Ended, to.Held = Done, time.Now(), to.Size
	to.Present, to.Served, to.Attempts, to.Retry, to.Fault = o.Present, o.Served, 0, time.Time{}, nil
	if o.Unserved != nil {
		to.Fault = faultOf(o.Unserved)
	}
	q.config.Log.Info().Uint64("download", e.ID).Str("path", to.Path).Bool("served", o.Served).Msg("downloaded")
	q.note(e, to)
	q.trim()
}

// fail decides whether an attempt that failed is followed by another one.
func (q *Queue) fail(e *entry, to Download, n news) {
	code := shoal.CodeOf(n.err)
	to.Fault = faultOf(n.err)
	if to.Attempts++; to.Held > n.run.held { // it was not all in vain
		to.Attempts = 1
	}
	log := q.config.Log.Warn().Err(n.err).Uint64("download", e.ID).Str("target", to.Wish.Target)
	if !passes(code) {
		log.Msg("a download failed")
		to.State, to.Ended = Failed, time.Now()
		q.note(e, to)
		q.trim()
		return
	}
	pause := backoff(to.Attempts, jitter())
	log.Dur("retry_in", pause).Msg("a download is tried again")
	to.Retry = time.Now().Add(pause)
	to.Due = to.Retry // whoever has not had a turn yet goes first
	q.note(e, to)
}

// discard removes what a canceled download left, and forgets it.
func (q *Queue) discard(e *entry) {
	if err := q.config.Discard(e.Download); err != nil {
		q.config.Log.Warn().Err(err).Uint64("download", e.ID).Msg("a canceled download left something on disk")
	}
	if err := q.forget([]*entry{e}); err != nil {
		q.config.Log.Error().Err(err).Uint64("download", e.ID).Msg("a canceled download is still listed")
	}
}

// trim forgets the oldest of the finished downloads, if there are too many.
func (q *Queue) trim() {
	if q.finished <= keepFinished {
		return
	}
	var oldest *entry
	for _, e := range q.all {
		if e.State.Finished() && (oldest == nil || e.Ended.Before(oldest.Ended)) {
			oldest = e
		}
	}
	if err := q.forget([]*entry{oldest}); err != nil {
		q.config.Log.Error().Err(err).Msg("forgetting a finished download")
	}
}
