package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/sender"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

// In a round the targets take turns, so that all find the machine in the same state. One caller makes a call every 20 µs,
// and spins in between as a daemon at work would be awake. Many callers make bursts of calls, with pauses, and get in each
// other's way. Either is more than a daemon will make.
const (
	rounds      = 45 // and one before them that is thrown away
	counted     = 15 // those in which other programs took the least of the machine
	turns       = 20
	turnCalls   = 512 // to a target in a turn, of all callers together
	callEvery   = 20 * time.Microsecond
	burstEvery  = 13 * time.Millisecond
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
	lost   uint64         // lines, at the end of the last round
}

// latencies are those of all calls of a round, in order of size.
type latencies []time.Duration

func (l latencies) at(quantile float64) time.Duration { return l[int(quantile*float64(len(l)-1))] }

// result is what was measured of a target with one number of callers.
type result struct {
	target     *target
	callers    int
	now, first latencies // of the round at hand; the first calls in bursts apart
	rounds     []round
	all        latencies // of all rounds
}

// round is what one round says.
type round struct {
	p50, p999 time.Duration
	above     time.Duration // p50 less that of io.Discard
	first     time.Duration // the median
	others    float64       // cores that other programs used; +Inf if they left so little that a call found no room
}

// calls measures how long a call of zerolog takes: to io.Discard, to the log service, and to one that is not there. They
// take turns. A latency is what the monotonic clock says, less what reading the clock takes.
//
// p50 and p99.9 are computed for each round, of some 10,000 calls to each target. Of all rounds those count in which other
// programs took the least CPU time: all that the machine's cores spent, less this process and the service. So what they do
// to a call is left out as far as can be, and nothing of what the Writer's own goroutines, the garbage collector or the
// service do to it: no single call is left out. The medians of those rounds are the figures; of p50 those of what it is
// above that of io.Discard in the same round. The table's last columns are over all rounds.
//
// But the first call of each caller in a burst is told apart: it finds the core asleep, and the program, clock included,
// in no cache, which takes far longer than the call itself, also to io.Discard.
func calls(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	service, key, err := logService(ctx, b, "calls")
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
			Spool: filepath.Join(b.Dir, "spool of "+c.name), SpoolLimit: 1 << 30,
		})
		if err != nil {
			return nil, err
		}
		targets = append(targets, &target{name: c.name, log: stamped(w), writer: w, stored: c.stored})
		defer func() { err = errors.Join(err, closeWriter(w)) }()
	}
	allocs, err := allocations(ctx, targets[1])
	if err != nil {
		return nil, err
	}
	var results []*result
	for _, callers := range []int{1, manyCallers} {
		var group []*result
		for _, t := range targets {
			group = append(group, &result{target: t, callers: callers})
		}
		if err := takeTurns(ctx, group, service); err != nil {
			return nil, err
		}
		results = append(results, group...)
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

// takeTurns measures the targets, of which the first is io.Discard.
func takeTurns(ctx context.Context, results []*result, service *running) error {
	clock := clockCost()
	for i := range 1 + rounds {
		load, err := proc.StartLoad(service.Daemon)
		if err != nil {
			return err
		}
		for range turns {
			if results[0].callers == 1 {
				steady(results, clock)
			} else {
				burst(results, clock)
			}
		}
		spent, err := load.Spent()
		if err != nil {
			return err
		}
		for _, r := range results {
			if err := r.target.settle(ctx); err != nil {
				return err
			}
			r.endRound(i > 0, spent.Others, results[0])
		}
	}
	for _, r := range results {
		if calm := r.calmest(); math.IsInf(calm[len(calm)-1].others, 1) {
			return fmt.Errorf("%s: too many lines were lost; the machine is too busy", r.target.name)
		}
	}
	return nil
}

// lostSome tells whether lines were lost since it was last called.
func (t *target) lostSome() bool {
	if t.writer == nil {
		return false
	}
	before := t.lost
	t.lost = t.writer.Counts().Lost
	return t.lost > before
}

// settle waits until what was logged is where it goes.
func (t *target) settle(ctx context.Context) error {
	if t.writer == nil {
		return nil
	}
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(time.Millisecond) {
		c := t.writer.Counts()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.Queued == 0 && (c.Spooled == 0 || !t.stored):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s: of %d lines %d were stored and %d spooled within %v", t.name, c.Sent, c.Stored, c.Spooled, settleLimit)
		}
	}
}

// allocations returns how many allocations a call makes. It makes fewer calls than would have the lines read, for that
// is another goroutine's work, and allocates; where that reads them all the same, another attempt counts.
func allocations(ctx context.Context, t *target) (float64, error) {
	const attempts, n = 10, 500
	least := uint64(1) << 62
	var before, after runtime.MemStats
	for range attempts {
		runtime.ReadMemStats(&before)
		for i := range n {
			logLine(&t.log, i)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
		if err := t.settle(ctx); err != nil {
			return 0, err
		}
	}
	return float64(least) / n, nil
}

func callVerdicts(results []*result, allocs float64) ([]report.Verdict, error) {
	rows := []string{"\tcallers\tp50\tabove io.Discard\tp99.9\tfirst calls' p50\tothers' cores\tall rounds: p99.9\tothers' cores"}
	var live, dead, slow float64
	for _, r := range results {
		calm := r.calmest()
		above, p999 := over(calm, func(r round) time.Duration { return r.above }), over(calm, func(r round) time.Duration { return r.p999 })
		switch {
		case r.target.writer == nil:
		case r.target.stored:
			live, slow = max(live, float64(above)), max(slow, float64(p999)/1e3)
		default:
			dead, slow = max(dead, float64(above)), max(slow, float64(p999)/1e3)
		}
		slices.Sort(r.all)
		cores := func(r round) float64 { return r.others }
		rows = append(rows, fmt.Sprintf("%s\t%d\t%v\t%v\t%v\t%v\t%.2f\t%v\t%.2f", r.target.name, r.callers,
			over(calm, func(r round) time.Duration { return r.p50 }), above, p999, firstCalls(calm),
			over(calm, cores), r.all.at(.999), over(r.rounds, cores)))
	}
	title := fmt.Sprintf("\nA call of zerolog with 6 fields and the time, medians of the calmest %d of %d rounds of %d calls", counted, rounds, turns*turnCalls)
	return []report.Verdict{
		{Name: "call-p50", Measured: live, Bar: 100, Unit: " ns"},
		{Name: "call-p99.9", Measured: slow, Bar: 5, Unit: " µs"},
		{Name: "call-allocs", Measured: allocs, Bar: 0},
		{Name: "dead-p50", Measured: dead, Bar: 100, Unit: " ns"},
	}, report.Table(title, rows)
}
