package meta

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"

	"shoal"
)

// eventually waits until something is so.
func eventually(t testing.TB, so func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatal("it is not so after 10 seconds")
		case <-ticker.C:
		}
	}
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestSpace(t *testing.T) {
	t.Parallel()
	var free atomic.Uint64
	free.Store(1 << 40)
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir, Free: func(string) (uint64, error) { return free.Load(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := &world{T: t, Store: s, sequence: make(map[shoal.DeviceID]uint64)}
	w.users("ann")
	done := ID{Device: device(1), Sequence: 1000}
	if _, err := s.Apply(t.Context(), done, &CreateGroup{Group: "lab"}); err != nil {
		t.Fatal(err)
	}
	reserve := filepath.Join(dir, "reserve")
	eventually(t, func() bool { return there(reserve) })
	set := func(bytes uint64) {
		free.Store(bytes)
		eventually(t, func() bool { return s.space.left.Load() == bytes })
	}
	set(minFree - 1)
	w.refused(1, &CreateGroup{Group: "more"}, shoal.NoSpace, "255 MiB", "nothing is lost")
	// What was done is answered all the same, and can be read.
	if o, err := s.Apply(t.Context(), done, &CreateGroup{Group: "lab"}); err != nil || !o.Repeated {
		t.Errorf("%+v, %v", o, err)
	}
	if !there(reserve) || w.all().at(groupKey("lab")) == nil {
		t.Error("the reserve or the state is gone")
	}
	set(released - 1)
	eventually(t, func() bool { return !there(reserve) })
	w.refused(1, &CreateGroup{Group: "more"}, shoal.NoSpace)
	set(minFree) // mutations go on before the reserve is there again
	w.ok(1, &CreateGroup{Group: "more"})
	if there(reserve) {
		t.Error("the reserve takes what is needed")
	}
	set(remade)
	eventually(t, func() bool { return there(reserve) })

	free.Store(released - 1)
	_, err = Open(t.Context(), Options{Dir: t.TempDir(), Free: s.space.free})
	checkRefusal(t, err, shoal.NoSpace, "needed to start")
}

// TestFullDisk fills a small filesystem to the last byte while mutations come.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const size = 600 << 20
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small filesystem cannot be mounted here, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	s, err := Open(t.Context(), Options{Dir: filepath.Join(dir, "etcd"), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := &world{T: t, Store: s, sequence: make(map[shoal.DeviceID]uint64)}
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	reserve := filepath.Join(dir, "etcd", "reserve")
	for round := range 2 {
		eventually(t, func() bool { return there(reserve) })
		acknowledged := 0
		filler, err := os.Create(filepath.Join(dir, "filler"))
		if err != nil {
			t.Fatal(err)
		}
		zeros, full := make([]byte, 4<<20), false
		for i := 0; ; i++ {
			if !full {
				_, err := filler.Write(zeros)
				full = err != nil
			}
			_, err := w.apply(1, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint(round, i)), Content: file(i)})
			if err == nil {
				acknowledged++
			} else if shoal.CodeOf(err) != shoal.NoSpace {
				t.Fatal(err)
			} else if full && !there(reserve) {
				break
			}
		}
		// To the last byte, again and again.
		for range 20 {
			if _, err := filler.Write(zeros); err == nil {
				continue
			}
			if _, err := filler.Write(zeros[:4096]); err != nil {
				break
			}
		}
		filler.Close()
		w.refused(1, &Publish{Group: "lab", Name: "x", Content: file(1)}, shoal.NoSpace)
		if got := len(w.all().keys("o/lab/" + key(fmt.Sprint(round)))); got != acknowledged {
			t.Errorf("%d objects are there, %d were acknowledged", got, acknowledged)
		}
		if err := os.Remove(filler.Name()); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool {
			_, err := w.apply(1, &Publish{Group: "lab", Name: "goes on", Content: file(1)})
			return err == nil
		})
	}
}

