package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"shoal/identity"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	idleCount   = 10_000
	idleDialing = 25 // at once
)

// idleConnections measures what a server's memory grows by with connections that have asked something and are silent: what
// is resident in the end, and at most on the way there, garbage included.
func idleConnections(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	s, err := startServer(ctx, b, "idle-conn")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	before, err := s.Usage()
	if err != nil {
		return nil, err
	}
	clients, err := s.connectMany(ctx, idleCount)
	defer func() { hangUp(clients) }()
	if err != nil {
		return nil, err
	}
	after, err := s.Usage()
	if err != nil {
		return nil, err
	}
	// All of them are there, and are answered.
	for _, c := range clients {
		if err := c.ask(wire.KindPing, new(wire.Empty), new(wire.Empty)); err != nil {
			return nil, err
		}
	}
	asked, err := s.Usage()
	if err != nil {
		return nil, err
	}
	each := func(u proc.Usage) float64 { return float64(u.Peak-before.Peak) / float64(len(clients)) / 1024 }
	rows := []string{
		"connections\tKiB before\tKiB each, once connected\tafter a PING of each\tCPU ms each to connect",
		fmt.Sprintf("%d\t%d\t%.1f\t%.1f\t%.2f", len(clients), before.Peak/1024, each(after), each(asked),
			1e3*(after.CPU-before.CPU).Seconds()/float64(len(clients))),
	}
	return []report.Verdict{{Name: "idle-conn", Measured: max(each(after), each(asked)), Bar: 60, Unit: " KiB"}},
		report.Table("\nIdle connections over TLS: the server's peak memory above what it was without them", rows)
}

// connectMany connects n devices that are nobody's. Also where it fails it returns those that it connected.
func (s *server) connectMany(ctx context.Context, n int) ([]*client, error) {
	var mu sync.Mutex // guards all and failed
	var all []*client
	var failed error
	var dialing sync.WaitGroup
	for range idleDialing {
		dialing.Go(func() {
			for range n / idleDialing {
				c, err := s.connect(ctx, identity.NewKey())
				mu.Lock()
				if err == nil {
					all = append(all, c)
				} else {
					failed = errors.Join(failed, err)
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	dialing.Wait()
	return all, failed
}
