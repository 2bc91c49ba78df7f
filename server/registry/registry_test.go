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

func publication(sequence uint64, name string, o shoal.Object) *wire.Publish {
	return &wire.Publish{Sequence: sequence, Group: shoal.Public, Name: shoal.Name(name), Content: o}
}

func removal(sequence uint64, name string, o shoal.Object) *wire.Unpublish {
	return &wire.Unpublish{Sequence: sequence, Group: shoal.Public, Name: shoal.Name(name), File: o.ID}
}

// want fails the test unless a mutation ended like this; code 0 is success.
func want(t *testing.T, code shoal.Code, revision uint64) func(uint64, error) {
	return func(got uint64, err error) {
		t.Helper()
		switch {
		case code == 0 && err != nil:
			t.Errorf("refused: %v", err)
		case code != 0 && !errors.Is(err, code):
			t.Errorf("got %v, want %v", err, code)
		case code == 0 && got != revision:
			t.Errorf("at revision %d instead of %d", got, revision)
		}
	}
}

func connected(devices ...shoal.DeviceID) *Registry {
	r := New()
	for _, d := range devices {
		r.Connect(d)
	}
	return r
}

func lookup(r *Registry, name string, o shoal.Object) (shoal.Name, shoal.Object, error) {
	_, found, err := r.Lookup(&wire.Lookup{Group: shoal.Public, Name: shoal.Name(name), File: o.ID})
	return found.Name, found.Content, err
}

