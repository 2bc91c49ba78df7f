package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func deviceOf(i int) (d shoal.DeviceID) {
	binary.BigEndian.PutUint32(d[:], uint32(i+1))
	return d
}

func objectOf(i int) (o shoal.Object) {
	binary.BigEndian.PutUint32(o.ID[:], uint32(i+1))
	o.Size = int64(1000 + i)
	return o
}

func lookup(r *Registry, name string, o shoal.Object) (shoal.Name, shoal.Object, error) {
	_, found, _, err := r.Lookup(shoal.DeviceID{}, &wire.Lookup{Group: shoal.Public, Name: shoal.Name(name), File: o.ID})
	return found.Name, found.Content, err
}

// publish makes a name of the open group stand for an object; take takes it away.
func publish(r *Registry, name string, o shoal.Object) {
	r.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: shoal.Name(name), Content: o}}}, r.Revision()+1)
}

func take(r *Registry, name string) {
	r.Apply([]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: shoal.Name(name)}, Deleted: true}}, r.Revision()+1)
}

func TestNames(t *testing.T) {
	r := withUser()
	publish(r, "a", objectOf(1))
	publish(r, "b", objectOf(1))
	if n, o, err := lookup(r, "a", shoal.Object{}); n != "a" || o != objectOf(1) || err != nil {
		t.Errorf("got %q, %v, %v", n, o, err)
	}
	// By FileID the smallest of its names is found, and the next when that one is gone or stands for something else.
	for _, step := range []struct {
		do   func()
		want shoal.Name
	}{
		{func() {}, "a"},
		{func() { take(r, "a") }, "b"},
		{func() { publish(r, "a", objectOf(1)) }, "a"},
		{func() { publish(r, "a", objectOf(2)) }, "b"},
		{func() { take(r, "b"); take(r, "b") }, ""},
	} {
		step.do()
		n, _, err := lookup(r, "", objectOf(1))
		if n != step.want || (step.want == "") != errors.Is(err, shoal.NotFound) {
			t.Errorf("got %q, %v; want %q", n, err, step.want)
		}
	}
	if got := r.Revision(); got != 7 {
		t.Errorf("at revision %d", got)
	}
}

// listAll reads the whole list by pages.
func listAll(t *testing.T, r *Registry, limit int) (got []string) {
	t.Helper()
	for after, more := "", true; more; {
		var entries []wire.Entry
		var err error
		_, entries, more, err = r.List(shoal.DeviceID{}, shoal.Public, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > limit || (more && len(entries) < limit) {
			t.Fatalf("a page of %d, more: %v", len(entries), more)
		}
		for _, e := range entries {
			got = append(got, string(e.Name))
			after = string(e.Name)
		}
	}
	return got
}

func TestList(t *testing.T) {
	r := withUser()
	if got := listAll(t, r, 10); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	names := []string{"é", "Z", "a", "a b", "-", "aa", "🐟", "~", "a\u0301"}
	for i, n := range names {
		publish(r, n, objectOf(i))
	}
	slices.Sort(names)
	for limit := 1; limit <= len(names)+1; limit++ {
		if got := listAll(t, r, limit); !slices.Equal(got, names) {
			t.Errorf("by %d: got %q, want %q", limit, got, names)
		}
	}
	revision, entries, more, err := r.List(shoal.DeviceID{}, shoal.Public, "a b", 2)
	if err != nil || revision != uint64(len(names)) || !more || len(entries) != 2 || entries[0].Name != "aa" {
		t.Errorf("got %v, %v, more: %v, %v", revision, entries, more, err)
	}
	_, found, _, err := r.Lookup(shoal.DeviceID{}, &wire.Lookup{Group: shoal.Public, Name: "aa"})
	if err != nil || entries[0] != found { // whose facts are shared, if they are the same
		t.Errorf("the entry is %v, lookup %v, %v", entries[0], found, err)
	}
}

// While names come and go, pages have every name that stays, once, in order.
func TestListUnderChange(t *testing.T) {
	r := withUser()
	const stay = 2000
	for i := range stay {
		publish(r, fmt.Sprintf("%05d", i), objectOf(i))
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for s := 1; ; s++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprintf("%05d+", s*7919%stay)
			publish(r, name, objectOf(0))
			if s%2 == 0 {
				take(r, name)
			}
		}
	})
	for range 10 {
		got := listAll(t, r, 100)
		if !slices.IsSorted(got) {
			t.Error("not in order")
		}
		kept := slices.DeleteFunc(slices.Clone(got), func(n string) bool { return strings.HasSuffix(n, "+") })
		if len(kept) != stay || len(slices.Compact(kept)) != stay {
			t.Errorf("%d of %d names that stay", len(kept), stay)
		}
	}
	close(stop)
	writer.Wait()
}

// A page costs its own size, not that of the group.
func BenchmarkList(b *testing.B) {
	r := withUser()
	for i := range 100_000 {
		publish(r, fmt.Sprint(i), objectOf(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, entries, _, err := r.List(shoal.DeviceID{}, shoal.Public, "5", 100); err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
	}
}

// withUser is a registry in which the zero device is a user's, at revision 0.
func withUser() *Registry {
	r := New()
	r.Apply([]meta.Event{{Record: &meta.User{Name: "ann", Devices: []shoal.DeviceID{{}}}}, {Record: &meta.Device{User: "ann"}}}, 0)
	return r
}
