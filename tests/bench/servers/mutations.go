package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	mutators, mutatedGroups = 64, 8
	mutationRounds          = 3 // and one before them that is thrown away
	mutationTime            = 4 * time.Second

	mutationsBar = 8_000 // a second
)

// mutations measures how many changes a second are on disk and acknowledged, of clients that each wait for the answer to
// one before they ask for the next, and counts afterwards, after another start of the server, whether all of them are there.
func mutations(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	t := newTown(mutators, mutatedGroups, 0, mutators)
	for g := 1; g < mutatedGroups; g++ {
		t.visited = append(t.visited, g)
	}
	if err := t.settle(ctx, b, "mutations"); err != nil {
		return nil, err
	}
	s, err := startServer(ctx, b, "mutations")
	if err != nil {
		return nil, err
	}
	rates, done, err := t.mutate(ctx, s)
	if err = errors.Join(err, s.Stop()); err != nil {
		return nil, err
	}
	if s, err = startServer(ctx, b, "mutations"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := t.countNames(ctx, s, done); err != nil {
		return nil, err
	}
	return []report.Verdict{{Name: "mutations", Measured: report.Median(rates), Bar: mutationsBar, AtLeast: true, Unit: "/s"}}, nil
}

// mutate has all clients publish, round by round, and returns the rates of those that count, and how many names there are.
func (t *town) mutate(ctx context.Context, s *server) (rates []float64, done int, err error) {
	clients := make([]*client, mutators)
	for i := range clients {
		if clients[i], err = s.connect(ctx, t.keys[i]); err != nil {
			return nil, 0, err
		}
		defer hangUp(clients[i : i+1])
	}
	var rows []string
	next := make([]int, mutators) // of each client's names
	for round := range 1 + mutationRounds {
		load, err := proc.StartLoad(s.Daemon)
		if err != nil {
			return nil, 0, err
		}
		begin := time.Now()
		latencies, err := t.mutateOnce(ctx, clients, next, begin.Add(mutationTime))
		if err != nil {
			return nil, 0, err
		}
		rate := float64(len(latencies)) / time.Since(begin).Seconds()
		spent, err := load.Spent()
		if err != nil {
			return nil, 0, err
		}
		done += len(latencies)
		slices.Sort(latencies)
		rows = append(rows, fmt.Sprintf("%d\t%.0f/s\t%v\t%v\t%.2f\t%.2f\t%.2f", round, rate, latencies[len(latencies)/2].Round(time.Microsecond),
			latencies[len(latencies)*99/100].Round(time.Microsecond), spent.Daemon, spent.Own, spent.Others))
		if round > 0 {
			rates = append(rates, rate)
		}
	}
	title := fmt.Sprintf("\nPUBLISH by %d clients, one after the other each; cores used; round 0 does not count\n"+
		"round\trate\tmedian\tp99\tserver\tclients\tothers", mutators)
	return rates, done, report.Table(title, rows)
}

// mutateOnce has the clients publish until a time, and returns how long each answer took.
func (t *town) mutateOnce(ctx context.Context, clients []*client, next []int, until time.Time) ([]time.Duration, error) {
	took := make([][]time.Duration, len(clients))
	errs := make([]error, len(clients))
	var run sync.WaitGroup
	for i, c := range clients {
		run.Go(func() {
			revision := uint64(0)
			for ctx.Err() == nil && time.Now().Before(until) {
				n := next[i]
				begin := time.Now()
				var reply wire.MutationReply
				errs[i] = c.ask(wire.KindPublish, &wire.Publish{
					Sequence: c.next(), Group: t.group(i % t.groups), Name: mutatedName(i, n),
					Content: shoal.Object{ID: shoal.FileID(number(string(mutatedName(i, n)), n)), Size: int64(n)},
				}, &reply)
				if errs[i] == nil && reply.Revision <= revision {
					errs[i] = fmt.Errorf("a mutation at revision %d follows one at %d", reply.Revision, revision)
				}
				if errs[i] != nil {
					return
				}
				revision = reply.Revision
				next[i]++
				took[i] = append(took[i], time.Since(begin))
			}
		})
	}
	run.Wait()
	return slices.Concat(took...), errors.Join(append(errs, context.Cause(ctx))...)
}

func mutatedName(client, n int) shoal.Name {
	return shoal.Name(fmt.Sprintf("result %02d %07d", client, n))
}

// countNames looks whether there are so many names.
func (t *town) countNames(ctx context.Context, s *server, want int) error {
	c, err := s.connect(ctx, t.keys[0])
	if err != nil {
		return err
	}
	defer hangUp([]*client{c})
	found := 0
	for g := range t.groups {
		names, err := c.list(t.group(g))
		if err != nil {
			return err
		}
		found += len(names)
	}
	if found != want {
		return fmt.Errorf("%d names were acknowledged, and %d are there", want, found)
	}
	return nil
}
