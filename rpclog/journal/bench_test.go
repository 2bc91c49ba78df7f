package journal

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

// audited is an entry as the server writes most of them.
var audited = rpclog.Entry{
	Time: time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC), Level: rpclog.Info, Message: "published",
	User: "alice", Operation: "publish", Object: "public/holiday.mkv", Outcome: "ok", Remote: "192.0.2.17:50412",
	Duration: 1234567, Fields: []rpclog.Field{{Name: "size", Value: "123456789"}, {Name: "session", Value: `"17"`}},
}

// BenchmarkAppend stores batches, without waiting for syncs.
func BenchmarkAppend(b *testing.B) {
	j, err := Open(b.TempDir(), Limits{Keep: 256 << 20}, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	const size = 512
	entries := &rpclog.Batch{Sender: sender(1), First: 1, Entries: make([]rpclog.Entry, size)}
	for i := range entries.Entries {
		entries.Entries[i] = audited
	}
	b.ReportAllocs()
	stored := 0
	for b.Loop() {
		if _, err := j.Append(entries, true, Origin{Address: "127.0.0.1:9"}); err != nil {
			b.Fatal(err)
		}
		entries.First += size
		stored += size
	}
	b.ReportMetric(float64(stored)/b.Elapsed().Seconds(), "entries/s")
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEncode is the part of it that makes lines.
func BenchmarkEncode(b *testing.B) {
	entries := &rpclog.Batch{Sender: sender(1), First: 1, Entries: make([]rpclog.Entry, 512)}
	for i := range entries.Entries {
		entries.Entries[i] = audited
	}
	for b.Loop() {
		newRequest(entries, Origin{Address: "127.0.0.1:9"}).release()
	}
	b.ReportMetric(float64(b.N)*512/b.Elapsed().Seconds(), "entries/s")
}
