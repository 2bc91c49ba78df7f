package journal

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/rpclog"
)

func TestFilters(t *testing.T) {
	f := newJournal(t, Limits{})
	at := func(s int) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(s) * time.Second) }
	f.store(&rpclog.Batch{Sender: sender(1), First: 1, Entries: []rpclog.Entry{
		{Time: at(1), Level: rpclog.Debug, User: "alice", Operation: "publish"},
		{Time: at(2), Level: rpclog.Info, User: "bob", Operation: "publish", Message: `,"user":"alice"`},
		{Time: at(5), Level: rpclog.Error, User: "alice", Operation: "remove"},
		{Time: at(4), Level: rpclog.NoLevel, Fields: []rpclog.Field{{Name: "x", Value: `{"y":1,"user":"alice","op":"publish"}`}}},
		{Time: at(3), Level: rpclog.Trace, User: "al\"ice\n", Message: "Grüße"},
	}}, true)
	f.store(&rpclog.Batch{Sender: sender(1), First: 1, Entries: []rpclog.Entry{{Time: at(9), User: "alice"}}}, false)
	for name, c := range map[string]struct {
		q    rpclog.Query
		want []uint64
	}{
		"all":                {rpclog.Query{}, []uint64{1, 2, 3, 4, 5}},
		"user":               {rpclog.Query{User: "alice"}, []uint64{1, 3}},
		"user with quotes":   {rpclog.Query{User: "al\"ice\n"}, []uint64{5}},
		"part of a user":     {rpclog.Query{User: "ali"}, nil},
		"operation":          {rpclog.Query{Operation: "publish"}, []uint64{1, 2}},
		"user and operation": {rpclog.Query{User: "alice", Operation: "publish"}, []uint64{1}},
		"level":              {rpclog.Query{Level: rpclog.Info}, []uint64{2, 3, 4}},
		"no level":           {rpclog.Query{Level: rpclog.NoLevel}, []uint64{4}},
		"since":              {rpclog.Query{Since: at(3)}, []uint64{3, 4, 5}},
		"long since":         {rpclog.Query{Since: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)}, []uint64{1, 2, 3, 4, 5}},
		"not yet":            {rpclog.Query{Since: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)}, nil},
		"grep":               {rpclog.Query{Grep: `"(op|Op)":"r.move"|Gr..e`}, []uint64{3, 5}},
		"grep and level":     {rpclog.Query{Grep: "alice", Level: rpclog.Info}, []uint64{2, 3, 4}},
		"last":               {rpclog.Query{Last: 2}, []uint64{4, 5}},
		"last of":            {rpclog.Query{Last: 1, User: "alice"}, []uint64{3}},
		"last of all":        {rpclog.Query{Last: 100}, []uint64{1, 2, 3, 4, 5}},
		"last of none":       {rpclog.Query{Last: 3, User: "carol"}, nil},
		"unverified":         {rpclog.Query{Unverified: true}, []uint64{1}},
	} {
		if got := numbers(f.all(c.q)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestBadQueries are refused.
func TestBadQueries(t *testing.T) {
	f := newJournal(t, Limits{})
	f.store(batch(sender(1), 1, 1), true)
	for _, q := range []rpclog.Query{
		{Grep: "("},
		{Grep: strings.Repeat("x", maxPattern+1)},
		{After: "l"},
		{After: "l1"},
		{After: "1.0"},
		{After: "l1.-1"},
		{After: "lx.1"},
		{After: "u1.0"},
		{After: "l1.0", Unverified: true},
		{After: "l9.0"},
		{After: "l99999999999999999999.0"},
		{After: "l1.1.1"},
	} {
		if _, err := f.Query(t.Context(), q); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, q := range []rpclog.Query{{}, {Last: 1}} {
		if _, err := f.Query(ended, q); !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	// Any place in a file is one: reading goes on with the next whole line.
	for _, after := range []string{"l0.0", "l0.7", "l1.0", "l1.1", "l1.20"} {
		if got := numbers(f.all(rpclog.Query{After: after})); !reflect.DeepEqual(got, upTo(1, 1)) {
			t.Errorf("after %s: %v", after, got)
		}
	}
	if got := f.all(rpclog.Query{After: "l1.100000"}); got != nil {
		t.Errorf("after the end: %v", got)
	}
}

// TestFollow asks for what came since, while files end, are compressed and removed.
func TestFollow(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{File: 8 << 10, Keep: 64 << 10})
	var got []uint64
	lines, next := f.from(rpclog.Query{})
	if lines != nil || next == "" {
		t.Fatalf("an empty journal: %v, %q", lines, next)
	}
	for n := uint64(0); n < 300; n += 3 {
		f.store(batch(sender(1), n+1, n+3), true)
		lines, next = f.from(rpclog.Query{After: next})
		got = append(got, numbers(lines)...)
		if n%30 == 0 {
			f.reopen()
		}
		lines, next = f.from(rpclog.Query{After: next})
		got = append(got, numbers(lines)...)
	}
	if !reflect.DeepEqual(got, upTo(1, 300)) {
		t.Errorf("followed: %v", got)
	}
	// Who was away for long goes on with the oldest there is.
	lines, _ = f.from(rpclog.Query{After: "l1.0"})
	if n := numbers(lines); n[len(n)-1] != 300 || !reflect.DeepEqual(n, upTo(n[0], 300)) {
		t.Errorf("later: %v", n)
	}
	// The last entries are found across files.
	f.settle()
	for _, n := range []int{1, 20, 100} {
		if got := numbers(f.all(rpclog.Query{Last: n})); !reflect.DeepEqual(got, upTo(uint64(301-n), 300)) {
			t.Errorf("the last %d: %v", n, got)
		}
	}
}

// TestPages keeps to the size of a page, and gives a line that is longer alone.
func TestPages(t *testing.T) {
	t.Parallel()
	f := newJournal(t, Limits{})
	n := uint64(0)
	add := func(fields int) {
		n++
		b := batch(sender(1), n, n)
		for range fields {
			b.Entries[0].Fields = append(b.Entries[0].Fields, rpclog.Field{Name: "x", Value: strings.Repeat("\x01", rpclog.MaxText)})
		}
		f.store(b, true)
	}
	for range 40 {
		add(1)
	}
	add(20)
	add(20)
	add(0)
	var got []int
	for q := (rpclog.Query{Last: 42}); ; {
		p, err := f.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, l := range p.Lines {
			size += len(l)
		}
		if size > rpclog.MaxPage && len(p.Lines) > 1 {
			t.Errorf("a page of %d bytes", size)
		}
		got = append(got, len(p.Lines))
		if q.After = p.Next; !p.More {
			break
		}
	}
	if want := []int{10, 10, 10, 9, 1, 1, 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("pages of %v lines, want %v", got, want)
	}
}

// TestRemovedByHand goes on without a file that somebody has removed.
func TestRemovedByHand(t *testing.T) {
	f := newJournal(t, Limits{File: 2000})
	total := uint64(0)
	for ; len(f.list()) < 4; total++ {
		f.store(batch(sender(1), total+1, total+1), true)
	}
	f.settle()
	before := len(f.all(rpclog.Query{}))
	second := f.list()[1]
	if err := os.Remove(f.verified.path(second)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []rpclog.Query{{}, {Last: 1e6}} {
		if got := f.all(q); len(got) >= before || got[0].Seq != 1 || got[len(got)-1].Seq != total {
			t.Errorf("%+v: %d of %d entries", q, len(got), before)
		}
	}
}

// A pattern of a kilobyte can be one that takes minutes, and many megabytes, for a page.
func TestGrepIsBounded(t *testing.T) {
	for _, pattern := range []string{
		strings.Repeat(`m{0,1000}`, 110) + "x", `((x{10}){10}){11}`, strings.Repeat(`\pL{1000}`, 100), strings.Repeat(`(m?){100}`, 100), strings.Repeat(`\P{Greek}`, 33), "[", "a**",
	} {
		if _, err := compile(pattern); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%.20s is taken: %v", pattern, err)
		}
	}
	for _, pattern := range []string{`"op":"(get|publish)"`, `\d{1,3}(\.\d{1,3}){3}`, `(?i)error.{0,200}disk`, `[\p{L}\d_]{3,64}`, strings.Repeat("x", maxPattern-100)} {
		if re, err := compile(pattern); err != nil || re.String() != pattern {
			t.Errorf("%.20s is refused: %v", pattern, err)
		}
	}
}
