package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	readRounds  = 9 // and one before them that is thrown away
	readCounted = 5 // those in which other programs took the least of the machine
	readTime    = 1500 * time.Millisecond

	readsBar   = 600_000 // a second
	steadyRate = readsBar / 2
	stuck      = 30 * time.Second // without an answer
)

// readRound is what one round says.
type readRound struct {
	rate      float64 // replies a second
	latencies []time.Duration
	spent     proc.Spent
}

// reads measures how many LOOKUPs a second a server answers to those who may, and how long answers take at half the rate
// that it must reach.
func reads(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	l, err := openLibrary(ctx, b, "reads")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	askers, err := l.askers()
	if err != nil {
		return nil, err
	}
	busy, err := l.rounds(ctx, func() (readRound, error) { return askAtOnce(askers) })
	if err != nil {
		return nil, err
	}
	steady, err := l.rounds(ctx, func() (readRound, error) { return askSteadily(askers) })
	if err != nil {
		return nil, err
	}
	return readVerdicts(busy, steady)
}

// rounds returns what the calmest of several rounds say.
func (l *library) rounds(ctx context.Context, round func() (readRound, error)) ([]readRound, error) {
	var all []readRound
	for i := range 1 + readRounds {
		load, err := proc.StartLoad(l.Daemon)
		if err != nil {
			return nil, err
		}
		r, err := round()
		if err != nil {
			return nil, err
		}
		if r.spent, err = load.Spent(); err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, r)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	slices.SortFunc(all, func(a, b readRound) int { return cmp.Compare(a.spent.Others, b.spent.Others) })
	return all[:readCounted], nil
}

// each calls do for all askers at the same time, and returns their errors.
func each(askers []*asker, do func(i int, a *asker) error) error {
	all := make([]error, len(askers))
	var working sync.WaitGroup
	for i, a := range askers {
		working.Go(func() { all[i] = do(i, a) })
	}
	working.Wait()
	return errors.Join(all...)
}

// askAtOnce has every asker send a burst, and the next one when all of it has been answered.
func askAtOnce(askers []*asker) (readRound, error) {
	begin := time.Now()
	replies := make([]int, len(askers))
	err := each(askers, func(i int, a *asker) error {
		if err := a.nc.SetDeadline(begin.Add(stuck)); err != nil {
			return err
		}
		for time.Since(begin) < readTime {
			if err := a.send(); err != nil {
				return err
			}
			for left := burst; left > 0; {
				n, err := a.receive(nil)
				if err != nil {
					return err
				}
				left -= n
				replies[i] += n
			}
		}
		return nil
	})
	took, sum := time.Since(begin), 0
	for _, n := range replies {
		sum += n
	}
	return readRound{rate: float64(sum) / took.Seconds()}, err
}

// askSteadily has the askers send bursts at fixed times, one asker after the other, however long the answers take. What a
// latency is counted from is when the burst was due.
func askSteadily(askers []*asker) (readRound, error) {
	period := time.Second * time.Duration(burst*len(askers)) / steadyRate
	count := int(readTime / period)
	begin := time.Now().Add(period)
	of := make([][]time.Duration, len(askers))
	err := each(askers, func(i int, a *asker) error {
		first := begin.Add(period * time.Duration(i) / time.Duration(len(askers)))
		var err error
		of[i], err = a.askSteadily(first, period, count)
		return err
	})
	took := time.Since(begin)
	all := slices.Concat(of...)
	slices.Sort(all)
	return readRound{rate: float64(len(all)) / took.Seconds(), latencies: all}, err
}

// askSteadily sends count bursts, the first one when it is due and each one a period after the one before.
func (a *asker) askSteadily(first time.Time, period time.Duration, count int) (latencies []time.Duration, err error) {
	if err := a.nc.SetDeadline(first.Add(readTime + stuck)); err != nil {
		return nil, err
	}
	start, got := a.next, 0
	room := make(chan struct{}, bursts/2) // for what is on its way
	failed := make(chan struct{})
	var sending sync.WaitGroup
	var sendErr error
	sending.Go(func() {
		for k := range count {
			time.Sleep(time.Until(first.Add(time.Duration(k) * period)))
			select {
			case room <- struct{}{}:
			case <-failed:
				return
			}
			if sendErr = a.send(); sendErr != nil {
				return
			}
		}
	})
	latencies = make([]time.Duration, 0, count*burst)
	for len(latencies) < count*burst {
		var now time.Time
		_, err = a.receive(func(i int) {
			if now.IsZero() {
				now = time.Now()
			}
			k := nearest(got/burst, i-start)
			latencies = append(latencies, now.Sub(first.Add(time.Duration(k)*period)))
			if got++; got%burst == 0 {
				<-room
			}
		})
		if err != nil {
			break
		}
	}
	close(failed)
	sending.Wait()
	return latencies, errors.Join(err, sendErr)
}

// nearest returns the number nearest to near that is i in the ring of bursts: the replies that come are of bursts which were
// sent one soon after the other.
func nearest(near, i int) int {
	const half = bursts / 2
	d := (i - near + half) % bursts
	if d < 0 {
		d += bursts
	}
	return near + d - half
}

func readVerdicts(busy, steady []readRound) ([]report.Verdict, error) {
	rate := report.Median(over(busy, func(r readRound) float64 { return r.rate }))
	at := func(quantile float64) time.Duration {
		return report.Median(over(steady, func(r readRound) time.Duration {
			return r.latencies[int(quantile*float64(len(r.latencies)-1))]
		}))
	}
	rows := []string{
		"\treplies/s\tp50\tp99\tp99.9\tserver's cores\tµs a reply\tthis program's cores\tothers'",
		row("as fast as it answers", busy, "-\t-\t-"),
		row("at a fixed rate", steady, fmt.Sprintf("%v\t%v\t%v", at(.5), at(.99), at(.999))),
	}
	title := fmt.Sprintf("\nLOOKUP in a group of %d objects: %d connections over TLS, %d requests at a time on each; medians of the calmest %d of %d rounds",
		librarySize, readers, burst, readCounted, readRounds)
	return []report.Verdict{
		{Name: "reads", Measured: rate, Bar: readsBar, AtLeast: true, Unit: " requests/s"},
		{Name: "reads-p99", Measured: float64(at(.99)) / 1e6, Bar: 5, Unit: " ms"},
	}, report.Table(title, rows)
}

func row(name string, rounds []readRound, latencies string) string {
	cores := func(of func(proc.Spent) float64) float64 {
		return report.Median(over(rounds, func(r readRound) float64 { return of(r.spent) }))
	}
	return fmt.Sprintf("%s\t%.0f\t%s\t%.2f\t%.2f\t%.2f\t%.2f", name, report.Median(over(rounds, func(r readRound) float64 { return r.rate })), latencies,
		cores(func(s proc.Spent) float64 { return s.Daemon }),
		report.Median(over(rounds, func(r readRound) float64 { return 1e6 * r.spent.Daemon / r.rate })),
		cores(func(s proc.Spent) float64 { return s.Own }), cores(func(s proc.Spent) float64 { return s.Others }))
}

// over returns what of returns for each round.
func over[T cmp.Ordered](rounds []readRound, of func(readRound) T) []T {
	values := make([]T, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	return values
}
