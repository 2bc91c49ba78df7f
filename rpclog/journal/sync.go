package journal

import (
	"io"
	"os"
	"time"
)

// beginSync starts a sync of all that is written, unless one runs: then the next begins when that has ended.
func (w *writer) beginSync() {
	if w.syncing != nil {
		return
	}
	w.shared, w.waiting = w.waiting, w.shared[:0]
	w.covered, w.due = w.file.size, nil
	done, out, again := make(chan error, 1), w.out, section{-1, -1}
	if w.failed {
		again = section{w.synced, w.covered}
	}
	go func() { done <- syncFile(out, again) }() // close and rotateIfDue wait for it by settle
	w.syncing = done
}

// endSync takes the outcome of the running sync.
func (w *writer) endSync(err error) {
	w.syncing, w.failed = nil, err != nil
	if err == nil {
		w.synced = w.covered
	} else {
		w.log.Error().Err(err).Msg("syncing the journal failed; it is tried again")
	}
	for _, r := range w.shared {
		r.err = err
		r.answered <- struct{}{}
	}
	clear(w.shared)
	w.shared = w.shared[:0]
	if w.synced < w.file.size {
		w.due = time.After(syncAfter)
	}
}

// settle syncs all that is written, and waits for that.
func (w *writer) settle() error {
	if w.syncing != nil {
		w.endSync(<-w.syncing)
	}
	if w.synced == w.file.size && len(w.waiting) == 0 {
		return nil
	}
	w.beginSync()
	err := <-w.syncing
	w.endSync(err)
	return err
}

type section struct{ start, end int64 }

// syncFile syncs f. After a sync that failed, Linux takes the pages it was about for clean, and the next sync would
// succeed without them: so that section is written once more.
func syncFile(f *os.File, again section) error {
	if again.end > again.start {
		r := io.NewSectionReader(f, again.start, again.end-again.start)
		if _, err := io.Copy(io.NewOffsetWriter(f, again.start), r); err != nil {
			return err
		}
	}
	return f.Sync()
}
