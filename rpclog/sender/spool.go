package sender

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"shoal/folder"
)

const (
	segmentSize   = 1 << 20 // bytes after which a file of the spool is followed by another
	segmentSuffix = ".spool"
	lossRoom      = 64 << 10 // bytes
)

// errFull says that the spool has reached its limit.
var errFull = errors.New("the spool is full")

// spool is a queue of batches in files of a folder, oldest first; one process at a time has it. A file is removed when
// all in it was delivered. What was written survives the process, but not a power cut within the half minute that the
// system may take to write it out. Not for concurrent use.
type spool struct {
	dir      string
	limit    int64 // bytes of all files
	lock     io.Closer
	segments []*segment // none is read to its end, but the last may be empty
	next     int        // the number of the next file
	buf      []byte     // of append
}

// segment is a file of the spool. One holds batches of this process, or of earlier ones.
type segment struct {
	file    *os.File
	read    int64 // where the first record is that is not delivered
	size    int64 // where the last one ends
	entries tally // of those not delivered
	earlier bool
}

// tally counts what batches hold.
type tally struct{ lines, lost uint64 }

func (t *tally) add(b *batch) { t.lines, t.lost = t.lines+b.lines, t.lost+b.lost }
func (t *tally) sub(b *batch) { t.lines, t.lost = t.lines-b.lines, t.lost-b.lost }

// openSpool opens the folder, which it makes if it is not there, and reads what earlier processes have left. What does
// not end in a whole record is cut; torn says how many bytes that were. The error has code Busy when another process has
// the folder.
func openSpool(dir string, limit int64) (s *spool, torn int64, err error) {
	lock, err := folder.Lock(dir, "process")
	if err != nil {
		return nil, 0, fmt.Errorf("opening the spool: %w", err)
	}
	s = &spool{dir: dir, limit: limit, lock: lock, next: 1}
	if torn, err = s.restore(); err != nil {
		return nil, 0, errors.Join(err, s.close())
	}
	return s, torn, nil
}

// restore opens the files that are there.
func (s *spool) restore() (torn int64, err error) {
	files, err := os.ReadDir(s.dir) // sorted by name, so by age
	if err != nil {
		return 0, fmt.Errorf("reading the spool: %w", err)
	}
	for _, file := range files {
		number, found := strings.CutSuffix(file.Name(), segmentSuffix)
		if !found {
			continue
		}
		if _, err := fmt.Sscanf(number, "%d", &s.next); err != nil {
			continue // not ours
		}
		s.next++
		f, err := os.OpenFile(filepath.Join(s.dir, file.Name()), os.O_RDWR, 0)
		if err != nil {
			return 0, fmt.Errorf("opening the spool: %w", err)
		}
		g := &segment{file: f, earlier: true}
		s.segments = append(s.segments, g)
		cut, err := g.restore()
		if err != nil {
			return 0, err
		}
		torn += cut
	}
	return torn, s.discard()
}

// restore finds the records of a segment and cuts what follows the last whole one.
func (g *segment) restore() (cut int64, err error) {
	info, err := g.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("opening the spool: %w", err)
	}
	for {
		b, err := readRecord(g.file, g.size, info.Size())
		if errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("reading the spool: %w", err)
		}
		g.entries.add(b)
		g.size += b.size()
	}
	if cut = info.Size() - g.size; cut > 0 {
		if err := g.file.Truncate(g.size); err != nil {
			return 0, fmt.Errorf("cutting a torn record off the spool: %w", err)
		}
	}
	return cut, nil
}

func (s *spool) empty() bool { return len(s.segments) == 0 || s.segments[0].read == s.segments[0].size }

// counts returns what is in the spool of this process, and of earlier ones.
func (s *spool) counts() (own, earlier tally) {
	for _, g := range s.segments {
		t := &own
		if g.earlier {
			t = &earlier
		}
		t.lines += g.entries.lines
		t.lost += g.entries.lost
	}
	return own, earlier
}

// append puts a batch of this process at the end. On an error, errFull or one of the disk, the spool is as it was. For
// batches that only say how many entries were lost there is some room beyond the limit.
func (s *spool) append(b *batch) error {
	total, limit := b.size(), s.limit
	for _, g := range s.segments {
		total += g.size
	}
	if b.lines == 0 {
		limit += lossRoom
	}
	if total > limit {
		return errFull
	}
	g, err := s.tail()
	if err != nil {
		return err
	}
	s.buf = appendRecord(s.buf[:0], b)
	if _, err := g.file.WriteAt(s.buf, g.size); err != nil {
		return errors.Join(fmt.Errorf("writing the spool: %w", err), g.file.Truncate(g.size))
	}
	g.size += b.size()
	g.entries.add(b)
	return nil
}

// tail returns the segment to append to.
func (s *spool) tail() (*segment, error) {
	if n := len(s.segments); n > 0 && !s.segments[n-1].earlier && s.segments[n-1].size < segmentSize {
		return s.segments[n-1], nil
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%012d%s", s.next, segmentSuffix))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("adding to the spool: %w", err)
	}
	s.next++
	g := &segment{file: f}
	s.segments = append(s.segments, g)
	return g, nil
}

// peek returns the first batch, joined with those that follow it as far as one APPEND may hold them; nil where there is
// none. The error is errTorn, or the disk's: then drop gets past it.
func (s *spool) peek() (*batch, error) {
	var first *batch
	for _, g := range s.segments {
		for at := g.read; at < g.size; {
			b, err := readRecord(g.file, at, g.size)
			if err != nil && first != nil {
				return first, nil // it is met again as the first
			}
			if err != nil {
				return nil, err
			}
			at += b.size()
			if first == nil {
				first = b
			} else if !first.join(b) {
				return first, nil
			}
		}
	}
	return first, nil
}

// advance removes all batches of b's sender up to the number of its last entry, of which b is the first ones.
func (s *spool) advance(b *batch) error {
	for _, g := range s.segments {
		for g.read < g.size {
			c, err := readRecord(g.file, g.read, g.size)
			if err != nil {
				return err
			}
			if c.sender != b.sender || c.last() > b.last() {
				return s.discard()
			}
			g.read += c.size()
			g.entries.sub(c)
		}
	}
	return s.discard()
}

// drop gives up what is left of the first segment, and returns what that was.
func (s *spool) drop() (gone tally, earlier bool, err error) {
	g := s.segments[0]
	gone, g.entries, g.read = g.entries, tally{}, g.size
	return gone, g.earlier, s.discard()
}

// discard removes the segments that are read to their end.
func (s *spool) discard() error {
	var err error
	s.segments = slices.DeleteFunc(s.segments, func(g *segment) bool {
		if g.read < g.size {
			return false
		}
		err = errors.Join(err, g.file.Close(), os.Remove(g.file.Name()))
		return true
	})
	if err != nil {
		return fmt.Errorf("removing what was delivered from the spool: %w", err)
	}
	return nil
}

// close makes what is there survive a power cut, and lets others have the folder.
func (s *spool) close() error {
	var err error
	for _, g := range s.segments {
		err = errors.Join(err, g.file.Sync(), g.file.Close())
	}
	if err = errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("closing the spool: %w", err)
	}
	return nil
}
