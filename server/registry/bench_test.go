package registry

import (
	"fmt"
	"iter"
	"runtime"
	"testing"

	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

// large is a state of 100,000 users with a device each, 10,000 groups of 10 members, and a million names.
func large() iter.Seq2[meta.Event, error] {
	const users, groups, perGroup, inGroup = 100_000, 10_000, 100, 10
	user := func(i int) meta.Username { return meta.Username(fmt.Sprint("user ", i%users)) }
	return func(yield func(meta.Event, error) bool) {
		put := func(r meta.Record) { _ = yield(meta.Event{Record: r}, nil) }
		for i := range users {
			put(&meta.User{Name: user(i), Password: fmt.Sprintf("%0100d", i), Devices: []shoal.DeviceID{deviceOf(i)}})
		}
		for i := range users {
			put(&meta.Device{ID: deviceOf(i), User: user(i)})
		}
		for g := range groups {
			name := shoal.Group(fmt.Sprint("group ", g))
			put(&meta.Group{Name: name, Owner: user(g * inGroup), Epoch: 1})
			for m := range inGroup {
				put(&meta.Member{Group: name, User: user(g*inGroup + m)})
			}
			for o := range perGroup {
				put(&meta.Object{
					Group: name, Name: shoal.Name(fmt.Sprintf("a file of a group %05d.dat", o)), Content: objectOf(g*perGroup + o), Publisher: user(g * inGroup), Shared: true,
				})
			}
		}
	}
}

// A large state is taken in, without etcd: the time, and what it needs in memory.
func BenchmarkReplace(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := New()
		if err := r.Replace(large(), 1); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(r)
	}
}

// One LOOKUP by a member, with the check of who asks, on all cores.
func BenchmarkLookup(b *testing.B) {
	r := New()
	if err := r.Replace(large(), 1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			g := i * 7919 % 10_000
			_, _, _, err := r.Lookup(deviceOf(g*10+i%10), &wire.Lookup{Group: shoal.Group(fmt.Sprint("group ", g)), File: objectOf(g*100 + i%100).ID})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
