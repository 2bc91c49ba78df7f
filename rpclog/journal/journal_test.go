package journal

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

// TestEntry stores everything that an entry can say.
func TestEntry(t *testing.T) {
	f := newJournal(t, Limits{})
	b := &rpclog.Batch{Sender: rpclog.Sender{Device: sender(7).Device, Process: math.MaxUint64}, First: 1, Entries: []rpclog.Entry{
		{
			Time: time.Unix(1795255200, 5).UTC(), Level: rpclog.Warn, Lost: 3, Message: "a \"message\"\nof\x1b[31m two\u2028 lines\xff", User: "alice",
			Operation: "publish", Object: "public/f", Outcome: "ok", Remote: "192.0.2.1:5", Duration: -1500 * time.Microsecond,
			Fields: []rpclog.Field{
				{Name: "n", Value: "17"},
				{Name: "s", Value: `"x"`},
				{Name: "o", Value: "{\n\t\"k\": [1, 2.5e3, null]}"},
				{Name: "bad", Value: "{"},
				{Name: "", Value: ""},
				{Name: "c1", Value: "\"\u009b\x7f\xff\u2029\""},
				{Name: "deep", Value: strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)},
				{Name: "deep enough", Value: strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)},
				{Name: "no number", Value: "01"},
				{Name: "zero", Value: "0"},
				{Name: "quoted", Value: `"[[\"["`},
			},
		},
		{Time: time.Unix(0, math.MinInt64), Level: rpclog.NoLevel},
		{Time: time.Unix(0, math.MaxInt64), Level: rpclog.Panic, Duration: 1},
	}}
	from := Origin{Address: "198.51.100.7:900", System: &System{Machine: "box\n", UID: 4294967295, GID: 5}}
	if r, err := f.Append(b, true, from); err != nil || r != (rpclog.Result{Verified: true, Stored: 3, Mark: 3}) {
		t.Fatalf("%+v, %v", r, err)
	}
	const origin = `,"from":{"address":"198.51.100.7:900","auth_sys":{"machine":"box\n","uid":4294967295,"gid":5}}}`
	device := fmt.Sprintf(`"device":"%s","process":18446744073709551615`, b.Sender.Device)
	want := []string{
		`{"time":"2026-11-21T10:00:00.000000005Z","level":"warn",` + device + `,"seq":1,"lost":3,"message":"a \"message\"\nof\u001b[31m two\u2028 lines` + "\uFFFD" +
			`","user":"alice","op":"publish","object":"public/f","outcome":"ok","remote":"192.0.2.1:5","duration":-1.5,"fields":{"n":17,"s":"x","o":{  "k": [1, 2.5e3, null]},"bad":"{","":"","c1":"\u009b\u007f` + "\uFFFD" + `\u2029","deep":"` +
			strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `","deep enough":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) +
			`,"no number":"01","zero":0,"quoted":"[[\"["}` + origin,
		`{"time":"1677-09-21T00:12:43.145224192Z",` + device + `,"seq":2` + origin,
		`{"time":"2262-04-11T23:47:16.854775807Z","level":"panic",` + device + `,"seq":3,"duration":0.000001` + origin,
	}
	for i, l := range f.all(rpclog.Query{}) {
		if l.text != want[i] {
			t.Errorf("entry %d:\n%s\nwant\n%s", i, l.text, want[i])
		}
	}
	f.reopen()
	if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 3)) {
		t.Errorf("after opening again: %v", got)
	}
	if r := f.store(b, true); r.Duplicates != 3 || r.Mark != 3 {
		t.Errorf("sent again: %+v", r)
	}
}

// TestMarks sends batches again, overlapping and with gaps.
func TestMarks(t *testing.T) {
	f := newJournal(t, Limits{})
	b := batch(sender(1), 1, 10)
	b.Entries[4].Lost = 6
	for _, step := range []struct {
		batch *rpclog.Batch
		want  rpclog.Result
	}{
		{b, rpclog.Result{Stored: 10, Mark: 10}},
		{b, rpclog.Result{Duplicates: 10, Mark: 10}},
		{batch(sender(1), 8, 14), rpclog.Result{Stored: 4, Duplicates: 3, Mark: 14}},
		{batch(sender(1), 20, 21), rpclog.Result{Stored: 2, Mark: 21}},     // 5 are missing
		{batch(sender(1), 16, 18), rpclog.Result{Duplicates: 3, Mark: 21}}, // late, and no longer wanted
		{batch(sender(1), 22, 21), rpclog.Result{Mark: 21}},                // nothing
		{batch(sender(2), 3, 3), rpclog.Result{Stored: 1, Mark: 3}},        // 2 are missing
		{batch(sender(3), 9, 8), rpclog.Result{}},                          // nothing, of nobody
		{batch(sender(2), math.MaxUint64-1, math.MaxUint64-2), rpclog.Result{Mark: 3}},
	} {
		step.want.Verified = true
		if r := f.store(step.batch, true); r != step.want {
			t.Errorf("%d entries from %d on: %+v, want %+v", len(step.batch.Entries), step.batch.First, r, step.want)
		}
	}
	stats := f.Stats()
	bytes := uint64(0)
	for _, e := range f.list() {
		bytes += uint64(e.size)
	}
	want := rpclog.Stats{Started: stats.Started, Stored: 17, Duplicates: 16, Lost: 6, Missing: 7, Bytes: bytes}
	if stats != want {
		t.Errorf("%+v, want %+v", stats, want)
	}
	if age := time.Since(time.Unix(0, stats.Started)); age < 0 || age > time.Minute {
		t.Errorf("started %v ago", age)
	}
}

// list returns what is in the folder.
func (f *reopened) list() (files []file) {
	f.Helper()
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		for _, prefix := range []string{"log", "unverified"} {
			if named, ok := parseName(prefix, e.Name()); ok {
				named.size = info.Size()
				files = append(files, named)
			}
		}
	}
	return files
}

// TestUnverifiedApart lets strangers pretend to be a sender, and flood.
func TestUnverifiedApart(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 8 << 10, Keep: 64 << 10, Unverified: 32 << 10})
	f.store(batch(sender(1), 1, 100), false)
	if r := f.store(batch(sender(1), 1, 5), true); r.Stored != 5 || !r.Verified {
		t.Errorf("the sender's own: %+v", r)
	}
	if r := f.store(batch(sender(1), 1, 100), false); r.Duplicates != 100 || r.Verified {
		t.Errorf("the stranger's again: %+v", r)
	}
	for n := range byte(60) {
		f.store(batch(sender(n), 1, 50), false)
	}
	if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 5)) {
		t.Errorf("verified: %v", got)
	}
	f.reopen()
	if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 5)) {
		t.Errorf("verified, later: %v", got)
	}
	if r := f.store(batch(sender(1), 6, 6), true); r.Stored != 1 || f.Stats().Missing != 0 {
		t.Errorf("going on: %+v", r)
	}
	// More strangers than are remembered: those heard of last are.
	for i := range uint64(maxUnverified + 10) {
		f.store(batch(rpclog.Sender{Process: i}, 1, 1), false)
	}
	if r := f.store(batch(rpclog.Sender{Process: 11}, 1, 1), false); r.Duplicates != 1 {
		t.Errorf("remembered: %+v", r)
	}
	if r := f.store(batch(rpclog.Sender{Process: 9}, 1, 1), false); r.Stored != 1 {
		t.Errorf("forgotten: %+v", r)
	}
}

// TestConcurrentAppends has many senders, some of which want to be sure.
func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 32 << 10})
	const senders, batches, size = 8, 20, 25
	var all sync.WaitGroup
	for n := range byte(senders) {
		all.Go(func() {
			for i := range uint64(batches) {
				b := batch(sender(n), i*size+1, (i+1)*size)
				b.Sync = n%2 == 0
				if r, err := f.Append(b, true, Origin{}); err != nil || r.Stored != size {
					t.Errorf("%+v, %v", r, err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			f.all(rpclog.Query{Last: 30})
		}
	})
	all.Wait()
	for range 2 {
		seen := map[rpclog.Sender]uint64{}
		for _, l := range f.all(rpclog.Query{}) {
			from := rpclog.Sender{Device: l.Device, Process: l.Process}
			if seen[from]++; seen[from] != l.Seq {
				t.Fatalf("number %d of %v comes as %d", l.Seq, from.Process, seen[from])
			}
		}
		for n := range byte(senders) {
			if seen[sender(n)] != batches*size {
				t.Errorf("sender %d has %d entries", n, seen[sender(n)])
			}
		}
		f.reopen()
	}
}

// TestClosed appends to a journal that is closed.
func TestClosed(t *testing.T) {
	j, err := Open(t.TempDir(), Limits{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := j.Append(batch(sender(1), 1, 1), true, Origin{}); err == nil || r.Status != rpclog.IO {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestDays begins a new file each day that something is logged, by this machine's clock and in UTC.
func TestDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newJournal(t, Limits{})
		start := time.Now().UTC().Truncate(24 * time.Hour)
		time.Sleep(time.Until(start.Add(24*time.Hour - time.Second)))
		f.store(batch(sender(1), 1, 1), true)
		time.Sleep(2 * time.Second)
		f.store(batch(sender(1), 2, 3), true)
		time.Sleep(72 * time.Hour)
		f.store(batch(sender(1), 4, 4), true)
		f.reopen()
		f.store(batch(sender(1), 5, 5), true)
		var days []string
		for _, file := range f.list() {
			days = append(days, fmt.Sprint(file.number, " ", file.day))
		}
		var want []string
		for i, after := range []int{0, 1, 4} {
			want = append(want, fmt.Sprint(i+1, " ", start.AddDate(0, 0, after).Format(time.DateOnly)))
		}
		if !reflect.DeepEqual(days, want) {
			t.Errorf("files %q, want %q", days, want)
		}
		if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 5)) {
			t.Errorf("entries %v", got)
		}
		f.close()
	})
}

// TestSyncedInTime syncs what nobody waits for within a second.
func TestSyncedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &series{dir: t.TempDir(), prefix: "log", fileLimit: 1 << 20, finished: make(chan struct{}, 1)}
		w, err := s.recover(maxSenders)
		if err != nil {
			t.Fatal(err)
		}
		s.requests, s.stop = make(chan *request), make(chan struct{})
		s.running.Go(w.run)
		j := &Journal{verified: s}
		for n := range uint64(5) {
			if _, err := j.Append(batch(sender(1), n+1, n+1), true, Origin{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(700 * time.Millisecond)
		synctest.Wait() // so nobody touches w
		if w.synced != w.file.size || w.due != nil || w.file.size <= w.first {
			t.Errorf("%d of %d bytes are synced", w.synced, w.file.size)
		}
		close(s.stop)
		s.running.Wait()
	})
}

// TestForeignFiles leaves alone what is not the journal's.
func TestForeignFiles(t *testing.T) {
	f := newJournal(t, Limits{})
	f.store(batch(sender(1), 1, 1), true)
	f.close()
	names := []string{"log-2026-13-21-000001.jsonl", "log-2026-11-21-.jsonl", "log-2026-11-21-0.jsonl", "notes", "log-2026-11-21-000001.txt", "other.tmp", "log-x.tmp"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.open()
	if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, 1)) {
		t.Errorf("entries %v", got)
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(f.dir, name)); err != nil {
			t.Error(err)
		}
	}
}
