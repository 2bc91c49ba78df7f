package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"shoal/tests/bench/report"
	"shoal/tests/netns"
)

// delay measures a download from one source over a long way, with the server at the near end.
func (s *suite) delay(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	const (
		size      = 256 * mib
		rate      = 200 * netns.Megabit
		roundTrip = 100 * time.Millisecond
	)
	dir, remove, err := inMemory(b, 4*size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	way, err := netns.NewWay(ctx, rate, roundTrip)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, way.Close()) }()
	far, near := onHost(way.Far), onHost(way.Near)
	u := &supply{Bench: b, dir: dir, server: near, sources: []machine{far}, fetcher: near, folders: []string{filepath.Join(dir, "source")}}
	if err := makeFolderWithFile(ctx, u.folders[0], size); err != nil {
		return nil, err
	}
	contenders, stop, err := start(ctx, u.aria2, u.libtorrent,
		func(ctx context.Context) (*contender, error) { return u.shoal(ctx, "shoal (TLS 1.3)") })
	if err != nil {
		return nil, err
	}
	if err := errors.Join(u.alternate(ctx, contenders, 0, s.turns), stop()); err != nil {
		return nil, err
	}
	rows := []string{"\tseconds\tof the rate\tslowest turn"}
	share := 0.0
	for _, c := range contenders {
		wall := report.Median(c.walls)
		share = 100 * timeFor(size, float64(rate)/8).Seconds() / wall.Seconds()
		rows = append(rows, fmt.Sprintf("%s\t%s\t%.1f %%\t%s", c.name, seconds(wall), share, seconds(slowest(c.walls))))
	}
	title := fmt.Sprintf("\n256 MiB from one source over a round trip of %v at %d Mbit/s; medians of %d", roundTrip, rate/netns.Megabit, s.turns)
	return []report.Verdict{{Name: "delay", Measured: share, Bar: 85, AtLeast: true, Unit: " %"}}, report.Table(title, rows)
}
