package meta

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal"
)

const (
	// minFree is how many bytes must be free for mutations.
	minFree = 256 << 20
	// reserved is the size of the reserve, in bytes: more than etcd writes to end what it has begun.
	reserved = 64 << 20
	// released is how few bytes are free when the reserve is given up.
	released = 96 << 20
	// remade is how many are free when it is made again.
	remade = minFree + reserved + 64<<20
	// look is how often the disk is looked at.
	look = 100 * time.Millisecond
)

// space watches how much the disk can still take. etcd ends the process when it cannot write, so mutations are refused
// before that, and a file that holds a reserve is removed when others fill the disk, so that etcd can go on with what
// it does by itself.
type space struct {
	folder  string
	reserve string // path of the file
	free    func(folder string) (uint64, error)
	log     zerolog.Logger
	left    atomic.Uint64 // bytes free when last looked
	there   bool          // the reserve; of watch's goroutine
}

func newSpace(folder string, free func(string) (uint64, error), log zerolog.Logger) (*space, error) {
	if free == nil {
		free = freeBytes
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for etcd: %w", err)
	}
	w := &space{folder: folder, reserve: filepath.Join(folder, "reserve"), free: free, log: log}
	info, err := os.Stat(w.reserve)
	w.there = err == nil && info.Size() == reserved
	w.look()
	if w.left.Load() < released && !w.there {
		return nil, shoal.Errorf(shoal.NoSpace, "%d MiB are free in %s; %d MiB are needed to start: make some space", w.left.Load()>>20, folder, released>>20)
	}
	return w, nil
}

// check refuses where there is too little space; for any goroutine. The error has code NoSpace.
func (w *space) check() error {
	if w == nil {
		return nil
	}
	if left := w.left.Load(); left < minFree {
		return shoal.Errorf(shoal.NoSpace, "%d MiB are free on the server's disk, and nothing is changed below %d MiB; nothing is lost: make some space there", left>>20, minFree>>20)
	}
	return nil
}

// watch looks at the disk until ctx ends.
func (w *space) watch(ctx context.Context) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look notes how much is free, and releases or makes the reserve.
func (w *space) look() {
	free, err := w.free(w.folder)
	if err != nil {
		w.log.Warn().Err(err).Msg("how much space the disk has is not known")
		return
	}
	before := w.left.Swap(free)
	if free < minFree && (before >= minFree || before == 0) {
		w.log.Error().Uint64("free_bytes", free).Msg("the disk is almost full: nothing can be changed until there is space")
	}
	switch {
	case free < released && w.there:
		if err := os.Remove(w.reserve); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.log.Error().Err(err).Msg("releasing the reserve of disk space")
			return
		}
		w.there = false
		w.log.Error().Uint64("free_bytes", free).Msg("the reserve of disk space is released")
	case free >= remade && !w.there:
		if err := w.make(); err != nil {
			w.log.Warn().Err(err).Msg("making the reserve of disk space")
			return
		}
		w.there = true
	}
}

// make allocates the reserve.
func (w *space) make() error {
	f, err := os.OpenFile(w.reserve, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserved)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = fill(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(w.reserve)
	}
	return err
}

// fill writes the reserve where the filesystem cannot allocate it.
func fill(f *os.File) error {
	zeros := make([]byte, 1<<20)
	for range reserved / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}

func freeBytes(folder string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("looking at the disk of %s: %w", folder, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
