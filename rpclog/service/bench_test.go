package service

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
	"shoal/rpclog/journal"
	"shoal/rpclog/oncrpc"
)

// BenchmarkAppend stores batches that come through one connection, one call after the other. Client and service share
// what -cpu gives.
func BenchmarkAppend(b *testing.B) {
	s, err := New(Config{Listen: "127.0.0.1:0", State: b.TempDir(), Limits: journal.Limits{Keep: 256 << 20}, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	c, err := oncrpc.Dial(ctx, oncrpc.Target{Network: "tcp", Address: s.Addr().String(), Program: rpclog.Program, Version: rpclog.Version})
	if err != nil {
		b.Fatal(err)
	}
	const size = 512
	var entries []byte
	for range size {
		entries = rpclog.AppendEntry(entries, &rpclog.Entry{
			Time: time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC), Level: rpclog.Info, Message: "published",
			User: "alice", Operation: "publish", Object: "public/holiday.mkv", Outcome: "ok", Remote: "192.0.2.17:50412",
			Duration: 1234567, Fields: []rpclog.Field{{Name: "size", Value: "123456789"}, {Name: "session", Value: `"17"`}},
		})
	}
	stored := uint64(0)
	for b.Loop() {
		results, err := c.Call(ctx, rpclog.ProcAppend, rpclog.Seal(rpclog.Sender{Process: 1}, stored+1, false, size, entries, s.key))
		if err != nil {
			b.Fatal(err)
		}
		if r, err := rpclog.DecodeResult(results); err != nil || r.Stored != size || !r.Verified {
			b.Fatal(r, err)
		}
		stored += size
	}
	b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "entries/s")
	c.Close()
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
