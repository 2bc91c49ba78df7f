package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
	"shoal/rpclog/sender"
	"shoal/rpclog/service"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	appendLines = 500_000
	appendLimit = time.Minute
)

// appends measures how many entries a second a log service on one core stores of what one sender has kept for it in its
// spool: each batch verified, written, and synced before it is acknowledged. The time runs from opening the sender until
// the last acknowledgement. The service's counts and its files are then looked at.
func appends(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	spool := filepath.Join(b.Dir, "spool to append")
	if err := fillSpool(spool); err != nil {
		return nil, err
	}
	s, key, err := logService(ctx, b, "append")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	before, err := s.Usage()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	w, err := sender.Open(sender.Config{Service: s.event.Address, Key: key, Device: shoal.DeviceID{1}, Spool: spool, SpoolLimit: 1 << 30})
	if err != nil {
		return nil, err
	}
	for w.Counts().Earlier > 0 && time.Since(start) < appendLimit && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	after, err := s.Usage()
	if err = errors.Join(err, closeWriter(w)); err != nil {
		return nil, err
	}
	stats, err := askStats(ctx, s.event.Address)
	if err != nil {
		return nil, err
	}
	present, err := countStored(ctx, s.event.Socket)
	if err != nil {
		return nil, err
	}
	if stats.Stored != appendLines || stats.Lost+stats.Missing+stats.Unverified > 0 || present != appendLines {
		return nil, fmt.Errorf("of %d entries %d are in the log; the service says %+v", appendLines, present, stats)
	}
	return appendReport(took, before, after, stats)
}

func appendReport(took time.Duration, before, after proc.Usage, stats rpclog.Stats) ([]report.Verdict, error) {
	rate := float64(appendLines) / took.Seconds()
	rows := []string{
		"entries\tseconds\tentries/s\tCPU µs each\tMiB on disk\tpeak MiB",
		fmt.Sprintf("%d\t%.2f\t%.0f\t%.2f\t%.0f\t%.1f", appendLines, took.Seconds(), rate,
			float64((after.CPU-before.CPU).Microseconds())/appendLines, float64(stats.Bytes)/(1<<20), float64(after.Peak)/(1<<20)),
	}
	return []report.Verdict{{Name: "append", Measured: rate, Bar: 100_000, AtLeast: true, Unit: " entries/s"}},
		report.Table("\nThe log service on one core: one connection, each batch synced before it is acknowledged", rows)
}

// fillSpool logs to a service that is not there.
func fillSpool(dir string) error {
	nobody, err := freeAddress()
	if err != nil {
		return err
	}
	w, err := sender.Open(sender.Config{Service: nobody, Device: shoal.DeviceID{1}, Spool: dir, SpoolLimit: 1 << 30})
	if err != nil {
		return err
	}
	log := stamped(w)
	for i := range appendLines {
		logLine(&log, i)
		for i%512 == 0 && w.Counts().Queued > 1024 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	err = closeWriter(w)
	if c := w.Counts(); err == nil && c.Spooled != appendLines {
		err = fmt.Errorf("of %d lines only %d are in the spool: %+v", appendLines, c.Spooled, c)
	}
	return err
}

// askStats calls STATS.
func askStats(ctx context.Context, address string) (rpclog.Stats, error) {
	c, err := oncrpc.Dial(ctx, oncrpc.Target{Network: "tcp", Address: address, Program: rpclog.Program, Version: rpclog.Version})
	if err != nil {
		return rpclog.Stats{}, err
	}
	defer c.Close()
	reply, err := c.Call(ctx, rpclog.ProcStats, nil)
	if err != nil {
		return rpclog.Stats{}, err
	}
	return rpclog.DecodeStats(reply)
}

// countStored reads the whole log and counts its entries, whose numbers must follow each other.
func countStored(ctx context.Context, socket string) (n uint64, err error) {
	var q rpclog.Query
	for {
		page, err := service.Read(ctx, socket, q)
		if err != nil {
			return n, err
		}
		for _, line := range page.Lines {
			var entry struct{ Seq uint64 }
			if err := json.Unmarshal(bytes.TrimSpace(line), &entry); err != nil {
				return n, fmt.Errorf("reading the log: %w in %s", err, line)
			}
			if n++; entry.Seq != n {
				return n, fmt.Errorf("reading the log: number %d where %d is due", entry.Seq, n)
			}
		}
		if !page.More {
			return n, nil
		}
		q.After = page.Next
	}
}
