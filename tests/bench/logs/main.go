// Logs measures what logging costs a daemon, and what the log and enrichment services store and answer on one core, and
// checks the figures that must hold.
//
// It prints tables and then one line per figure: ok or short, its name, what was measured, and the bar. It exits with
// status 1 when a figure is short, 2 when it could not measure. All traffic is on loopback.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"shoal/rpclog"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

func main() {
	report.Program{
		Name:  "bench-log",
		Limit: 20 * time.Minute,
		Disk:  "on a disk, with 1 GiB free",
		Figures: []report.Figure{
			{Name: "calls", Measure: calls},
			{Name: "append", Measure: appends},
			{Name: "enrich", Measure: enrich},
			{Name: "faults", Measure: slowdown},
		},
	}.Main()
}

// running is a service of shoal that runs on one core.
type running struct {
	*proc.Daemon
	event struct{ Address, Key, Socket, URL string } // what it said of itself
}

// logService starts a log service and returns it with its key.
func logService(ctx context.Context, b *report.Bench, name string) (*running, *rpclog.Key, error) {
	s, err := start(ctx, b, name, "rpclog")
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
func start(ctx context.Context, b *report.Bench, name, command string) (*running, error) {
	lines := proc.NewLines()
	s := new(running)
	err := onOneCore(func() (err error) {
		s.Daemon, err = proc.Start(ctx, b.Dir, name, proc.Command{
			Args: []string{b.Shoal, command, "--listen", "127.0.0.1:0", "--state", filepath.Join(b.Dir, name), "--json"},
			Env:  append(os.Environ(), "GOMAXPROCS=1"),
		}, lines)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.Ready(ctx, lines, &s.event); err != nil {
		return nil, err
	}
	return s, nil
}
