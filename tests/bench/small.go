package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"shoal/tests/bench/report"
)

const (
	smallSize  = mib
	smallTurns = 20 // that count; one before them is thrown away
)

// small measures how long it takes to fetch 1 MiB from four running peers, from the command to its exit.
func small(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	const name = "small.bin"
	folders, err := peerFolders(b, "small")
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		if err := makeRandom(filepath.Join(folder, name), smallSize, 3); err != nil {
			return nil, err
		}
	}
	s, err := startSwarm(ctx, b, "small-swarm", false, folders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if _, err := s.publishAll(ctx, folders, name); err != nil {
		return nil, err
	}
	walls, err := smallGets(ctx, s, name, filepath.Join(folders[0], name))
	if err != nil {
		return nil, err
	}
	wall := report.Median(walls)
	rows := []string{
		"\tmedian\tfastest\tslowest", fmt.Sprintf("shoal (TLS 1.3)\t%s\t%s\t%s", seconds(wall),
			seconds(slices.Min(walls)), seconds(slices.Max(walls))),
	}
	title := fmt.Sprintf("\nSeconds to fetch 1 MiB from running peers, %d times", smallTurns)
	return []report.Verdict{{Name: "small", Measured: float64(wall) / float64(time.Millisecond), Bar: 150, Unit: " ms"}},
		report.Table(title, rows)
}

// smallGets fetches the file again and again and returns how long each turn took.
func smallGets(ctx context.Context, s *swarm, name, source string) ([]time.Duration, error) {
	target := filepath.Join(s.dir, name)
	var walls []time.Duration
	for turn := range 1 + smallTurns {
		use, err := s.get(ctx, fetcher, name, target)
		if err != nil {
			return nil, err
		}
		if err := same(target, source); err != nil {
			return nil, err
		}
		if err := os.Remove(target); err != nil {
			return nil, fmt.Errorf("removing what was fetched: %w", err)
		}
		if turn > 0 {
			walls = append(walls, use.Wall)
		}
	}
	return walls, nil
}
