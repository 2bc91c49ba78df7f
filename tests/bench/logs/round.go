package main

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal/tests/bench/report"
)

// steady makes calls one at a time, to each target in turn.
func steady(results []*result, clock time.Duration) {
	base, next := time.Now(), time.Duration(0)
	for i := range turnCalls {
		for _, r := range results {
			for next += callEvery; time.Since(base) < next; {
			}
			r.now = append(r.now, measure(&r.target.log, i, base)-clock)
		}
	}
}

// burst has all callers make calls at the same time, to one target after the other.
func burst(results []*result, clock time.Duration) {
	for _, r := range results {
		next := time.Now().Add(burstEvery)
		of := make([]latencies, r.callers)
		var callers sync.WaitGroup
		for c := range of {
			callers.Go(func() {
				list, base := make(latencies, turnCalls/r.callers), time.Now()
				for i := range list {
					list[i] = measure(&r.target.log, i, base) - clock
				}
				of[c] = list
			})
		}
		callers.Wait()
		for _, list := range of {
			r.first, r.now = append(r.first, list[0]), append(r.now, list[1:]...)
		}
		time.Sleep(time.Until(next))
	}
}

// endRound computes what a round says. discard has ended it before.
func (r *result) endRound(counts bool, others float64, discard *result) {
	slices.Sort(r.now)
	if counts {
		now := round{p50: r.now.at(.5), p999: r.now.at(.999), others: others}
		if r.target.lostSome() {
			now.others = math.Inf(1)
		}
		if len(r.first) > 0 {
			now.first = report.Median(r.first)
		}
		r.rounds = append(r.rounds, now)
		last := len(r.rounds) - 1
		r.rounds[last].above = now.p50 - discard.rounds[last].p50
		r.all = append(r.all, r.now...)
	}
	r.now, r.first = r.now[:0], r.first[:0]
}

// calmest returns the rounds that count.
func (r *result) calmest() []round {
	return slices.SortedFunc(slices.Values(r.rounds), func(a, b round) int { return cmp.Compare(a.others, b.others) })[:counted]
}

func firstCalls(list []round) string {
	if first := over(list, func(r round) time.Duration { return r.first }); first > 0 {
		return first.String()
	}
	return "-"
}

// over returns the median of what of returns for each round.
func over[T cmp.Ordered](list []round, of func(round) T) T {
	var values []T
	for _, r := range list {
		values = append(values, of(r))
	}
	return report.Median(values)
}

// measure makes a call and returns how long it took, reading the clock included.
func measure(log *zerolog.Logger, i int, base time.Time) time.Duration {
	start := time.Since(base)
	logLine(log, i)
	return time.Since(base) - start
}

// clockCost returns what measure would return if a call took no time.
func clockCost() time.Duration {
	list := make(latencies, 100_000)
	base := time.Now()
	for i := range list {
		start := time.Since(base)
		list[i] = time.Since(base) - start
	}
	return report.Median(list)
}
