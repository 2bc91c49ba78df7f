package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	loopbackSize  = gib
	loopbackTurns = 5 // that count; one before them is thrown away
)

// A contender fetches a file and says what its daemons have used since their start.
type contender struct {
	name    string
	get     func(ctx context.Context, path string) (proc.Usage, error)
	daemons func() (proc.Usage, error)

	wall, cpu             []time.Duration // of each turn; CPU time of the fetcher and its daemons
	fetcherPeak, peerPeak int64           // largest of any turn
}

// loopback measures 1 GiB from four warm sources on this machine to disk: shoal in plaintext and with TLS against
// aria2 from four nginx, which serve the very files that the peers serve.
func loopback(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	const name = "loopback.bin"
	folders, err := peerFolders(b, "loopback")
	if err != nil {
		return nil, err
	}
	source := filepath.Join(folders[0], name)
	if err := makeRandom(source, loopbackSize, 1); err != nil {
		return nil, err
	}
	plain, err := startSwarm(ctx, b, "loopback-plain", true, folders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plain.stop()) }()
	if err := plain.seed(ctx, folders, name); err != nil {
		return nil, err
	}
	tls, err := startSwarm(ctx, b, "loopback-tls", false, folders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tls.stop()) }()
	if _, err := tls.publishAll(ctx, folders, name); err != nil {
		return nil, err
	}
	rival, err := startRival(ctx, b, folders)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rival.stop()) }()

	fetch := func(s *swarm) func(context.Context, string) (proc.Usage, error) {
		return func(ctx context.Context, path string) (proc.Usage, error) { return s.get(ctx, fetcher, name, path) }
	}
	contenders := []*contender{
		{name: "aria2, four nginx", daemons: rival.daemons, get: func(ctx context.Context, path string) (proc.Usage, error) {
			return rival.get(ctx, name, path)
		}},
		{name: "shoal --plaintext", daemons: plain.daemons, get: fetch(plain)},
		{name: "shoal (TLS 1.3)", daemons: tls.daemons, get: fetch(tls)},
	}
	if err := alternate(ctx, b, contenders, folders, name); err != nil {
		return nil, err
	}
	return loopbackReport(contenders)
}

// alternate lets the contenders take turns. The results of the first are compared with the source.
func alternate(ctx context.Context, b *report.Bench, contenders []*contender, folders []string, name string) error {
	for _, folder := range folders {
		if err := warm(filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	target := filepath.Join(b.Dir, "target.bin")
	for turn := range 1 + loopbackTurns {
		for i := range contenders {
			c := contenders[(turn+i)%len(contenders)] // nobody always comes after the same one
			if err := settle(b.Dir); err != nil {
				return err
			}
			if err := c.turn(ctx, target, turn > 0); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if turn == 0 {
				if err := same(target, filepath.Join(folders[0], name)); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
			if err := os.Remove(target); err != nil {
				return fmt.Errorf("removing what was fetched: %w", err)
			}
		}
	}
	return nil
}

// turn fetches the file once, and keeps what that took if it counts.
func (c *contender) turn(ctx context.Context, target string, counts bool) error {
	before, err := c.daemons()
	if err != nil {
		return err
	}
	use, err := c.get(ctx, target)
	if err != nil {
		return err
	}
	after, err := c.daemons()
	if err != nil {
		return err
	}
	c.fetcherPeak, c.peerPeak = max(c.fetcherPeak, use.Peak), max(c.peerPeak, after.Peak)
	if counts {
		c.wall = append(c.wall, use.Wall)
		c.cpu = append(c.cpu, use.CPU+after.CPU-before.CPU)
	}
	return nil
}

func loopbackReport(contenders []*contender) ([]report.Verdict, error) {
	rows := []string{"\tseconds\tMiB/s\tspeed\tCPU s\tpeak MiB: fetcher\ta daemon"}
	rival := report.Median(contenders[0].wall)
	speed := make([]float64, len(contenders))
	for i, c := range contenders {
		wall := report.Median(c.wall)
		speed[i] = rival.Seconds() / wall.Seconds()
		rows = append(rows, fmt.Sprintf("%s\t%s\t%.0f\t%.2f×\t%s\t%s\t%s", c.name, seconds(wall),
			loopbackSize/mib/wall.Seconds(), speed[i], seconds(report.Median(c.cpu)), mibs(c.fetcherPeak), mibs(c.peerPeak)))
	}
	title := fmt.Sprintf("\n1 GiB from four sources on this machine to disk, medians of %d", loopbackTurns)
	return []report.Verdict{
		{Name: "loopback-plain", Measured: speed[1], Bar: 2.0, AtLeast: true, Unit: "×"},
		{Name: "loopback-tls", Measured: speed[2], Bar: 1.2, AtLeast: true, Unit: "×"},
	}, report.Table(title, rows)
}
