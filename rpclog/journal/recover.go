package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// recover brings the folder in order after whatever ended the last run, and reads the marks. The writer that it returns
// is not running.
func (s *series) recover(senders int) (*writer, error) {
	if err := s.list(); err != nil {
		return nil, err
	}
	w := &writer{series: s, marks: newMarks(senders)}
	if err := w.reopen(); err != nil {
		return nil, err
	}
	if err := w.readMarks(); err != nil {
		if w.out != nil {
			err = errors.Join(err, w.out.Close())
		}
		return nil, err
	}
	return w, nil
}

// list finds the files, and removes what an interrupted compression left.
func (s *series) list() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if whole, cut := strings.CutSuffix(name, unfinishedSuffix); cut {
			if _, ours := parseName(s.prefix, whole); ours {
				if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
					return err
				}
			}
			continue
		}
		f, ours := parseName(s.prefix, name)
		if !ours || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		f.size = info.Size()
		s.files = append(s.files, f)
	}
	slices.SortFunc(s.files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(b.name(s.prefix), a.name(s.prefix)))
	})
	return s.dropCompressed()
}

// dropCompressed removes files whose compressed form is there: that is whole, else it would not have its name.
func (s *series) dropCompressed() error {
	kept := s.files[:0]
	for _, f := range s.files {
		if n := len(kept); n > 0 && kept[n-1].number == f.number {
			if err := os.Remove(s.path(f)); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, f)
	}
	s.files = kept
	return nil
}

// reopen makes the last file end where its last whole line ends, and opens it to go on there. A file that was only just
// begun, without a whole line, is removed.
func (w *writer) reopen() error {
	for n := len(w.files); n > 0; n = len(w.files) {
		w.file = w.files[n-1]
		w.synced = w.file.size
		if w.file.compressed {
			return nil // the next entry begins a new one
		}
		out, err := os.OpenFile(w.path(w.file), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		end, err := lastLine(out, w.file.size)
		if torn := w.file.size - end; err == nil && torn > 0 {
			w.log.Warn().Int64("bytes", torn).Str("file", w.file.name(w.prefix)).Msg("removed a line that a crash left unfinished")
			err = out.Truncate(end)
		}
		if err == nil {
			err = out.Sync()
		}
		if err != nil {
			return errors.Join(err, out.Close())
		}
		if end > 0 {
			w.out, w.file.size, w.synced = out, end, end
			w.files[n-1].size = end
			return nil
		}
		if err := errors.Join(out.Close(), os.Remove(out.Name())); err != nil {
			return err
		}
		w.files = w.files[:n-1]
	}
	return nil
}

// lastLine returns where the last whole line of f ends, which has size bytes.
func lastLine(f *os.File, size int64) (int64, error) {
	p := &plainBlocks{File: f, limit: size}
	for end := size; end > 0; {
		b, err := p.previous(end)
		if err != nil {
			return 0, err
		}
		for lines := b.lines; len(lines) > 0; {
			i := bytes.LastIndexByte(lines[:len(lines)-1], '\n') + 1
			if line := lines[i:]; line[len(line)-1] == '\n' && json.Valid(line) {
				return b.start + int64(len(lines)), nil
			}
			lines = lines[:i]
		}
		end = b.start
	}
	return 0, nil
}

// readMarks reads them from the last file that says how things stood at its beginning, which is the last file unless
// somebody has damaged it.
func (w *writer) readMarks() error {
	first := len(w.files) - 1
	for ; first > 0; first-- {
		line, err := w.firstLine(w.files[first])
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(firstLineStart)) {
			break
		}
	}
	marks := lineMarks{marks: w.marks}
	for _, f := range w.files[max(first, 0):] {
		if err := w.readFile(f, &marks); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) firstLine(f file) ([]byte, error) {
	in, err := w.open(f, "")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := in.next(0)
	line, _, _ := bytes.Cut(b.lines, []byte{'\n'})
	return bytes.Clone(line), err
}

func (w *writer) readFile(f file, marks *lineMarks) error {
	in, err := w.open(f, "")
	if err != nil {
		return err
	}
	defer in.Close()
	for offset := int64(0); ; {
		b, err := in.next(offset)
		if err != nil {
			return err
		}
		if b.end == offset {
			return nil
		}
		b.eachLine(func(line []byte, start int64) bool {
			switch {
			case start > 0:
				marks.read(line)
			case w.marks.readLine(line):
				w.first = int64(len(line)) + 1
			default:
				w.first = 0
				marks.read(line)
			}
			return true
		})
		offset = b.end
	}
}