func TestPublish(t *testing.T) {
	d, other := deviceOf(1), deviceOf(2)
	r := connected(d, other)
	want(t, 0, 1)(r.Publish(d, publication(1, "a", objectOf(1))))
	want(t, 0, 2)(r.Publish(d, publication(2, "b", objectOf(1))))
	// What holds already changes nothing, whoever asks.
	want(t, 0, 2)(r.Publish(other, publication(1, "a", objectOf(1))))
	if n, o, err := lookup(r, "a", shoal.Object{}); n != "a" || o != objectOf(1) || err != nil {
		t.Errorf("got %q, %v, %v", n, o, err)
	}
	// By FileID the smallest of its names is found, and the next when that one is gone.
	if n, _, err := lookup(r, "", objectOf(1)); n != "a" || err != nil {
		t.Errorf("got %q, %v", n, err)
	}
	want(t, 0, 3)(r.Unpublish(other, removal(2, "a", objectOf(1))))
	if n, _, err := lookup(r, "", objectOf(1)); n != "b" || err != nil {
		t.Errorf("got %q, %v", n, err)
	}
	want(t, 0, 4)(r.Unpublish(d, removal(3, "b", objectOf(1))))
	for _, name := range []string{"", "a", "b"} {
		if _, _, err := lookup(r, name, objectOf(1)); !errors.Is(err, shoal.NotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNameTaken(t *testing.T) {
	d := deviceOf(1)
	r := connected(d)
	// The longest text that there can be: each character is written as six.
	name := strings.Repeat("\u00ad", 127)
	want(t, 0, 1)(r.Publish(d, publication(1, name, objectOf(1))))
	_, err := r.Publish(d, publication(2, name, objectOf(2)))
	if !errors.Is(err, shoal.NameTaken) {
		t.Fatalf("got %v", err)
	}
	// It must survive the wire's limit.
	text := wire.NewErrorReply(err).Text
	for _, part := range []string{objectOf(1).ID.String(), objectOf(2).ID.String()} {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
	_, err = r.Publish(d, publication(3, name, shoal.Object{ID: objectOf(1).ID, Size: 5}))
	if !errors.Is(err, shoal.NameTaken) || !strings.Contains(err.Error(), "1001 bytes") || !strings.Contains(err.Error(), "5 bytes") {
		t.Errorf("another size: %v", err)
	}
	if !strings.Contains(err.Error(), "publish under another name") {
		t.Errorf("%q does not say what to do", err)
	}
}

func TestUnpublishRefused(t *testing.T) {
	d := deviceOf(1)
	r := connected(d)
	want(t, 0, 1)(r.Publish(d, publication(1, "a", objectOf(1))))
	want(t, shoal.NotFound, 0)(r.Unpublish(d, removal(2, "b", objectOf(1))))
	_, err := r.Unpublish(d, removal(3, "a", objectOf(2)))
	want(t, shoal.NotFound, 0)(0, err)
	if !strings.Contains(err.Error(), objectOf(1).ID.String()) {
		t.Errorf("%q does not say what the name stands for", err)
	}
	if _, _, err := lookup(r, "a", shoal.Object{}); err != nil {
		t.Error(err)
	}
}

func TestOtherGroups(t *testing.T) {
	d := deviceOf(1)
	r := connected(d)
	_, err := r.Publish(d, &wire.Publish{Sequence: 1, Group: "lab", Name: "a", Content: objectOf(1)})
	want(t, shoal.NotFound, 0)(0, err)
	_, err = r.Unpublish(d, &wire.Unpublish{Sequence: 1, Group: "lab", Name: "a"})
	want(t, shoal.NotFound, 0)(0, err)
	_, _, _, err = r.List("lab", "", 10)
	want(t, shoal.NotFound, 0)(0, err)
	_, _, err = r.Lookup(&wire.Lookup{Group: "lab", Name: "a"})
	want(t, shoal.NotFound, 0)(0, err)
	want(t, shoal.NotFound, 0)(0, r.CheckGroup("lab"))
	want(t, 0, 0)(0, r.CheckGroup(shoal.Public))
}

// A retry gets the outcome of the first time, also after the world has changed, and does nothing (rule S1).
func TestRetry(t *testing.T) {
	d, other := deviceOf(1), deviceOf(2)
	r := connected(d, other)
	first := publication(1, "a", objectOf(1))
	want(t, 0, 1)(r.Publish(d, first))
	_, refused := r.Publish(d, publication(2, "a", objectOf(2)))
	want(t, shoal.NameTaken, 0)(0, refused)
	want(t, 0, 2)(r.Unpublish(other, removal(1, "a", objectOf(1))))

	want(t, 0, 1)(r.Publish(d, first))
	if _, _, err := lookup(r, "a", shoal.Object{}); !errors.Is(err, shoal.NotFound) {
		t.Errorf("the retry published again: %v", err)
	}
	if _, err := r.Publish(d, publication(2, "a", objectOf(2))); err == nil || err.Error() != refused.Error() {
		t.Errorf("got %v, want %v again", err, refused)
	}
	want(t, 0, 2)(r.Unpublish(other, removal(1, "a", objectOf(1))))
	// Another device's numbers are its own.
	want(t, 0, 3)(r.Publish(other, publication(2, "a", objectOf(2))))
	// A number stands for one mutation only.
	want(t, shoal.BadRequest, 0)(r.Publish(d, publication(1, "b", objectOf(1))))
	want(t, shoal.BadRequest, 0)(r.Publish(d, publication(1, "a", objectOf(2))))
	want(t, shoal.BadRequest, 0)(r.Unpublish(d, removal(1, "a", objectOf(1))))
}

// Of the last 128 mutations the outcomes are known, of older ones not (rule S1).
func TestStaleRequest(t *testing.T) {
	d := deviceOf(1)
	r := connected(d)
	const last = 1000
	for i := 1; i <= last; i++ {
		want(t, 0, uint64(i))(r.Publish(d, publication(uint64(10*i), fmt.Sprint(i), objectOf(i))))
	}
	for i := 1; i <= last; i++ {
		code := shoal.Code(0)
		if i <= last-128 {
			code = shoal.StaleRequest
		}
		want(t, code, uint64(i))(r.Publish(d, publication(uint64(10*i), fmt.Sprint(i), objectOf(i))))
	}
	// One that was never used and is older than what is known could have been.
	want(t, shoal.StaleRequest, 0)(r.Publish(d, publication(15, "x", objectOf(0))))
	// One among the known was not: two processes of a device may draw numbers and send them in another order.
	want(t, 0, last+1)(r.Publish(d, publication(10*last-5, "y", objectOf(0))))
	want(t, 0, last+1)(r.Publish(d, publication(10*last-5, "y", objectOf(0))))
	if got := len(r.outcomes.devices[d].outcomes); got != keptOutcomes {
		t.Errorf("%d outcomes are kept", got)
	}
	want(t, 0, last+2)(r.Publish(d, publication(1<<64-1, "z", objectOf(0))))
}

// A device that lost its connection before the answer came can ask again, until too many others have gone as well.
func TestOutcomesOfTheGone(t *testing.T) {
	const perDevice, kept = 4, 4096
	r := New()
	r.outcomes.limit = kept
	come := func(i int) {
		d := deviceOf(i)
		r.Connect(d)
		for s := range uint64(perDevice) {
			_, _ = r.Publish(d, publication(1+s, "a", objectOf(i)))
		}
		r.Disconnect(d)
	}
	come(0) // its first publication is the one that succeeds
	r.Connect(deviceOf(0))
	want(t, 0, 1)(r.Publish(deviceOf(0), publication(1, "a", objectOf(0))))
	r.Disconnect(deviceOf(0))
	if r.outcomes.stored != perDevice || len(r.outcomes.devices) != 1 {
		t.Fatalf("%d outcomes of %d devices", r.outcomes.stored, len(r.outcomes.devices))
	}
	const strangers = 2 * kept / perDevice
	for i := 1; i <= strangers; i++ {
		come(i)
	}
	if n := len(r.outcomes.devices); n != kept/perDevice || r.outcomes.gone.Len() != n || r.outcomes.stored != kept {
		t.Errorf("%d devices are remembered, %d of them gone, with %d outcomes", n, r.outcomes.gone.Len(), r.outcomes.stored)
	}
	// The latest are known, and those who only came and went never were.
	r.Connect(deviceOf(strangers))
	want(t, shoal.BadRequest, 0)(r.Publish(deviceOf(strangers), publication(1, "other", objectOf(1))))
	before := len(r.outcomes.devices)
	for i := range 1000 {
		r.Connect(deviceOf(strangers + 1 + i))
		r.Disconnect(deviceOf(strangers + 1 + i))
	}
	if n := len(r.outcomes.devices); n != before {
		t.Errorf("%d devices that did nothing are remembered", n-before)
	}
}

// With two connections a device is there until both have ended.
func TestTwoSessionsOfADevice(t *testing.T) {
	d := deviceOf(1)
	r := connected(d, d)
	want(t, 0, 1)(r.Publish(d, publication(1, "a", objectOf(1))))
	r.Disconnect(d)
	if r.outcomes.gone.Len() != 0 {
		t.Error("it is taken for gone")
	}
	want(t, 0, 2)(r.Publish(d, publication(2, "b", objectOf(1))))
	r.Disconnect(d)
	if r.outcomes.gone.Len() != 1 || r.outcomes.stored != 2 {
		t.Errorf("%d gone, %d stored", r.outcomes.gone.Len(), r.outcomes.stored)
	}
	r.Connect(d)
	if r.outcomes.gone.Len() != 0 || r.outcomes.stored != 0 {
		t.Errorf("%d gone, %d stored", r.outcomes.gone.Len(), r.outcomes.stored)
	}
	want(t, 0, 1)(r.Publish(d, publication(1, "a", objectOf(1))))
}

// listAll reads the whole list by pages.
func listAll(t *testing.T, r *Registry, limit int) (got []string) {
	t.Helper()
	for after, more := "", true; more; {
		var entries []wire.Entry
		var err error
		_, entries, more, err = r.List(shoal.Public, after, limit)
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
	d := deviceOf(1)
	r := connected(d)
	if got := listAll(t, r, 10); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	names := []string{"é", "Z", "a", "a b", "-", "aa", "🐟", "~", "a\u0301"}
	for i, n := range names {
		want(t, 0, uint64(i+1))(r.Publish(d, publication(uint64(i), n, objectOf(i))))
	}
	slices.Sort(names)
	for limit := 1; limit <= len(names)+1; limit++ {
		if got := listAll(t, r, limit); !slices.Equal(got, names) {
			t.Errorf("by %d: got %q, want %q", limit, got, names)
		}
	}
	revision, entries, more, err := r.List(shoal.Public, "a b", 2)
	if err != nil || revision != uint64(len(names)) || !more || len(entries) != 2 || entries[0].Name != "aa" {
		t.Errorf("got %v, %v, more: %v, %v", revision, entries, more, err)
	}
	_, found, err := r.Lookup(&wire.Lookup{Group: shoal.Public, Name: "aa"})
	if err != nil || entries[0] != found { // whose facts are shared, if they are the same
		t.Errorf("the entry is %v, lookup %v, %v", entries[0], found, err)
	}
}

// While names come and go, pages have every name that stays, once, in order.
func TestListUnderChange(t *testing.T) {
	staying, changing := deviceOf(1), deviceOf(2)
	r := connected(staying, changing)
	const stay = 2000
	for i := range stay {
		want(t, 0, uint64(i+1))(r.Publish(staying, publication(uint64(i), fmt.Sprintf("%05d", i), objectOf(i))))
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for s := uint64(1); ; s++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprintf("%05d+", s*7919%stay)
			if _, err := r.Publish(changing, publication(2*s, name, objectOf(0))); err != nil {
				t.Error(err)
				return
			}
			if s%2 == 0 {
				if _, err := r.Unpublish(changing, removal(2*s+1, name, objectOf(0))); err != nil {
					t.Error(err)
					return
				}
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

// A group can be filled, and emptied again.
func TestMaxNames(t *testing.T) {
	d := deviceOf(1)
	r := connected(d)
	r.maxNames = 20
	for i := range uint64(20) {
		want(t, 0, i+1)(r.Publish(d, publication(i, fmt.Sprint(i), objectOf(int(i)))))
	}
	want(t, shoal.Limit, 0)(r.Publish(d, publication(20, "one more", objectOf(1))))
	want(t, 0, 20)(r.Publish(d, publication(21, "7", objectOf(7)))) // is there
	want(t, 0, 21)(r.Unpublish(d, removal(22, "7", objectOf(7))))
	want(t, 0, 22)(r.Publish(d, publication(23, "one more", objectOf(1))))
	want(t, shoal.Limit, 0)(r.Publish(d, publication(20, "one more", objectOf(1)))) // the outcome it had
}

// A page costs its own size, not that of the group.
func BenchmarkList(b *testing.B) {
	d := deviceOf(1)
	r := connected(d)
	for i := range 100_000 {
		if _, err := r.Publish(d, publication(uint64(i), fmt.Sprint(i), objectOf(i))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, entries, _, err := r.List(shoal.Public, "5", 100); err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
	}
}
