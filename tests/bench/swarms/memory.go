package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

// memory measures the most memory that any process needs while 10 GiB, all of it written, is fetched from 50 peers on this
// machine to disk, with TLS and in plaintext.
func (s *suite) memory(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	const size, sources = 10 * gib, 50
	dir, remove, err := onDisk(b, 24*gib)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	path, err := makeFile(ctx, dir, size)
	if err != nil {
		return nil, err
	}
	rows := []string{"\tpeak MiB: a peer\tget\tseconds"}
	most := int64(0)
	for _, mode := range []struct{ name, flag string }{{"TLS 1.3", "--plaintext=0"}, {"plaintext", "--plaintext"}} {
		use, peer, err := memoryTurn(ctx, b, filepath.Join(dir, mode.name), path, sources, mode.flag)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", mode.name, err)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", mode.name, mibs(peer), mibs(use.Peak), seconds(use.Wall)))
		most = max(most, peer, use.Peak)
	}
	title := fmt.Sprintf("\n%d GiB from %d peers on this machine to disk", size/gib, sources)
	return []report.Verdict{{Name: "memory", Measured: float64(most) / mib, Bar: 64, Unit: " MiB"}}, report.Table(title, rows)
}

// memoryTurn fetches the file from peers that all serve it from path, and returns what get used and the largest peak of a
// peer in bytes.
func memoryTurn(ctx context.Context, b *report.Bench, dir, path string, sources int, flag string) (use proc.Usage, peer int64, err error) {
	devices := []string{fetcherName}
	for i := range sources {
		devices = append(devices, sourceName(i))
	}
	here := machine{address: "127.0.0.1"}
	s, err := startSwarm(ctx, b, dir, here, devices, flag)
	if err != nil {
		return use, 0, err
	}
	defer func() { err = errors.Join(err, s.stop(), os.RemoveAll(dir)) }()
	if err := s.servedByAll(ctx, here, path, sources); err != nil {
		return use, 0, err
	}
	target := filepath.Join(dir, fileName)
	if use, _, err = proc.Run(ctx, s.get(here, fetcherName, target)); err != nil {
		return use, 0, err
	}
	if err := same(target, path); err != nil {
		return use, 0, err
	}
	peers, err := together(s.peers)
	return use, peers.Peak, err
}

// servedByAll starts peers that all serve the file from where it is. Only the first one hashes it: the others start with its
// catalog, as if they had been stopped and started again.
func (s *swarm) servedByAll(ctx context.Context, on machine, path string, sources int) error {
	first, err := s.peer(ctx, on, sourceName(0))
	if err != nil {
		return err
	}
	if err := s.publish(ctx, on, sourceName(0), path); err != nil {
		return err
	}
	if err := first.Stop(); err != nil { // so that the catalog is at rest
		return err
	}
	s.peers = nil
	const catalog = "catalog.db"
	for i := 1; i < sources; i++ {
		if err := copyFile(filepath.Join(s.dir, sourceName(i), catalog), filepath.Join(s.dir, sourceName(0), catalog)); err != nil {
			return err
		}
	}
	for i := range sources {
		if _, err := s.peer(ctx, on, sourceName(i)); err != nil {
			return err
		}
	}
	return s.awaitSources(ctx, on, sources)
}

// awaitSources waits until the server knows of so many.
func (s *swarm) awaitSources(ctx context.Context, on machine, sources int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("there were not %d sources after %v", sources, stepTimeout))
	defer cancel()
	for {
		_, out, err := proc.Run(ctx, s.client(on, fetcherName, "info", fileName))
		if err != nil {
			return err
		}
		var info struct{ Sources int }
		if err := lastEvent(out, &info); err != nil || info.Sources >= sources {
			return err
		}
	}
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying a catalog: %w", err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("copying a catalog: %w", err)
	}
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Close()); err != nil {
		return fmt.Errorf("copying a catalog: %w", err)
	}
	return nil
}
