package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"shoal/tests/bench/proc"
)

// shoals is a crowd of shoal: each downloader has a peer that runs, to which its get hands the file when it has it.
type shoals struct {
	*swarm
	q       *square
	peers   []*proc.Daemon
	opening chan struct{}
	stays   []context.Context
	leaves  []context.CancelFunc
}

func (q *square) shoals(ctx context.Context) (_ gathering, err error) {
	devices := []string{"seed"}
	for i := range q.places {
		devices = append(devices, downloaderName(i))
	}
	s := &shoals{q: q, opening: make(chan struct{})}
	if s.swarm, err = startSwarm(ctx, q.Bench, filepath.Join(q.dir, "turn", "shoal"), q.server, devices); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.end())
		}
	}()
	if _, err := s.peer(ctx, q.seed, "seed"); err != nil {
		return nil, err
	}
	for i, place := range q.places {
		d, err := s.peer(ctx, place, downloaderName(i))
		if err != nil {
			return nil, err
		}
		stay, leave := context.WithCancel(ctx)
		s.peers, s.stays, s.leaves = append(s.peers, d), append(s.stays, stay), append(s.leaves, leave)
	}
	return s, s.publish(ctx, q.seed, "seed", q.source)
}

func downloaderName(i int) string { return fmt.Sprintf("downloader%d", i) }

func (s *shoals) fetch(ctx context.Context, i int) error {
	<-s.opening
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.stays[i], func() { cancel(errors.New("it left")) })()
	_, _, err := proc.Run(ctx, s.get(s.q.places[i], downloaderName(i), filepath.Join(s.q.folder(i), fileName)))
	return err
}

func (s *shoals) open() error {
	close(s.opening)
	return nil
}

func (s *shoals) leave(i int) error {
	s.leaves[i]()
	return s.peers[i].Stop()
}

func (s *shoals) end() error {
	for _, leave := range s.leaves {
		leave()
	}
	return s.stop()
}

// torrents is a crowd of libtorrent: each knows the seed and all others from the start, and serves on when it is done.
type torrents struct {
	daemons []*proc.Daemon
	said    []*proc.Lines
	seed    *proc.Daemon
	gate    string // the fifo that all wait at
	opened  *os.File
}

func (q *square) torrents(ctx context.Context) (_ gathering, err error) {
	dir := filepath.Join(q.dir, "turn")
	tor, err := newTorrent(ctx, dir, q.source)
	if err != nil {
		return nil, err
	}
	t := &torrents{gate: filepath.Join(dir, "gate")}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.end())
		}
	}()
	if err := syscall.Mkfifo(t.gate, 0o600); err != nil {
		return nil, fmt.Errorf("making a gate for the crowd: %w", err)
	}
	if t.seed, _, err = tor.daemon(ctx, "seed", tor.role("seed", q.seed, filepath.Dir(q.source))); err != nil {
		return nil, err
	}
	for i, place := range q.places {
		rest := []string{t.gate, torrentAt(q.seed)}
		for j, other := range q.places {
			if j != i {
				rest = append(rest, torrentAt(other))
			}
		}
		d, lines, err := tor.daemon(ctx, downloaderName(i), tor.role("join", place, q.folder(i), rest...))
		if err != nil {
			return nil, err
		}
		t.daemons, t.said = append(t.daemons, d), append(t.said, lines)
	}
	return t, nil
}

func (t *torrents) fetch(ctx context.Context, i int) error {
	select {
	case <-t.said[i].C: // there is only one thing left to say
		return nil
	case <-t.daemons[i].Exited():
		return t.daemons[i].Failure("ended")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// open lets all who wait at the gate read its end at once.
func (t *torrents) open() (err error) {
	if t.opened, err = os.OpenFile(t.gate, os.O_WRONLY, 0); err != nil {
		return fmt.Errorf("opening the gate for the crowd: %w", err)
	}
	return nil
}

func (t *torrents) leave(i int) error { return t.daemons[i].Stop() }

func (t *torrents) end() error {
	err := stopAll(t.daemons)
	if t.seed != nil {
		err = errors.Join(err, t.seed.Stop())
	}
	if t.opened != nil {
		err = errors.Join(err, t.opened.Close())
	}
	return err
}
