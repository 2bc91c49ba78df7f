package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/sender"
	"shoal/tests/bench/report"
)

// A round is bursts of calls with pauses, 25,000 calls a second: more than a daemon will make. A pause is longer where the
// ring has not been read by then, so that no call finds it full: that is no call to measure. There are callers enough to
// get in each other's way.
const (
	rounds      = 15 // that count; one before them is thrown away
	bursts      = 20
	burstCalls  = 1024 // of all callers together
	burstPause  = 40 * time.Millisecond
	manyCallers = 8
	settleLimit = 30 * time.Second
)

// A caller's line is like those that a server's audit makes.
func logLine(log *zerolog.Logger, i int) {
	log.Info().Str(rpclog.KeyUser, "ada").Str(rpclog.KeyOperation, "publish").Str(rpclog.KeyObject, "datasets/images-2024.tar").
		Str(rpclog.KeyOutcome, "ok").Str(rpclog.KeyRemote, "192.0.2.17:40312").Int("number", i).Msg("published")
}

// target is where lines go to.
type target struct {
	name   string
	log    zerolog.Logger
	writer *sender.Writer // nil for io.Discard
	stored bool           // somebody takes the entries
}

// latencies are those of all calls of a round, in order of size.
type latencies []time.Duration

func (l latencies) at(quantile float64) time.Duration { return l[int(quantile*float64(len(l)-1))] }

// result is what was measured of a target with one number of callers: a value for each round.
type result struct {
	target    *target
	callers   int
	p50, p999 []time.Duration
	all       latencies // of all rounds that count
	first     latencies // of those calls that are counted apart
}

// calls measures how long a call of zerolog takes: to io.Discard, to the log service, and to one that is not there. They
// take turns. A latency is what the monotonic clock says, less what reading the clock takes.
//
// The first call of each caller in a burst is counted apart: it finds the core asleep, and the program, clock included, in
// no cache, which takes ten times as long as the call itself, also to io.Discard. p50 and p99.9 are computed for each
// round, of some 20,000 calls, and the medians of the rounds count. Nothing is left out of a round: neither what other
// threads of this process do, the Writer's own among them, nor what happens when another program takes the core. So what
// the Writer does every few thousand calls is in every round, and counts. What happens in fewer than half of the rounds,
// such as another program's work, does not; the table's last columns show it, for io.Discard too.
func calls(ctx context.Context, b *bench) (_ []report.Verdict, err error) {
	service, key, err := b.logService(ctx, "calls")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	nobody, err := freeAddress()
	if err != nil {
		return nil, err
	}
	targets := []*target{{name: "io.Discard", log: stamped(io.Discard)}}
	for _, c := range []struct {
		name, address string
		stored        bool
	}{{"log service", service.event.Address, true}, {"nobody there", nobody, false}} {
		w, err := sender.Open(sender.Config{
			Service: c.address, Key: key, Device: shoal.DeviceID{1},
			Spool: filepath.Join(b.dir, "spool of "+c.name), SpoolLimit: 1 << 30,
		})
		if err != nil {
			return nil, err
		}
		targets = append(targets, &target{c.name, stamped(w), w, c.stored})
		defer func() { err = errors.Join(err, closeWriter(w)) }()
	}
	allocs := allocations(&targets[1].log)
	var results []*result
	for _, callers := range []int{1, manyCallers} {
		for _, t := range targets {
			results = append(results, &result{target: t, callers: callers})
		}
	}
	if err := takeTurns(ctx, results); err != nil {
		return nil, err
	}
	return callVerdicts(results, allocs)
}

func stamped(w io.Writer) zerolog.Logger { return zerolog.New(w).With().Timestamp().Logger() }

func closeWriter(w *sender.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	return w.Close(ctx)
}

// freeAddress returns an address where nobody listened a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func takeTurns(ctx context.Context, results []*result) error {
	clock := clockCost()
	for round := range 1 + rounds {
		for i := range results {
			r := results[(round+i)%len(results)] // nobody always comes after the same one
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			all, first, err := r.round(clock)
			if err != nil {
				return err
			}
			if round > 0 {
				r.p50, r.p999, r.all = append(r.p50, all.at(.5)), append(r.p999, all.at(.999)), append(r.all, all...)
				r.first = append(r.first, first...)
			}
		}
	}
	return nil
}

