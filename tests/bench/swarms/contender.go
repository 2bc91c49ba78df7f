package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

// contender fetches the file from sources that are running, as often as it is asked to.
type contender struct {
	name string
	// command fetches to path.
	command func(path string) proc.Command
	// usage is what the sources have used since their start.
	usage func() (proc.Usage, error)
	stop  func() error

	walls, cpus       []time.Duration // of each turn; CPU time of the fetcher and the sources
	fetcher, toSource int64           // the largest peaks of memory, in bytes
}

// supply is sources that all have the file, and somebody who fetches it.
type supply struct {
	*report.Bench
	dir     string    // for logs and states
	server  machine   // where shoal's server runs
	sources []machine // source i has the file in folders[i]
	folders []string
	fetcher machine
}

// alternate lets the contenders take turns, and compares what the last turn of each has fetched. skip turns come first that do
// not count.
func (s *supply) alternate(ctx context.Context, contenders []*contender, skip, turns int) error {
	for turn := range skip + turns {
		for i := range contenders {
			c := contenders[(turn+i)%len(contenders)] // nobody always comes after the same one
			if err := settle(s.dir); err != nil {
				return err
			}
			if err := s.turn(ctx, c, turn >= skip, turn == skip+turns-1); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// turnLimit is how long a fetch may take; one that takes longer is not waited for, and counts as one that took so long.
const turnLimit = 90 * time.Second

var errTurnLimit = fmt.Errorf("not finished after %v", turnLimit)

// within runs a command that fetches, and cuts it short after turnLimit.
func within(ctx context.Context, c proc.Command) (use proc.Usage, stdout []byte, finished bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, turnLimit, errTurnLimit)
	defer cancel()
	use, stdout, err = proc.Run(ctx, c)
	if errors.Is(err, errTurnLimit) {
		fmt.Fprintf(os.Stderr, "bench-swarm: %v\n", err)
		use.Wall = turnLimit
		return use, nil, false, nil
	}
	return use, stdout, true, err
}

// turn fetches the file once, keeps what that took if it counts, and compares the bytes if they are to be.
func (s *supply) turn(ctx context.Context, c *contender, counts, compare bool) error {
	target := filepath.Join(s.dir, "target", fileName)
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("making a folder to fetch to: %w", err)
	}
	before, err := c.usage()
	if err != nil {
		return err
	}
	use, _, finished, err := within(ctx, c.command(target))
	if err != nil {
		return err
	}
	after, err := c.usage()
	if err != nil {
		return err
	}
	c.fetcher, c.toSource = max(c.fetcher, use.Peak), max(c.toSource, after.Peak)
	if counts {
		c.walls = append(c.walls, use.Wall)
		c.cpus = append(c.cpus, use.CPU+after.CPU-before.CPU)
		fmt.Fprintf(os.Stderr, "bench-swarm: %s: %s s\n", c.name, seconds(use.Wall))
	}
	if compare && finished {
		err = same(target, filepath.Join(s.folders[0], fileName))
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(target)))
}

// shoal is the contender whose sources are peers that have published the file. flags are of every command.
func (s *supply) shoal(ctx context.Context, name string, flags ...string) (*contender, error) {
	_, c, err := s.shoalSwarm(ctx, name, flags...)
	return c, err
}

const fetcherName = "fetcher"

func sourceName(i int) string { return fmt.Sprintf("source%d", i) }

// shoalSwarm is shoal with the swarm that the contender fetches from.
func (s *supply) shoalSwarm(ctx context.Context, name string, flags ...string) (_ *swarm, _ *contender, err error) {
	devices := []string{fetcherName}
	for i := range s.sources {
		devices = append(devices, sourceName(i))
	}
	sw, err := startSwarm(ctx, s.Bench, filepath.Join(s.dir, name), s.server, devices, flags...)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, sw.stop())
		}
	}()
	for i, source := range s.sources {
		if _, err := sw.peer(ctx, source, sourceName(i)); err != nil {
			return nil, nil, err
		}
		if err := sw.publish(ctx, source, sourceName(i), filepath.Join(s.folders[i], fileName)); err != nil {
			return nil, nil, err
		}
	}
	return sw, &contender{
		name: name, usage: sw.usage, stop: sw.stop,
		command: func(path string) proc.Command { return sw.get(s.fetcher, fetcherName, path) },
	}, nil
}

// start starts contenders one after the other. The caller must call stop, unless there is an error.
func start(ctx context.Context, starters ...func(context.Context) (*contender, error)) (list []*contender, stop func() error, err error) {
	stop = func() error {
		var err error
		for _, c := range list {
			err = errors.Join(err, c.stop())
		}
		return err
	}
	for _, starter := range starters {
		c, err := starter(ctx)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		list = append(list, c)
	}
	return list, stop, nil
}
