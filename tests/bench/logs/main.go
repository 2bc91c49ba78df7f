// Logs measures what logging costs a daemon, and what the log and enrichment services store and answer on one core, and
// checks the figures that must hold.
//
// It prints tables and then one line per figure: ok or short, its name, what was measured, and the bar. It exits with
// status 1 when a figure is short, 2 when it could not measure. All traffic is on loopback.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"shoal/rpclog"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	limit        = 20 * time.Minute // for the whole run
	readyTimeout = 30 * time.Second
)

// A figure is one thing measured: it prints its tables to standard output and returns its verdicts.
type figure struct {
	name    string
	measure func(context.Context, *bench) ([]report.Verdict, error)
}

var figures = []figure{
	{"calls", calls},
	{"append", appends},
	{"enrich", enrich},
	{"faults", slowdown},
}

// bench is what the figures share.
type bench struct {
	shoal string // path of the program
	dir   string // a folder of its own, removed at the end
}

func main() {
	err := run()
	switch {
	case err == nil:
	case errors.Is(err, report.ErrShort):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench-log:", err)
		os.Exit(2)
	}
}

func run() (err error) {
	program := flag.String("shoal", "bin/shoal", "the program whose services are measured")
	parent := flag.String("dir", "/var/tmp", "where the files go: on a disk, with 1 GiB free")
	only := flag.String("only", "", "figures to measure, separated by commas: calls, append, enrich, faults (default: all)")
	flag.Parse()
	chosen := slices.DeleteFunc(slices.Clone(figures), func(f figure) bool {
		return *only != "" && !slices.Contains(strings.Split(*only, ","), f.name)
	})
	if len(chosen) == 0 {
		return fmt.Errorf("there is no figure %q", *only)
	}
	path, err := filepath.Abs(*program)
	if err != nil {
		return fmt.Errorf("finding the program to measure: %w", err)
	}
	dir, err := os.MkdirTemp(*parent, "shoal-bench-log-")
	if err != nil {
		return fmt.Errorf("making a folder for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %v", limit))
	defer cancel()
	var verdicts []report.Verdict
	for _, f := range chosen {
		fmt.Fprintf(os.Stderr, "bench-log: measuring %s\n", f.name)
		got, err := f.measure(ctx, &bench{shoal: path, dir: dir})
		if err != nil {
			return fmt.Errorf("measuring %s: %w", f.name, err)
		}
		verdicts = append(verdicts, got...)
	}
	return report.Print(verdicts)
}

// running is a service of shoal that runs on one core.
type running struct {
	*proc.Daemon
	event struct{ Address, Key, Socket, URL string } // what it said of itself
}

// logService starts a log service and returns it with its key.
func (b *bench) logService(ctx context.Context, name string) (*running, *rpclog.Key, error) {
	s, err := b.start(ctx, name, "rpclog")
	if err != nil {
		return nil, nil, err
	}
	key, err := rpclog.LoadKey(s.event.Key)
	if err != nil {
		return nil, nil, errors.Join(err, s.Stop())
	}
	return s, key, nil
}

// start starts the command of shoal, on one core and with one thread for Go, and waits until it listens.
func (b *bench) start(ctx context.Context, name, command string) (*running, error) {
	lines := proc.NewLines()
	s := new(running)
	err := onOneCore(func() (err error) {
		s.Daemon, err = proc.Start(ctx, b.dir, name, proc.Command{
			Args: []string{b.shoal, command, "--listen", "127.0.0.1:0", "--state", filepath.Join(b.dir, name), "--json"},
			Env:  append(os.Environ(), "GOMAXPROCS=1"),
		}, lines)
		return err
	})
	if err != nil {
		return nil, err
	}
	fail := func(why string) (*running, error) { return nil, errors.Join(s.Failure(why), s.Stop()) }
	select {
	case line := <-lines.C:
		if err := json.Unmarshal([]byte(line), &s.event); err != nil {
			return fail(fmt.Sprintf("wrote %q, not an event (%v)", line, err))
		}
		return s, nil
	case <-s.Exited():
		return fail("ended at once")
	case <-time.After(readyTimeout):
		return fail(fmt.Sprintf("was not ready after %v", readyTimeout))
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), s.Stop())
	}
}
