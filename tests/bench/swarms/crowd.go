package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"shoal/tests/bench/report"
	"shoal/tests/netns"
)

// crowd is one seed and many who fetch its file at once, all at links of one rate.
type crowd struct {
	name        string
	size        int64
	rate        netns.Rate
	downloaders int
	leavers     int // of them, who leave half-way
}

var (
	crowdOf8  = crowd{name: "crowd8", size: 64 * mib, rate: 100 * netns.Megabit, downloaders: 8}
	crowdOf16 = crowd{name: "crowd16", size: 256 * mib, rate: 50 * netns.Megabit, downloaders: 16}
	churning  = crowd{name: "churn", size: 256 * mib, rate: 50 * netns.Megabit, downloaders: 16, leavers: 4}
)

// bound is the least time in which all can have the file: the seed must send it once, each must receive it, and all that is
// received must be sent by somebody (Kumar and Ross, Peer-assisted file distribution, 2006).
func (c crowd) bound() time.Duration {
	once := timeFor(c.size, c.rate.Goodput())
	all := timeFor(int64(c.downloaders)*c.size, float64(1+c.downloaders)*c.rate.Goodput())
	return max(once, all)
}

// patience is how many times the bound a downloader may take until it counts as one that took so long.
const patience = 6

// A gathering is a seed and downloaders that are ready.
type gathering interface {
	// fetch begins the download of downloader i, and returns when that has the file.
	fetch(ctx context.Context, i int) error
	// open lets the downloads that were begun start, all at once.
	open() error
	// leave ends all that downloader i does.
	leave(i int) error
	// end stops what still runs.
	end() error
}

// crowdRun is one turn.
type crowdRun struct {
	times  []time.Duration // of those who stayed, the first first
	copies float64         // that the seed had sent when the first was done
}

func (r *crowdRun) middle() time.Duration { return report.Median(r.times) }
func (r *crowdRun) last() time.Duration   { return r.times[len(r.times)-1] }

// crowdResult is what a crowd's turns were like, by contender.
type crowdResult struct {
	names []string
	runs  map[string][]*crowdRun
}

// square is where crowds gather.
type square struct {
	*report.Bench
	crowd
	dir    string
	server machine
	seed   machine
	places []machine // of the downloaders
	source string    // the file
}

