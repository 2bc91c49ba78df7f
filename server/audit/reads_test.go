package audit

import (
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

// Reads are told by device and minute, of all its sessions together, those that have ended included.
func TestReads(t *testing.T) {
	within(t, nil, func(t *testing.T, l *Log, out *output, _ func()) {
		other := shoal.DeviceID{2}
		a, b, c := l.Begin(device), l.Begin(device), l.Begin(other)
		for range 5 {
			a.List(nil)
			b.Lookup(nil)
			b.Lookup(shoal.NotFound)
		}
		a.Log(nil)
		a.Other(nil)
		b.End()
		time.Sleep(countEvery + time.Second)
		got := out.entries(t)
		if len(got) != 1 {
			t.Fatalf("%d entries in the first minute", len(got))
		}
		delete(got[0], "stamp_time")
		delete(got[0], "zone")
		wantFields(t, got[0], map[string]any{
			"level": "info", "message": "read", "op": "read", "user": device.String(), "list": 5.0, "lookup": 10.0, "log": 1.0, "other": 1.0, "failed": 5.0,
			"duration": 60_000.0, "clock": "own",
		})
		a.List(nil)
		c.Lookup(nil)
		a.End()
		time.Sleep(countEvery)
		synctest.Wait()
		if got := out.entries(t); len(got) != 3 {
			t.Errorf("%d entries after the second minute", len(got))
		}
		c.End()
		time.Sleep(10 * countEvery)
		synctest.Wait()
		if got := out.entries(t); len(got) != 3 {
			t.Errorf("%d entries, and nobody has read", len(got))
		}
		l.reads.mu.Lock()
		defer l.reads.mu.Unlock()
		if len(l.reads.sessions) != 0 || len(l.reads.ended) != 0 {
			t.Error("something is remembered of sessions that have ended")
		}
	})
}

// However many strangers come and read, what is remembered is bounded and the sums are right.
func TestReadsOfMany(t *testing.T) {
	within(t, nil, func(t *testing.T, l *Log, out *output, _ func()) {
		const strangers = maxEnded + 1000
		for i := range strangers {
			r := l.Begin(shoal.DeviceID{byte(i), byte(i >> 8), byte(i >> 16), 1})
			r.List(nil)
			r.End()
		}
		l.reads.mu.Lock()
		n := len(l.reads.ended)
		l.reads.mu.Unlock()
		if n > maxEnded+1 {
			t.Errorf("%d devices are remembered", n)
		}
		lists := uint64(0)
		for _, n := range l.reads.collect(time.Now()) {
			lists += n.read.lists
		}
		if lists != strangers {
			t.Errorf("%d lists of %d", lists, strangers)
		}
	})
}
