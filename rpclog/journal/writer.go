package journal

import (
	"errors"
	"fmt"
	"os"
	"time"

	"shoal/folder"
	"shoal/rpclog"
)

// writer owns the file that is written to, and the marks. Its methods run in the goroutine of run.
type writer struct {
	*series
	marks *marks

	out   *os.File // nil before the first entry
	file  file     // size is where the next line goes
	first int64    // bytes of the first line
	torn  bool     // a failed write may have left something beyond file.size

	// Syncing goes on beside appending: one sync at a time, which all share who wait when it begins.
	synced  int64            // bytes that would survive a power cut
	syncing chan error       // what the running sync will say; nil if none runs
	covered int64            // bytes that the running sync is about
	shared  []*request       // those that wait for the running sync
	waiting []*request       // those that wait for the next one
	due     <-chan time.Time // when what is unsynced must be synced though nobody waits; nil if nothing is
	failed  bool             // the last sync failed: what it was about must be written again
}

// syncAfter is how long a line may be unsynced before a sync begins; the promise is a second.
const syncAfter = 500 * time.Millisecond

func (w *writer) run() {
	for {
		select {
		case r := <-w.requests:
			w.serve(r)
		case err := <-w.syncing:
			w.endSync(err)
		case <-w.due:
			w.due = nil
			w.beginSync()
		case <-w.stop:
			w.closeErr = w.close()
			return
		}
		if len(w.waiting) > 0 {
			w.beginSync()
		}
	}
}

// close answers who waits, and leaves the file whole and synced.
func (w *writer) close() error {
	if w.out == nil {
		return nil
	}
	err := w.settle()
	if w.torn {
		err = errors.Join(err, w.cut())
	}
	return errors.Join(err, w.out.Close())
}

// serve stores a batch, and answers unless it has to wait for a sync.
func (w *writer) serve(r *request) {
	if r.err = w.store(r); r.err == nil && r.batch.Sync && w.synced < w.file.size {
		w.waiting = append(w.waiting, r)
		return
	}
	r.answered <- struct{}{}
}

func (w *writer) store(r *request) error {
	b := r.batch
	mark, n := w.marks.of(b.Sender), uint64(len(b.Entries))
	var known uint64 // entries that are stored already
	if b.First <= mark {
		known = min(mark-b.First+1, n)
	}
	if known < n {
		if err := w.write(r, int(known)); err != nil {
			return err
		}
	}
	w.note(b, mark, int(known))
	if n > 0 {
		mark = max(mark, b.First+n-1)
		w.marks.raise(b.Sender, mark)
	}
	r.result = rpclog.Result{Stored: uint32(n - known), Duplicates: uint32(known), Mark: mark}
	return nil
}

// write appends the lines of a batch but those of the first entries, which are known.
func (w *writer) write(r *request, known int) error {
	lines := r.lines
	if known > 0 {
		lines = lines[r.ends[known-1]:]
	}
	if err := w.rotateIfDue(int64(len(lines))); err != nil {
		return err
	}
	if w.torn {
		if err := w.cut(); err != nil {
			return err
		}
	}
	if _, err := w.out.WriteAt(lines, w.file.size); err != nil {
		w.torn = true
		_ = w.cut() // tried again before the next write
		return err
	}
	w.file.size += int64(len(lines))
	if w.due == nil && w.syncing == nil {
		w.due = time.After(syncAfter)
	}
	return nil
}

// note makes what was written visible, and counts it; mark is the sender's before.
func (w *writer) note(b *rpclog.Batch, mark uint64, known int) {
	var lost, missing uint64
	for i := range b.Entries[known:] {
		lost += b.Entries[known+i].Lost
	}
	if b.First > mark && len(b.Entries) > 0 {
		missing = b.First - mark - 1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out != nil {
		w.files[len(w.files)-1].size = w.file.size
	}
	w.count.Stored += uint64(len(b.Entries) - known)
	w.count.Duplicates += uint64(known)
	w.count.Lost += lost
	w.count.Missing += missing
}

// cut removes what a failed write left.
func (w *writer) cut() error {
	if err := w.out.Truncate(w.file.size); err != nil {
		return err
	}
	w.torn = false
	return nil
}

// rotateIfDue begins a new file where there is none, or the present one is another day's or would become too long by
// that many bytes. Each has one batch at least.
func (w *writer) rotateIfDue(more int64) error {
	today := time.Now().UTC().Format(time.DateOnly)
	entries := w.file.size - w.first
	if w.out != nil && w.file.day == today && (entries == 0 || entries+more <= w.fileLimit) {
		return nil
	}
	if w.out != nil {
		// The new file says what has come before: that must be true after a power cut, too.
		if err := w.settle(); err != nil {
			return err
		}
	}
	next := file{number: w.file.number + 1, day: today}
	line, err := w.marks.line()
	if err != nil {
		return err
	}
	out, err := create(w.path(next), line)
	if err == nil {
		if err = folder.Sync(w.dir); err != nil {
			err = errors.Join(err, out.Close(), os.Remove(out.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("beginning a new file: %w", err)
	}
	if w.out != nil {
		if w.torn {
			_ = w.cut() // else it is repaired when the journal is opened again
		}
		_ = w.out.Close() // it is synced
	}
	next.size = int64(len(line))
	w.out, w.file, w.first, w.synced, w.torn = out, next, next.size, next.size, false
	w.mu.Lock()
	w.files = append(w.files, next)
	w.mu.Unlock()
	select {
	case w.finished <- struct{}{}:
	default: // the keeper will look at all there are
	}
	return nil
}

// create makes a file with a first line, synced, or leaves none.
func create(path string, line []byte) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(line, 0)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}
