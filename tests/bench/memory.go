package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"shoal/tests/bench/report"
)

// peaks are the bytes resident at most of each kind of process while one file is published and fetched.
type peaks struct{ peer, publish, get int64 }

// memory measures the peak memory of peers and commands for a small and a large file. The large one is sparse where
// it is published, and written in full where it is fetched.
func memory(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	sizes := []struct {
		label string
		bytes int64
	}{{"64 MiB", 64 * mib}, {"6 GiB", 6 * gib}}
	modes := []struct {
		label     string
		plaintext bool
	}{{"TLS 1.3", false}, {"plaintext", true}}

	rows := []string{"\tsize\ta peer\tpublish\tget"}
	var largest int64
	worst := 0.0 // the largest change of a peak with the size, in percent
	for _, mode := range modes {
		var bySize []peaks
		for _, size := range sizes {
			p, err := measurePeaks(ctx, b, size.bytes, mode.plaintext)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", mode.label, size.label, err)
			}
			rows = append(rows, strings.Join(
				[]string{mode.label, size.label, mibs(p.peer), mibs(p.publish), mibs(p.get)}, "\t"))
			bySize = append(bySize, p)
			largest = max(largest, p.peer, p.publish, p.get)
		}
		less, more := bySize[0], bySize[1]
		worst = max(worst, change(less.peer, more.peer), change(less.publish, more.publish), change(less.get, more.get))
	}
	return []report.Verdict{
		{Name: "memory", Measured: float64(largest) / mib, Bar: 64, Unit: " MiB"},
		{Name: "memory-growth", Measured: worst, Bar: 10, Unit: " %"},
	}, report.Table("\nPeak memory in MiB, four sources", rows)
}

// change returns by how many percent b differs from a. A process that was over before it could be measured, or was seen
// only before its exec, changed nothing.
func change(a, b int64) float64 {
	if min(a, b) < mib {
		return 0
	}
	d := 100 * (float64(b)/float64(a) - 1)
	return max(d, -d)
}

// measurePeaks publishes a file of size bytes on four fresh peers and fetches it.
func measurePeaks(ctx context.Context, b *report.Bench, size int64, plaintext bool) (p peaks, err error) {
	const name = "memory.bin"
	folders, err := peerFolders(b, "memory")
	if err != nil {
		return p, err
	}
	defer func() {
		for _, folder := range append(folders, filepath.Join(b.Dir, "memory-swarm")) {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	for _, folder := range folders {
		if err := makeSparse(filepath.Join(folder, name), size, 2); err != nil {
			return p, err
		}
	}
	s, err := startSwarm(ctx, b, "memory-swarm", plaintext, folders)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if p.publish, err = s.publishAll(ctx, folders, name); err != nil {
		return p, err
	}
	target := filepath.Join(s.dir, name)
	use, err := s.get(ctx, fetcher, name, target)
	if err != nil {
		return p, err
	}
	p.get = use.Peak
	if err := same(target, filepath.Join(folders[0], name)); err != nil {
		return p, err
	}
	daemons, err := s.daemons()
	p.peer = daemons.Peak
	return p, err
}
