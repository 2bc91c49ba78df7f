package sender

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal"
	"shoal/rpclog"
	"shoal/tests/bounds"
)

var us = rpclog.Sender{Device: shoal.DeviceID{1, 2, 3}, Process: 77}

// batchOf makes a batch of entries, one for each message.
func batchOf(first uint64, messages ...string) *batch {
	b := &batch{sender: us, first: first}
	for _, m := range messages {
		b.add(&rpclog.Entry{Time: noon, Message: m})
	}
	return b
}

func mustOpen(t *testing.T, dir string, limit int64) *spool {
	t.Helper()
	s, torn, err := openSpool(dir, limit)
	if err != nil || torn != 0 {
		t.Fatalf("opening the spool: %v, %d bytes torn", err, torn)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// messages returns what the service would read in a batch.
func messages(t *testing.T, b *batch) (list []string) {
	t.Helper()
	got, _, err := rpclog.Open(b.seal(nil), nil)
	must(t, err)
	if got.Sender != b.sender || got.First != b.first {
		t.Errorf("sender %v from number %d, want %v from %d", got.Sender, got.First, b.sender, b.first)
	}
	for _, e := range got.Entries {
		list = append(list, e.Message)
	}
	return list
}

// drainSpool returns the messages in the spool, oldest first, and removes them.
func drainSpool(t *testing.T, s *spool) (all []string) {
	t.Helper()
	for !s.empty() {
		b, err := s.peek()
		must(t, err)
		all = append(all, messages(t, b)...)
		must(t, s.advance(b))
	}
	return all
}

func TestSpoolKeepsOrderOverRestarts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := mustOpen(t, dir, 1<<20)
	must(t, s.append(batchOf(1, "a", "b")))
	must(t, s.append(batchOf(3, "c")))
	must(t, s.close())
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	s = mustOpen(t, dir, 1<<20)
	if own, earlier := s.counts(); own != (tally{}) || earlier != (tally{lines: 3}) {
		t.Errorf("counts %v and %v", own, earlier)
	}
	other := batchOf(1, "d")
	other.sender.Process++
	must(t, s.append(other))
	b, err := s.peek()
	must(t, err)
	if got := strings.Join(messages(t, b), ""); got != "abc" {
		t.Errorf("first %q: batches that follow each other are joined, and those of others are not", got)
	}
	must(t, s.advance(batchOf(1, "a", "b"))) // as if they had been sent one by one
	if got := strings.Join(drainSpool(t, s), ""); got != "cd" {
		t.Errorf("then %q", got)
	}
	must(t, s.close())
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSpoolBelongsToOne(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, 1<<20)
	if _, _, err := openSpool(dir, 1<<20); !errors.Is(err, shoal.Busy) {
		t.Errorf("opened twice: %v", err)
	}
	must(t, s.close())
	s = mustOpen(t, dir, 1<<20)
	must(t, s.close())
}

// The spool is cut at each byte of its last record: the records before it are there, and it goes on.
func TestSpoolTornAtEachByte(t *testing.T) {
	whole := appendRecord(appendRecord(nil, batchOf(1, "first")), batchOf(2, "second", "third"))
	last := int(batchOf(1, "first").size())
	for at := range whole {
		dir := t.TempDir()
		path := filepath.Join(dir, "000000000007"+segmentSuffix)
		must(t, os.WriteFile(path, whole[:at], 0o600))
		want, start := "", 0
		if at >= last {
			want, start = "first", last
		}
		s, torn, err := openSpool(dir, 1<<20)
		must(t, err)
		if int(torn) != at-start {
			t.Errorf("cut at %d: %d bytes torn", at, torn)
		}
		next := batchOf(9, "+")
		next.sender.Process++
		must(t, s.append(next))
		if got := strings.Join(drainSpool(t, s), ""); got != want+"+" {
			t.Errorf("cut at %d: %q", at, got)
		}
		must(t, s.close())
	}
}

// A byte of the file is wrong: what comes before that record is there, and nothing wrong is read.
func TestSpoolDamagedAtEachByte(t *testing.T) {
	whole := appendRecord(appendRecord(nil, batchOf(1, "first")), batchOf(2, "second"))
	last := int(batchOf(1, "first").size())
	for at := range whole {
		dir := t.TempDir()
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		must(t, os.WriteFile(filepath.Join(dir, "000000000001"+segmentSuffix), damaged, 0o600))
		s, torn, err := openSpool(dir, 1<<20)
		must(t, err)
		want := ""
		if at >= last {
			want = "first"
		}
		if got := strings.Join(drainSpool(t, s), ""); got != want || torn == 0 {
			t.Errorf("byte %d: %q, %d bytes torn", at, got, torn)
		}
		must(t, s.close())
	}
}

func TestSpoolIsBounded(t *testing.T) {
	const limit = 3 << 20
	s := mustOpen(t, t.TempDir(), limit)
	text := strings.Repeat("x", rpclog.MaxText)
	n := uint64(0)
	var err error
	for ; err == nil; n++ {
		err = s.append(batchOf(n+1, text))
	}
	size := uint64(batchOf(1, text).size())
	if n--; !errors.Is(err, errFull) || n != limit/size {
		t.Errorf("%d batches of %d bytes, then %v", n, size, err)
	}
	must(t, s.append(&batch{sender: us, first: n + 1, count: 1, lost: 5, entries: rpclog.AppendEntry(nil, gap(5, noon))}))
	if own, _ := s.counts(); own != (tally{lines: n, lost: 5}) {
		t.Errorf("counts %v", own)
	}
	// When the first file is delivered there is room again.
	for files := len(s.segments); len(s.segments) == files; {
		b, err := s.peek()
		must(t, err)
		must(t, s.advance(b))
	}
	must(t, s.append(batchOf(n+2, text)))
	must(t, s.close())
}

// A file can be damaged while it is in use.
func TestQueueGetsPastWhatCannotBeRead(t *testing.T) {
	s := mustOpen(t, t.TempDir(), 8<<20)
	text := strings.Repeat("x", rpclog.MaxText)
	n := uint64(0)
	for len(s.segments) < 3 {
		n++
		must(t, s.append(batchOf(n, text)))
	}
	var gone tally
	q := queue{spool: s, gone: func(what tally, earlier bool, why error) {
		if earlier || (what != tally{}) && !errors.Is(why, errTorn) {
			t.Errorf("gone: %v, earlier: %v, %v", what, earlier, why)
		}
		gone.lines += what.lines
	}}
	const intact = 10
	_, err := s.segments[0].file.WriteAt([]byte("?"), intact*batchOf(1, text).size()+100)
	must(t, err)
	sent := uint64(0)
	for b := q.head(); b != nil; b = q.head() {
		sent += b.lines
		q.done(b)
	}
	if !q.empty() || sent+gone.lines != n || sent < intact || gone.lines == 0 {
		t.Errorf("%d sent and %d gone of %d", sent, gone.lines, n)
	}
	must(t, s.close())
}

func TestBatchesHoldTheLargestEntry(t *testing.T) {
	long := strings.Repeat("z", 1<<20)
	e := rpclog.Entry{Message: long, User: long, Operation: long, Object: long, Outcome: long, Remote: long}
	for range 2 * rpclog.MaxFields {
		e.Fields = append(e.Fields, rpclog.Field{Name: long, Value: long})
	}
	b := &batch{sender: us, first: 1}
	for b.add(&e) {
	}
	if b.count == 0 || len(b.entries) > maxBatch || maxBatch > rpclog.MaxBatch {
		t.Errorf("%d entries in %d bytes", b.count, len(b.entries))
	}
	if got, _, err := rpclog.Open(b.seal(nil), nil); err != nil || len(got.Entries) != int(b.count) {
		t.Error(err)
	}
	small := &batch{sender: us, first: 1}
	for small.add(&rpclog.Entry{}) {
	}
	if small.count == 0 || small.count > rpclog.MaxEntries {
		t.Errorf("%d small entries", small.count)
	}
}

// FuzzSpool opens what lies where a spool should be, and takes out of it whatever is whole.
func FuzzSpool(f *testing.F) {
	one := &batch{sender: rpclog.Sender{Device: shoal.DeviceID{1}, Process: 2}, first: 1, count: 2, lines: 2, entries: []byte("entries!")}
	two := &batch{sender: one.sender, first: 3, count: 1, lost: 1, entries: []byte{0, 0, 0, 0}}
	f.Add(appendRecord(appendRecord(nil, one), two))
	f.Add(appendRecord(appendRecord(nil, two), one))
	f.Add(appendRecord(nil, one)[:20])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, "000000000001.spool"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		bounds.Hold(t, len(b), func() {
			s, torn, err := openSpool(dir, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if torn < 0 || torn > int64(len(b)) {
				t.Errorf("%d bytes of %d are cut off", torn, len(b))
			}
			for steps := 0; !s.empty(); steps++ {
				next, err := s.peek()
				if err == nil {
					err = s.advance(next)
				}
				if err != nil {
					_, _, err = s.drop()
				}
				if err != nil || steps > len(b) {
					t.Fatalf("after %d steps: %v", steps, err)
				}
			}
		})
	})
}