// crowded measures a crowd, once.
func (s *suite) crowded(ctx context.Context, b *report.Bench, c crowd) (*crowdResult, error) {
	if r := s.crowds[c.name]; r != nil {
		return r, nil
	}
	r := &crowdResult{names: []string{"libtorrent, plaintext", "shoal (TLS 1.3)"}, runs: map[string][]*crowdRun{}}
	gather := []func(*square, context.Context) (gathering, error){(*square).torrents, (*square).shoals}
	err := onSquare(ctx, b, c, func(q *square) error {
		for turn := range s.turns {
			for i := range r.names {
				i = (i + turn) % len(r.names)
				run, err := q.turn(ctx, gather[i])
				if err != nil {
					return fmt.Errorf("%s: %w", r.names[i], err)
				}
				r.runs[r.names[i]] = append(r.runs[r.names[i]], run)
				fmt.Fprintf(os.Stderr, "bench-swarm: %s: first %s, median %s, last %s s, %.2f copies of the seed\n",
					r.names[i], seconds(run.times[0]), seconds(run.middle()), seconds(run.last()), run.copies)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if s.crowds == nil {
		s.crowds = map[string]*crowdResult{}
	}
	s.crowds[c.name] = r
	return r, r.print(c, s.turns)
}

// onSquare calls do with machines for a crowd, and the file, in memory.
func onSquare(ctx context.Context, b *report.Bench, c crowd, do func(*square) error) (err error) {
	dir, remove, err := inMemory(b, int64(c.downloaders+2)*c.size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	lan, err := netns.NewLAN(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lan.Close()) }()
	links := slices.Repeat([]netns.Link{{Up: c.rate, Down: c.rate}}, 1+c.downloaders)
	machines, err := hosts(ctx, lan, append([]netns.Link{{}}, links...)...)
	if err != nil {
		return err
	}
	folder := filepath.Join(dir, "seed")
	if err := makeFolderWithFile(ctx, folder, c.size); err != nil {
		return err
	}
	return do(&square{
		Bench: b, crowd: c, dir: dir, server: machines[0], seed: machines[1], places: machines[2:], source: filepath.Join(folder, fileName),
	})
}

// folder is downloader i's.
func (q *square) folder(i int) string {
	return filepath.Join(q.dir, "turn", fmt.Sprintf("downloader%d", i))
}

// turn lets a crowd gather and fetch, and compares what all have got.
func (q *square) turn(ctx context.Context, gather func(*square, context.Context) (gathering, error)) (_ *crowdRun, err error) {
	if err := os.Mkdir(filepath.Join(q.dir, "turn"), 0o755); err != nil {
		return nil, fmt.Errorf("making room for a crowd: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Join(q.dir, "turn"))) }()
	for i := range q.places {
		if err := os.Mkdir(q.folder(i), 0o755); err != nil {
			return nil, fmt.Errorf("making room for a crowd: %w", err)
		}
	}
	g, err := gather(q, ctx)
	if err != nil {
		return nil, err
	}
	run, err := q.fetch(ctx, g)
	if err = errors.Join(err, g.end()); err != nil {
		return nil, err
	}
	for i := range q.downloaders - q.leavers {
		if run.times[i] >= patience*q.bound() {
			break // not all have it
		}
		if err := same(filepath.Join(q.folder(i), fileName), q.source); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// fetch lets all downloaders fetch at once, and the last of them leave half-way if they are to.
func (q *square) fetch(ctx context.Context, g gathering) (*crowdRun, error) {
	limit := patience * q.bound()
	errLimit := fmt.Errorf("not finished after %v", limit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	sent, err := q.seed.Sent(ctx)
	if err != nil {
		return nil, err
	}
	stay := q.downloaders - q.leavers
	times, failed := make([]time.Duration, stay), make([]error, q.downloaders)
	first := make(chan struct{}, q.downloaders)
	start := time.Now()
	var fetching sync.WaitGroup
	for i := range q.downloaders {
		fetching.Go(func() {
			err := g.fetch(ctx, i)
			switch {
			case i >= stay: // who leaves fails
			case err != nil && errors.Is(context.Cause(ctx), errLimit):
				times[i] = limit
			case err != nil:
				failed[i] = fmt.Errorf("downloader %d: %w", i, err)
			default:
				times[i] = time.Since(start)
			}
			first <- struct{}{}
		})
	}
	if q.leavers > 0 {
		fetching.Go(func() { failed[stay] = q.depart(ctx, g) })
	}
	run := &crowdRun{}
	if err = g.open(); err == nil {
		run.copies, err = q.copies(ctx, sent, first)
	}
	if err != nil {
		cancel()
	}
	fetching.Wait()
	run.times = times
	slices.Sort(run.times)
	return run, errors.Join(err, errors.Join(failed...))
}

// depart makes the last downloaders leave when half of the least time is over.
func (q *square) depart(ctx context.Context, g gathering) error {
	select {
	case <-time.After(q.bound() / 2):
	case <-ctx.Done():
		return nil
	}
	var err error
	for i := q.downloaders - q.leavers; i < q.downloaders; i++ {
		err = errors.Join(err, g.leave(i))
	}
	return err
}

// copies waits until the first who stays is done, and returns how often the seed has sent the file by then.
func (q *square) copies(ctx context.Context, before int64, done <-chan struct{}) (float64, error) {
	for range 1 + q.leavers { // those who leave are done before
		<-done
	}
	// Not with ctx, which may have ended by now: then everybody has taken too long.
	after, err := q.seed.Sent(context.WithoutCancel(ctx))
	return float64(after-before) / float64(q.size), err
}

func (r *crowdResult) print(c crowd, turns int) error {
	bound := c.bound()
	rows := []string{"\tfirst\tmedian\tlast\tlast, of the bound\tslowest last\tcopies of the seed"}
	for _, name := range r.names {
		firsts, middles, lasts, copies := r.figures(name)
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%.2f×\t%s\t%.2f", name, seconds(report.Median(firsts)), seconds(report.Median(middles)),
			seconds(report.Median(lasts)), report.Median(lasts).Seconds()/bound.Seconds(), seconds(slowest(lasts)), report.Median(copies)))
	}
	what := ""
	if c.leavers > 0 {
		what = fmt.Sprintf(", %d of whom leave half-way", c.leavers)
	}
	return report.Table(fmt.Sprintf("\n%s: %d MiB from one seed to %d at once%s, all at %d Mbit/s: at least %s s; medians of %d, more than %s s not waited for",
		c.name, c.size/mib, c.downloaders, what, c.rate/netns.Megabit, seconds(bound), turns, seconds(patience*bound)), rows)
}

func (r *crowdResult) figures(name string) (firsts, middles, lasts []time.Duration, copies []float64) {
	for _, run := range r.runs[name] {
		firsts = append(firsts, run.times[0])
		middles = append(middles, run.middle())
		lasts = append(lasts, run.last())
		copies = append(copies, run.copies)
	}
	return firsts, middles, lasts, copies
}

// lastOf measures how long the last of a crowd takes with shoal, in times of the bound.
func (s *suite) lastOf(ctx context.Context, b *report.Bench, c crowd, bar float64) ([]report.Verdict, error) {
	r, err := s.crowded(ctx, b, c)
	if err != nil {
		return nil, err
	}
	_, _, lasts, _ := r.figures(r.names[len(r.names)-1])
	return []report.Verdict{{Name: c.name, Measured: report.Median(lasts).Seconds() / c.bound().Seconds(), Bar: bar, Unit: "×"}}, nil
}

func (s *suite) crowd8(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	return s.lastOf(ctx, b, crowdOf8, 1.15)
}

func (s *suite) crowd16(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	return s.lastOf(ctx, b, crowdOf16, 1.12)
}

func (s *suite) churn(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	return s.lastOf(ctx, b, churning, 1.3)
}

// seedCopies measures how often the seed sends the file until somebody else has all of it: the worse of two crowds.
func (s *suite) seedCopies(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	most := 0.0
	for _, c := range []crowd{crowdOf8, crowdOf16} {
		r, err := s.crowded(ctx, b, c)
		if err != nil {
			return nil, err
		}
		_, _, _, copies := r.figures(r.names[len(r.names)-1])
		most = max(most, report.Median(copies))
	}
	return []report.Verdict{{Name: "seed-copies", Measured: most, Bar: 1.15}}, nil
}