func TestCompaction(t *testing.T) {
	t.Parallel()
	var h history
	now := time.Now()
	at := func(minutes int, revision int64) int64 {
		return h.compactTo(now.Add(time.Duration(minutes)*time.Minute), revision)
	}
	for i, c := range []struct {
		minutes        int
		revision, want int64
	}{
		{0, 1000, 0},
		{1, 90_000, 0},                         // all of it is younger than kept
		{2, 130_000, 130_000 - mostRevisions},  // too many
		{3, 134_000, 0},                        // little more
		{4, 150_000, 150_000 - mostRevisions},  // too many again
		{6, 150_001, 90_000},                   // what was there five minutes ago
		{7, 150_001, 130_000},                  // likewise
		{8, 150_001, 0},                        // likewise, but little
		{9, 150_001, 150_001 - keptRevisions},  // some are kept however old
		{60, 150_001, 0},                       // and remain
		{61, 155_002, 155_002 - keptRevisions}, // nothing happened in the minutes before
	} {
		if got := at(c.minutes, c.revision); got != c.want {
			t.Errorf("step %d: compact to %d, want %d", i, got, c.want)
		}
	}
}

// TestTidy makes waste, and has it removed.
func TestTidy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	tidier := another(t, w.Store)
	tidier.embedded, tidier.space, tidier.waste = w.embedded, w.space, 8<<20
	big := make([]byte, 1<<20)
	for range 20 {
		if _, err := w.client.Put(t.Context(), "waste", string(big)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.client.Get(t.Context(), "waste")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.compact(t.Context(), r.Header.Revision); err != nil {
		t.Fatal(err)
	}
	// etcd removes what was compacted a little later, and knows the space that is free after the next commit.
	eventually(t, func() bool {
		w.refused(1, &RequestJoin{Group: "none"}, shoal.NotFound)
		if err := tidier.tidy(t.Context(), new(history)); err != nil {
			t.Fatal(err)
		}
		size, used := w.embedded.Size()
		return size-used < tidier.waste && size < 16<<20
	})
	w.ok(1, &CreateGroup{Group: "after"})
	if err := w.compact(t.Context(), 2); err != nil {
		t.Errorf("compacting again: %v", err)
	}
}

// TestSweep lets a day pass: what nobody needs any more goes, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	code := func(n byte) [32]byte { return [32]byte{n} }
	w.ok(1, &CreateInvite{Group: "lab", Hash: code(1), Expires: time.Now().Add(time.Hour)})
	w.ok(1, &CreateInvite{Group: "lab", Hash: code(2), Expires: time.Now().Add(100 * time.Hour)})
	for i := range 5 {
		for user := 1; user <= 2; user++ {
			id := ID{Device: device(user), Sequence: uint64(1000 + i)}
			if _, err := w.Apply(t.Context(), id, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint(i)), Content: file(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	later := another(t, w.Store)
	later.now = func() time.Time { return time.Now().Add(outcomeLasts + time.Minute) }
	after := ID{Device: device(1), Sequence: 2000}
	if _, err := later.Apply(t.Context(), after, &Publish{Group: "lab", Name: "later", Content: file(1)}); err != nil {
		t.Fatal(err)
	}
	before := w.all()
	if err := w.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.all(); !reflect.DeepEqual(got.records, before.records) {
		t.Error("something went before its time")
	}
	if err := later.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	delete(before.records, inviteKey(code(1)))
	if got := w.all(); !reflect.DeepEqual(got.records, before.records) {
		t.Errorf("%d records are left, want %d", len(got.records), len(before.records))
	}
	if o, err := w.Apply(t.Context(), after, &Publish{Group: "lab", Name: "later", Content: file(1)}); err != nil || !o.Repeated {
		t.Errorf("a young outcome: %+v, %v", o, err)
	}
	for user := 1; user <= 2; user++ {
		id := ID{Device: device(user), Sequence: 1004}
		_, err := w.Apply(t.Context(), id, &Publish{Group: "lab", Name: "4", Content: file(4)})
		checkRefusal(t, err, shoal.StaleRequest)
		id.Sequence = 3000
		if _, err := w.Apply(t.Context(), id, &Publish{Group: "lab", Name: "4", Content: file(4)}); err != nil {
			t.Error(err)
		}
	}
	if r, err := w.client.Get(t.Context(), w.full(key("a/")), clientv3.WithPrefix(), clientv3.WithCountOnly()); err != nil || r.Count != 3 {
		t.Errorf("%d outcomes are left, %v", r.Count, err)
	}
}
