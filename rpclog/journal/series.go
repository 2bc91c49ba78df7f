package journal

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

const (
	plainSuffix      = ".jsonl"
	compressedSuffix = ".jsonl.gz"
	unfinishedSuffix = ".tmp"
)

// file is one file of a series.
type file struct {
	number     uint64
	day        string // the day it was begun, 2006-01-02
	compressed bool
	size       int64 // bytes on disk; of the file that is written to, those of whole lines
}

func (f file) name(prefix string) string {
	suffix := plainSuffix
	if f.compressed {
		suffix = compressedSuffix
	}
	return fmt.Sprintf("%s-%s-%06d%s", prefix, f.day, f.number, suffix)
}

func parseName(prefix, name string) (f file, ok bool) {
	name, ok = strings.CutPrefix(name, prefix+"-")
	if !ok {
		return f, false
	}
	if name, f.compressed = strings.CutSuffix(name, compressedSuffix); !f.compressed {
		if name, ok = strings.CutSuffix(name, plainSuffix); !ok {
			return f, false
		}
	}
	if len(name) < len(time.DateOnly)+2 || name[len(time.DateOnly)] != '-' {
		return f, false
	}
	f.day = name[:len(time.DateOnly)]
	if _, err := time.Parse(time.DateOnly, f.day); err != nil {
		return f, false
	}
	number, err := strconv.ParseUint(name[len(time.DateOnly)+1:], 10, 63)
	f.number = number
	return f, err == nil && number > 0
}

// series is the files of verified entries, or those of the others.
type series struct {
	dir, prefix string
	fileLimit   int64
	keepLimit   int64
	log         zerolog.Logger

	requests chan *request // to the writer
	finished chan struct{} // to the keeper: there is a file to compress
	stop     chan struct{}
	running  sync.WaitGroup
	closeErr error // the writer's, when running has ended

	mu    sync.Mutex // guards what is below; held for moments, and never with a file's input or output
	files []file     // by number; the last may be written to, the others are finished
	count rpclog.Stats
}

func openSeries(dir, prefix string, fileLimit, keepLimit int64, senders int, log zerolog.Logger) (*series, error) {
	s := &series{
		dir: dir, prefix: prefix, fileLimit: fileLimit, keepLimit: keepLimit, log: log,
		requests: make(chan *request), finished: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	w, err := s.recover(senders)
	if err != nil {
		return nil, fmt.Errorf("opening the journal in %s: %w", dir, err)
	}
	s.finished <- struct{}{}
	s.running.Go(w.run)
	s.running.Go(s.keep)
	return s, nil
}

// Close ends the goroutines and waits for them.
func (s *series) Close() error {
	close(s.stop)
	s.running.Wait()
	return s.closeErr
}

func (s *series) path(f file) string { return filepath.Join(s.dir, f.name(s.prefix)) }

func (s *series) stats() (count rpclog.Stats, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		bytes += f.size
	}
	return s.count, bytes
}

// at returns the file with the number or, without that, the next one there is. last says that none follows: it may grow.
func (s *series) at(number uint64) (f file, last, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.files), func(i int) bool { return s.files[i].number >= number })
	if i == len(s.files) {
		return f, false, false
	}
	return s.files[i], i == len(s.files)-1, true
}

// before returns the latest file with a lower number.
func (s *series) before(number uint64) (f file, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.files), func(i int) bool { return s.files[i].number >= number })
	if i == 0 {
		return f, false
	}
	return s.files[i-1], true
}

// end is where the next entry will be.
func (s *series) end() position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		return position{}
	}
	last := s.files[len(s.files)-1]
	if last.compressed {
		return position{last.number + 1, 0}
	}
	return position{last.number, last.size}
}

// done returns the finished files, oldest first.
func (s *series) done() []file {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.files[:max(len(s.files)-1, 0)])
}

// update changes what is known of a file: f replaces the one with its number, which must be there.
func (s *series) update(f file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.files {
		if s.files[i].number == f.number {
			s.files[i] = f
		}
	}
}

func (s *series) forget(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = slices.DeleteFunc(s.files, func(f file) bool { return f.number == number })
}