// round makes the calls of a round. The first of each burst are returned apart.
func (r *result) round(clock time.Duration) (all, first latencies, err error) {
	each := burstCalls / r.callers
	of := make([]latencies, r.callers)
	for range bursts {
		var callers sync.WaitGroup
		for c := range of {
			callers.Go(func() { of[c] = burst(&r.target.log, of[c][:0], each, clock) })
		}
		callers.Wait()
		for _, list := range of {
			first, all = append(first, list[0]), append(all, list[1:]...)
		}
		next := time.Now().Add(burstPause)
		if err := r.target.settle(burstCalls / 4); err != nil {
			return nil, nil, err
		}
		time.Sleep(time.Until(next))
	}
	slices.Sort(all)
	return all, first, r.target.settle(0)
}

func burst(log *zerolog.Logger, into latencies, n int, clock time.Duration) latencies {
	into = slices.Grow(into, n)
	base := time.Now()
	for i := range n {
		start := time.Since(base)
		logLine(log, i)
		into = append(into, max(0, time.Since(base)-start-clock))
	}
	return into
}

// clockCost returns what burst would measure if there were nothing to measure.
func clockCost() time.Duration {
	list := make(latencies, 100_000)
	base := time.Now()
	for i := range list {
		start := time.Since(base)
		list[i] = time.Since(base) - start
	}
	return report.Median(list)
}

// settle waits until all but a few of the lines are where they go.
func (t *target) settle(few uint64) error {
	if t.writer == nil {
		return nil
	}
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(time.Millisecond) {
		c := t.writer.Counts()
		switch {
		case c.Lost > 0:
			return fmt.Errorf("%s: %d of %d lines were lost", t.name, c.Lost, c.Sent)
		case c.Queued <= few && (few > 0 || c.Spooled == 0 || !t.stored):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: of %d lines %d were stored and %d spooled within %v", t.name, c.Sent, c.Stored, c.Spooled, settleLimit)
		}
	}
}

// allocations returns how many allocations a call makes. It makes fewer calls than would have the lines read, for that
// is another goroutine's work, and allocates; where that reads them all the same, another attempt counts.
func allocations(log *zerolog.Logger) float64 {
	const attempts, n = 10, 500
	least := uint64(1) << 62
	var before, after runtime.MemStats
	for range attempts {
		runtime.ReadMemStats(&before)
		for i := range n {
			logLine(log, i)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	return float64(least) / n
}

func callVerdicts(results []*result, allocs float64) ([]report.Verdict, error) {
	rows := []string{"\tcallers\tp50\tabove io.Discard\tp99.9\tfirst calls' p50\tworst round's p99.9\tall rounds' p99.99"}
	var live, dead, slow float64
	discard := map[int]time.Duration{}
	for _, r := range results {
		p50, p999 := report.Median(r.p50), report.Median(r.p999)
		if r.target.writer == nil {
			discard[r.callers] = p50
		}
		above := float64(p50 - discard[r.callers])
		switch {
		case r.target.writer == nil:
		case r.target.stored:
			live, slow = max(live, above), max(slow, float64(p999)/1e3)
		default:
			dead, slow = max(dead, above), max(slow, float64(p999)/1e3)
		}
		slices.Sort(r.all)
		rows = append(rows, fmt.Sprintf("%s\t%d\t%v\t%.0f ns\t%v\t%v\t%v\t%v", r.target.name, r.callers, p50, above, p999,
			report.Median(r.first), slices.Max(r.p999), r.all.at(.9999)))
	}
	title := fmt.Sprintf("\nA call of zerolog with 6 fields and the time, medians of %d rounds of %d calls", rounds, bursts*burstCalls)
	return []report.Verdict{
		{Name: "call-p50", Measured: live, Bar: 100, Unit: " ns"},
		{Name: "call-p99.9", Measured: slow, Bar: 5, Unit: " µs"},
		{Name: "call-allocs", Measured: allocs, Bar: 0},
		{Name: "dead-p50", Measured: dead, Bar: 100, Unit: " ns"},
	}, report.Table(title, rows)
}
