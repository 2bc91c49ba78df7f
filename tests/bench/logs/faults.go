package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"shoal/tests/bench/report"
	"shoal/tests/faults"
)

const (
	faultRounds = 7
	faultLines  = 30_000 // mutations of a load, of which each is a line of the log
)

// outage is what is done to a service in the middle of a load, and how that is ended.
type outage struct {
	name       string
	begin, end func(*faults.Service, *faults.Proxy) error
}

var outages = []outage{
	{"killed", func(s *faults.Service, _ *faults.Proxy) error { return s.Kill() }, restart},
	{"hung", func(s *faults.Service, _ *faults.Proxy) error { return s.Hang() }, func(s *faults.Service, _ *faults.Proxy) error { return s.Continue() }},
	{
		"black hole", func(_ *faults.Service, p *faults.Proxy) error { p.Swallow(true); return nil },
		func(_ *faults.Service, p *faults.Proxy) error { p.Swallow(false); return nil },
	},
	{"restarted", func(s *faults.Service, p *faults.Proxy) error { return errors.Join(s.Stop(), restart(s, p)) }, nil},
}

func restart(s *faults.Service, _ *faults.Proxy) error { return s.Restart(s.Said("address")) }

// slowdown measures by how much clients are slower while a service fails, against the same load with healthy services.
// All files are in memory: the server waits for its own syncs, and a shared disk's take longer or shorter by more than
// what is measured.
func slowdown(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	dir, err := os.MkdirTemp("/dev/shm", "shoal-bench-log-")
	if err != nil {
		return nil, fmt.Errorf("making a folder in memory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := faults.Open(b.Shoal, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	load, err := w.NewLoad(ctx)
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if _, err := load.Run(ctx, faultLines, nil); err != nil { // warm
		return nil, err
	}
	rows := []string{"service\tis\ttakes"}
	worst := 0.0
	for _, s := range []struct {
		name    string
		service *faults.Service
		proxy   *faults.Proxy
	}{{"log", w.Log, w.LogProxy}, {"enrichment", w.Soap, w.SoapProxy}} {
		for _, o := range outages {
			slower, err := compare(ctx, w, load, func(percent int) error {
				switch {
				case percent == 20:
					return o.begin(s.service, s.proxy)
				case percent == 80 && o.end != nil:
					return o.end(s.service, s.proxy)
				}
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("the %s service %s: %w", s.name, o.name, err)
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%+.1f %%", s.name, o.name, slower))
			worst = max(worst, slower)
		}
	}
	return []report.Verdict{{Name: "slowdown", Measured: worst, Bar: 5, Unit: " %"}},
		report.Table("\nHow much longer requests and downloads take while a service fails, medians", rows)
}

// compare runs the load with and without a fault in turns, and returns by how many percent it takes longer with it: the
// median over all rounds.
func compare(ctx context.Context, w *faults.World, load *faults.Load, fault func(percent int) error) (float64, error) {
	var slower []float64
	for round := range faultRounds {
		var healthy, failing time.Duration
		for turn := range 2 {
			var err error
			if (round+turn)%2 == 0 {
				healthy, err = load.Run(ctx, faultLines, nil)
			} else {
				failing, err = runFailing(ctx, load, fault)
			}
			if err = errors.Join(err, w.Settle(ctx)); err != nil {
				return 0, err
			}
		}
		slower = append(slower, 100*(failing.Seconds()/healthy.Seconds()-1))
	}
	return report.Median(slower), nil
}

func runFailing(ctx context.Context, load *faults.Load, fault func(percent int) error) (time.Duration, error) {
	failed := make(chan error, 2)
	took, err := load.Run(ctx, faultLines, func(percent int) {
		if err := fault(percent); err != nil {
			failed <- err
		}
	})
	select {
	case failure := <-failed:
		err = errors.Join(err, failure)
	default:
	}
	return took, err
}
