package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shoal/tests/bench/report"
)

// onLoopback measures 1 GiB from four warm sources on this machine to disk, once, and returns aria2, libtorrent, shoal in
// plaintext and shoal with TLS after their turns.
func (s *suite) onLoopback(ctx context.Context, b *report.Bench) (_ []*contender, err error) {
	const size, sources = gib, 4
	if s.loopback != nil {
		return s.loopback, nil
	}
	dir, remove, err := onDisk(b, 8*size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	u := &supply{Bench: b, dir: dir, server: machine{address: "127.0.0.1"}, fetcher: machine{address: "127.0.0.1"}, sources: loopbacks(sources)}
	if u.folders, err = folders(dir, sources); err != nil {
		return nil, err
	}
	for _, folder := range u.folders {
		if _, err := makeFile(ctx, folder, size); err != nil {
			return nil, err
		}
	}
	contenders, stop, err := start(ctx, u.aria2, u.libtorrent,
		func(ctx context.Context) (*contender, error) { return u.shoal(ctx, "shoal --plaintext", "--plaintext") },
		func(ctx context.Context) (*contender, error) { return u.shoal(ctx, "shoal (TLS 1.3)") })
	if err != nil {
		return nil, err
	}
	// The first turn is over fresh memory, which is slow on some machines.
	if err := errors.Join(u.alternate(ctx, contenders, 1, s.turns), stop()); err != nil {
		return nil, err
	}
	rows := []string{"\tseconds\tMiB/s\tCPU s\tpeak MiB: fetcher\ta source"}
	for _, c := range contenders {
		wall := report.Median(c.walls)
		rows = append(rows, fmt.Sprintf("%s\t%s\t%.0f\t%s\t%s\t%s", c.name, seconds(wall), size/mib/wall.Seconds(),
			seconds(report.Median(c.cpus)), mibs(c.fetcher), mibs(c.toSource)))
	}
	s.loopback = contenders
	return contenders, report.Table(fmt.Sprintf("\n1 GiB from four sources on this machine to disk; medians of %d", s.turns), rows)
}

// speed is how many times as fast the contender who is number `who` is as number `as`.
func speed(contenders []*contender, who, as int) float64 {
	wall := func(i int) time.Duration { return report.Median(contenders[i].walls) }
	return wall(as).Seconds() / wall(who).Seconds()
}

// The places of onLoopback's contenders.
const (
	inAria2 = iota
	inLibtorrent
	inPlaintext
	inTLS
)

func (s *suite) loopbackPlain(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	all, err := s.onLoopback(ctx, b)
	if err != nil {
		return nil, err
	}
	return []report.Verdict{
		{Name: "loopback-plain, of libtorrent", Measured: speed(all, inPlaintext, inLibtorrent), Bar: 3.5, AtLeast: true, Unit: "×"},
		{Name: "loopback-plain, of aria2", Measured: speed(all, inPlaintext, inAria2), Bar: 2.3, AtLeast: true, Unit: "×"},
	}, nil
}

func (s *suite) loopbackTLS(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	all, err := s.onLoopback(ctx, b)
	if err != nil {
		return nil, err
	}
	return []report.Verdict{{Name: "loopback-tls, of libtorrent", Measured: speed(all, inTLS, inLibtorrent), Bar: 1.8, AtLeast: true, Unit: "×"}}, nil
}

func (s *suite) cpu(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	all, err := s.onLoopback(ctx, b)
	if err != nil {
		return nil, err
	}
	return []report.Verdict{{Name: "cpu", Measured: report.Median(all[inPlaintext].cpus).Seconds(), Bar: 2.2, Unit: " s"}}, nil
}
