package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/folder"
	"shoal/server/clock"
	"shoal/server/meta"
)

// clockFile is the file of the latest time that the server has told: a line, as RFC 3339 has it.
const clockFile = "clock"

const (
	// lookEvery is how soon it is noticed that the clock was set.
	lookEvery = time.Second
	// noteEvery is how old the time in the file may be.
	noteEvery = 30 * time.Second
)

// errClockSet is why sessions end when the clock was set.
var errClockSet = shoal.Errorf(shoal.Busy, "the server's clock was set; connect again to learn its time")

// timekeeper has the clock by which tickets are given, and sees to it that all go by the same time.
type timekeeper struct {
	clock   *clock.Clock
	times   *meta.Times // of the realm's other servers; nil where this one is alone
	path    string      // of the clock file
	relearn func()      // makes all who learned the time learn it again
	log     zerolog.Logger

	noted time.Time // in the file; one goroutine's
}

// openTimekeeper reads what time was told last, and asks the other servers, if there can be any.
func (s *Server) openTimekeeper(ctx context.Context, dir string) (*timekeeper, error) {
	k := &timekeeper{path: filepath.Join(dir, clockFile), relearn: func() { s.host.EndAll(errClockSet) }, log: s.log}
	var err error
	if k.noted, err = readClockFile(k.path); err != nil {
		return nil, err
	}
	k.clock = clock.New(k.noted)
	if !s.keeper.alone {
		k.times = s.keeper.store.NewTimes(s.state.server.Public(), clock.Lasts)
		k.exchange(ctx)
	}
	if err := k.clock.Check(); err != nil {
		k.log.Error().Err(err).Msg("no tickets")
	}
	return k, nil
}

func readClockFile(path string) (latest time.Time, err error) {
	line, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return latest, nil
	}
	if err != nil {
		return latest, fmt.Errorf("reading when the server ran last: %w", err)
	}
	if latest, err = time.Parse(time.RFC3339Nano, strings.TrimSpace(string(line))); err != nil {
		return latest, shoal.Errorf(shoal.Corrupt, "%s is no time; remove it, if this machine's clock is right", path)
	}
	return latest, nil
}

// run watches the clock until ctx ends. A nil timekeeper does nothing.
func (k *timekeeper) run(ctx context.Context) {
	if k == nil {
		return
	}
	var exchanging sync.WaitGroup
	defer exchanging.Wait()
	if k.times != nil {
		exchanging.Go(func() { every(ctx, clock.Every, func() { k.exchange(ctx) }) })
	}
	right := true
	every(ctx, lookEvery, func() {
		if k.clock.Look() {
			k.log.Warn().Msg("the clock was set; all who are connected must connect again to learn the time")
			k.relearn()
		}
		err := k.clock.Check()
		if err != nil && right {
			k.log.Error().Err(err).Msg("no tickets")
		}
		right = err == nil
		k.note(noteEvery)
	})
	k.note(0)
}

// every does something at intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// exchange tells the other servers the time and hears theirs.
func (k *timekeeper) exchange(ctx context.Context) {
	told, err := k.times.Exchange(ctx, time.Now())
	if err != nil {
		if ctx.Err() == nil {
			k.log.Warn().Err(err).Msg("this server's clock is not compared")
		}
		return
	}
	k.heard(told)
}

func (k *timekeeper) heard(told map[[32]byte]meta.Told) {
	heard := make(map[clock.Server]clock.Told, len(told))
	for server, t := range told {
		heard[server] = clock.Told(t)
	}
	k.clock.Heard(heard)
}

// note writes down the latest time where that is off by more than the interval from what is written.
func (k *timekeeper) note(interval time.Duration) {
	latest := k.clock.Latest()
	if latest.Sub(k.noted).Abs() <= interval {
		return
	}
	k.noted = latest // else a full disk would be told of each second
	if err := folder.Replace(k.path, []byte(latest.UTC().Format(time.RFC3339Nano)+"\n")); err != nil {
		k.log.Warn().Err(err).Msg("the time is not written down")
	}
}
