package meta

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

// TestListing compares the two ways to list a state: from the history of an embedded etcd, and key by key, before and after
// a compaction, with what came and went.
func TestListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cid", "dan")
	w.group("lab", map[int]Username{2: "bob", 3: "cid"})
	w.group("den", map[int]Username{4: "dan"})
	publish := func(g shoal.Group, n int) {
		w.ok(1, &Publish{Group: g, Name: shoal.Name(fmt.Sprint("file ", n)), Content: file(n)})
	}
	for n := range 40 {
		publish("lab", n)
		publish("den", n)
	}
	compare := func(when string) {
		t.Helper()
		r, err := w.client.Get(t.Context(), "", clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		// As it is, without the help of either.
		want := make(map[key]Record)
		for _, kv := range r.Kvs {
			if record := recordOf(t, w.Store, kv); record != nil {
				want[w.short(kv.Key)] = record
			}
		}
		byKey := another(t, w.Store)
		byKey.embedded = nil
		for name, s := range map[string]*Store{"history": w.Store, "keys": byKey} {
			if got := listed(t, s).records; !reflect.DeepEqual(got, want) || len(want) < 40 {
				t.Errorf("%s, by %s: %q, want %q", when, name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		}
	}
	compare("full")
	w.ok(2, &LeaveGroup{Group: "lab"})
	for n := range 20 {
		name := shoal.Name(fmt.Sprint("file ", n))
		w.ok(1, &Unpublish{Group: "lab", Name: name, File: file(n).ID})
		if n%2 == 0 {
			w.ok(1, &Publish{Group: "lab", Name: name, Content: file(n + 1000)})
		}
	}
	w.ok(1, &DeleteGroup{Group: "den"})
	compare("changed")
	r, err := w.client.Get(t.Context(), w.full(versionKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Compact(t.Context(), r.Header.Revision-3, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	compare("compacted")
	w.ok(1, &CreateGroup{Group: "den"})
	publish("den", 7)
	compare("made anew")
}

func recordOf(t *testing.T, s *Store, kv *mvccpb.KeyValue) Record {
	t.Helper()
	r, err := decodeRecord(s.short(kv.Key), kv.Value)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
