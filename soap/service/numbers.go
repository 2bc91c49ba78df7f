package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"shoal"
	"shoal/folder"
	"shoal/soap"
)

// reserve is how many numbers are set aside in the file at a time, so that it is written seldom.
const reserve = 1 << 20

// numbers gives each number once, also over restarts: the file numbers in the state folder says up to where they may
// have been given, and is on the disk before one of them is. Where the file was lost, they go on from the time in
// microseconds, which no clock that was right and no load that is possible has got to before.
type numbers struct {
	dir    string
	lock   io.Closer // held as long as it is open
	wanted chan wanted
	done   chan struct{} // closed when the goroutine has ended
	stop   chan struct{}

	next, reserved uint64 // of the goroutine alone: the next to be given, and the first that must not be
}

type wanted struct {
	count uint64
	given chan given
}

type given struct {
	first uint64
	err   error
}

// openNumbers begins to give numbers. The error has code Busy where another service gives them from the same folder, and
// Corrupt where the file cannot be read.
func openNumbers(dir string, now time.Time) (*numbers, error) {
	lock, err := folder.Lock(dir, "enrichment service")
	if err != nil {
		return nil, err
	}
	n := &numbers{dir: dir, lock: lock, wanted: make(chan wanted), done: make(chan struct{}), stop: make(chan struct{})}
	if err := n.load(now); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	go n.run()
	return n, nil
}

func (n *numbers) load(now time.Time) error {
	text, err := os.ReadFile(n.path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading which numbers were given: %w", err)
	}
	if err == nil {
		if n.next, err = strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64); err != nil {
			return shoal.Errorf(shoal.Corrupt, "%s does not say which numbers were given; write one into it that is above all of them, or remove it if this clock is right", n.path())
		}
	}
	n.next = max(n.next, uint64(max(now.UnixMicro(), 1)))
	return n.setAside()
}

func (n *numbers) path() string { return filepath.Join(n.dir, "numbers") }

// setAside makes sure that there are numbers to give that no later process will.
func (n *numbers) setAside() error {
	if n.next > math.MaxUint64-reserve {
		return errors.New("all numbers have been given")
	}
	until := n.next + reserve
	if err := folder.Replace(n.path(), []byte(strconv.FormatUint(until, 10)+"\n")); err != nil {
		return fmt.Errorf("setting numbers aside: %w", err)
	}
	n.reserved = until
	return nil
}

func (n *numbers) run() {
	defer close(n.done)
	for {
		select {
		case w := <-n.wanted:
			first, err := n.give(w.count)
			w.given <- given{first, err}
		case <-n.stop:
			return
		}
	}
}

func (n *numbers) give(count uint64) (first uint64, err error) {
	if n.reserved-n.next < count {
		if err := n.setAside(); err != nil {
			return 0, err
		}
	}
	first = n.next
	n.next += count
	return first, nil
}

// take returns the first of count numbers, at most soap.MaxCount.
func (n *numbers) take(ctx context.Context, count int) (first uint64, err error) {
	if count < 1 || count > soap.MaxCount {
		return 0, shoal.Errorf(shoal.BadRequest, "%d numbers at once", count)
	}
	w := wanted{uint64(count), make(chan given, 1)}
	select {
	case n.wanted <- w:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	g := <-w.given
	return g.first, g.err
}

// close ends it, when nobody takes any more.
func (n *numbers) close() error {
	close(n.stop)
	<-n.done
	return n.lock.Close()
}
