package journal

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shoal/rpclog"
)

// TestKeep fills a journal beyond what it may keep.
func TestKeep(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 16 << 10, Keep: 64 << 10, Unverified: 32 << 10})
	next := map[bool]uint64{true: 1, false: 1}
	for i := range 400 {
		verified := i%2 == 0
		b := batch(sender(1), next[verified], next[verified]+9)
		for n := range b.Entries { // so that compressing does not make much of a difference
			b.Entries[n].Message = fmt.Sprintf("%x%x", math.Sqrt(float64(i*10+n)), math.Cbrt(float64(i*10+n)))
		}
		f.store(b, verified)
		next[verified] += 10
		if i%8 == 0 {
			f.finish() // or what waits for being compressed takes the place of what was
		}
	}
	f.settle()
	f.finish()
	for verified, end := range next {
		s := f.series(verified)
		var bytes int64
		for _, path := range f.glob(s.prefix + "-*") {
			bytes += int64(len(f.read(path)))
		}
		const firstLines = 1000 // of all files
		if _, counted := s.stats(); counted != bytes || bytes > s.keepLimit+firstLines || bytes < s.keepLimit/4 {
			t.Errorf("verified %v: %d bytes of %d, %d are counted", verified, bytes, s.keepLimit, counted)
		}
		got := numbers(f.all(rpclog.Query{Unverified: !verified}))
		if len(got) == 0 || got[0] == 1 || !reflect.DeepEqual(got, upTo(got[0], end-1)) {
			t.Errorf("verified %v: %v to %d", verified, got, end-1)
		}
		// What has been removed is not stored again.
		if r := f.store(batch(sender(1), 1, 9), verified); r.Duplicates != 9 {
			t.Errorf("verified %v: %+v", verified, r)
		}
	}
}

// TestCompressed reads all of a file that has several members, as it was.
func TestCompressed(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 3 * blockSize / 2, Keep: 1 << 30})
	long := strings.Repeat("long ", rpclog.MaxText/5)
	total := uint64(0)
	for len(f.list()) < 2 {
		b := batch(sender(1), total+1, total+40)
		for i := range b.Entries {
			b.Entries[i].Message = long
			b.Entries[i].Time = time.Unix(int64(total)+int64(i), 0)
		}
		f.store(b, true)
		total += 40
	}
	plain, _ := f.texts(rpclog.Query{})
	cursor := make([]string, 0, 100)
	for q := (rpclog.Query{}); ; {
		p, err := f.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		cursor = append(cursor, p.Next)
		if q.After = p.Next; !p.More {
			break
		}
	}
	f.settle()
	zipped := f.list()[0]
	if !zipped.compressed || zipped.size > blockSize {
		t.Fatalf("not compressed: %+v", zipped)
	}
	if got, _ := f.texts(rpclog.Query{}); !reflect.DeepEqual(got, plain) {
		t.Errorf("%d entries, or others", len(got))
	}
	text := string(f.unzip(zipped.name("log")))
	if n := strings.Count(text, "\n"); uint64(n) < total-40 || !strings.HasPrefix(text, firstLineStart) || !strings.Contains(text, plain[0]+"\n"+plain[1]+"\n") {
		t.Errorf("gzip reads %d lines", n)
	}
	// Places stay where they are.
	seen := 0
	for i, after := range cursor {
		if i%5 != 0 {
			continue
		}
		rest, _ := f.texts(rpclog.Query{After: after})
		if n := len(plain) - len(rest); n <= seen || !reflect.DeepEqual(rest, plain[n:]) {
			t.Errorf("after %s: %d entries", after, len(rest))
		} else {
			seen = n
		}
	}
	// Members that are too old are passed by, and nothing is missed.
	in, err := f.verified.open(f.verified.done()[0], timeText(time.Unix(int64(total)-100, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if b, err := in.next(0); err != nil || b.lines != nil || b.end == 0 {
		t.Errorf("the first member: %d bytes, %v", len(b.lines), err)
	}
	for _, since := range []uint64{0, 1, total / 2, total - 1, total} {
		want := plain[since:]
		for _, q := range []rpclog.Query{{}, {Last: 1e6}} {
			q.Since = time.Unix(int64(since), 0)
			if got, _ := f.texts(q); len(got) != len(want) {
				t.Errorf("since %d: %d entries, want %d", since, len(got), len(want))
			}
		}
	}
}

// TestDamagedCompressed reads what is left of a file in which bits have flipped.
func TestDamagedCompressed(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 4000})
	total := uint64(0)
	for ; len(f.list()) < 4; total++ {
		f.store(batch(sender(1), total+1, total+1), true)
	}
	f.settle()
	f.close()
	zipped := f.list()[1]
	path := filepath.Join(f.dir, zipped.name("log"))
	whole := f.read(path)
	intact := f.copyOf()
	intact.open()
	want := len(intact.all(rpclog.Query{}))
	for at := 0; at < len(whole); at += 11 {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x10
		f.write(path, b)
		f.open()
		got := f.all(rpclog.Query{})
		if len(got) > want || len(got) < want/2 || got[0].Seq != 1 || got[len(got)-1].Seq != total {
			t.Errorf("byte %d: %d entries of %d", at, len(got), want)
		}
		if n := len(f.all(rpclog.Query{Last: 1e6})); n != len(got) {
			t.Errorf("byte %d: backwards %d entries, forwards %d", at, n, len(got))
		}
		f.close()
	}
	f.write(path, whole[:len(whole)-9])
	f.open()
	if got := f.all(rpclog.Query{}); len(got) >= want || got[len(got)-1].Seq != total {
		t.Errorf("cut: %d entries", len(got))
	}
}
