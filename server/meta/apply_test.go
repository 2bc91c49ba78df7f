package meta

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"shoal"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	publish := &Publish{Group: "lab", Name: "x", Content: file(1)}
	id := ID{Device: device(2), Sequence: 1000}
	first, err := w.Apply(t.Context(), id, publish)
	if err != nil || first.Repeated || first.Revision == 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.ok(1, &Unpublish{Group: "lab", Name: "x", File: file(1).ID})
	// Another store on the same etcd is another server.
	again, err := another(t, w.Store).Apply(t.Context(), id, publish)
	if err != nil || !again.Repeated || again.Revision != first.Revision {
		t.Errorf("asked again: %+v, %v; first %+v", again, err, first)
	}
	if got := w.all().keys("o/"); len(got) > 0 {
		t.Errorf("done again: %q", got)
	}
	for _, m := range []Mutation{
		&Publish{Group: "lab", Name: "x", Content: file(2)}, &Publish{Group: "lab", Name: "y", Content: file(1)},
		&Unpublish{Group: "lab", Name: "x", File: file(1).ID}, &StopShare{Group: "lab", Name: "x", File: file(1).ID},
	} {
		_, err := w.Apply(t.Context(), id, m)
		checkRefusal(t, err, shoal.BadRequest, "sequence number")
	}

	// A refusal is an outcome: it stays one when its reason is gone.
	w.ok(1, publish)
	id.Sequence++
	other := &Publish{Group: "lab", Name: "x", Content: file(2)}
	refused, err := w.Apply(t.Context(), id, other)
	checkRefusal(t, err, shoal.NameTaken)
	w.ok(1, &Unpublish{Group: "lab", Name: "x", File: file(1).ID})
	again, repeated := w.Apply(t.Context(), id, other)
	checkRefusal(t, repeated, shoal.NameTaken)
	refused.Repeated = true
	if again != refused || repeated.Error() != err.Error() {
		t.Errorf("asked again: %+v, %v; first %+v, %v", again, repeated, refused, err)
	}
	// One who is not enrolled leaves nothing behind.
	stranger := ID{Device: device(77), Sequence: 1}
	o, err := w.Apply(t.Context(), stranger, other)
	checkRefusal(t, err, shoal.Denied)
	if e, err := w.fetch(t.Context(), outcomeKey(stranger)); o.Revision != 0 || e.revision != 0 || err != nil {
		t.Errorf("a stranger's outcome is kept: %+v, %v, %v", o, e, err)
	}
}

// another returns a store on the same etcd, which knows nothing of the first.
func another(t *testing.T, s *Store) *Store {
	a := &Store{
		client: s.client, prefix: s.prefix, base: s.base, log: s.log, now: s.now,
		cache: cache{entries: make(map[key]entry)}, turns: turns{done: make(map[shoal.DeviceID]uint32), limit: 2},
		turn: make(chan struct{}, 1), count: counts{groups: make(map[shoal.Group]*counted)},
		maxPlaces: s.maxPlaces, maxNames: s.maxNames,
	}
	ctx, stop := context.WithCancel(t.Context())
	a.commits = newGroupCommit(a, ctx.Done())
	a.run.Go(func() { a.commits.run(ctx) })
	t.Cleanup(a.run.Wait)
	t.Cleanup(stop)
	return a
}

func TestPrunedOutcomes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	const n, step = 1000, 7
	publish := func(i int) (Outcome, error) {
		id := ID{Device: device(1), Sequence: uint64(1<<40 + i*step)}
		return w.Apply(t.Context(), id, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint("name ", i)), Content: file(i)})
	}
	for i := range n {
		if _, err := publish(i); err != nil {
			t.Fatal(err)
		}
	}
	prefix := w.full(key("a/" + string(outcomeKey(ID{Device: device(1)})[2:34]) + "/"))
	kept, err := w.client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || kept.Count < KeptOutcomes || kept.Count > KeptOutcomes+pruneEvery+1 {
		t.Errorf("%d outcomes are kept, %v", kept.Count, err)
	}
	for i := range n {
		o, err := publish(i)
		switch {
		case i >= n-KeptOutcomes && (err != nil || !o.Repeated):
			t.Fatalf("outcome %d of %d: %+v, %v", i, n, o, err)
		case i < n-int(kept.Count):
			checkRefusal(t, err, shoal.StaleRequest, "look whether")
		}
	}
}

// Outcomes of mutations that take two attempts each are taken away as well.
func TestPrunedAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	for range 2*KeptOutcomes + pruneEvery {
		w.ok(1, &Publish{Group: "lab", Name: "a", Content: file(1)})
	}
	prefix := w.full(key("a/" + string(outcomeKey(ID{Device: device(1)})[2:34]) + "/"))
	kept, err := w.client.Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || kept.Count < KeptOutcomes || kept.Count > KeptOutcomes+pruneEvery+1 {
		t.Errorf("%d outcomes are kept, %v", kept.Count, err)
	}
}

// TestConcurrentRetries lets every mutation be asked for by several at a time, through two servers, while others change
// the same: each is done once, and all who ask get the same answer.
func TestConcurrentRetries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat", "dan")
	w.group("lab", map[int]Username{2: "bob", 3: "cat", 4: "dan"})
	servers := []*Store{w.Store, another(t, w.Store)}
	const askers, mutations = 4, 40
	var run sync.WaitGroup
	var done [4]atomic.Int64
	for user := 1; user <= 4; user++ {
		for i := range mutations {
			run.Go(func() {
				// All want the same few names, and stop sharing them.
				content := file(i % 2)
				var m Mutation = &Publish{Group: "lab", Name: shoal.Name('a' + rune(i%3)), Content: content}
				if i%2 == 1 {
					m = &StopShare{Group: "lab", Name: shoal.Name('a' + rune(i%3)), File: content.ID}
				}
				id := ID{Device: device(user), Sequence: uint64(1000 + i)}
				var same sync.WaitGroup
				var outcomes [askers]Outcome
				for a := range askers {
					same.Go(func() {
						o, err := servers[a%2].Apply(t.Context(), id, m)
						if err != nil && o.Code == 0 {
							t.Errorf("mutation %d of user %d: %v", i, user, err)
						}
						if !o.Repeated {
							done[user-1].Add(1)
						}
						o.Repeated = false
						outcomes[a] = o
					})
				}
				same.Wait()
				for _, o := range outcomes[1:] {
					if o != outcomes[0] {
						t.Errorf("answers differ: %+v and %+v", o, outcomes[0])
					}
				}
			})
		}
	}
	run.Wait()
	for user := range done {
		if n := done[user].Load(); n != mutations {
			t.Errorf("%d of %d mutations of user %d were done", n, mutations, user+1)
		}
	}
}

// TestContention lets many change one record at once: none is given up.
func TestContention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	const others = 32
	for n := range others {
		u := Username(fmt.Sprint("user ", n))
		w.ok(10+n, &CreateUser{User: u, Open: true, Password: "$"})
		w.ok(10+n, &RequestJoin{Group: "lab"})
		w.ok(1, &AcceptRequest{Group: "lab", User: u})
	}
	var run sync.WaitGroup
	for n := range others {
		run.Go(func() {
			if _, err := w.apply(10+n, &LeaveGroup{Group: "lab"}); err != nil {
				t.Errorf("leaving: %v", err)
			}
		})
	}
	run.Wait()
	if g := w.all().at(groupKey("lab")).(*Group); g.Epoch != others+1 {
		t.Errorf("the epoch is %d after %d left", g.Epoch, others)
	}
}

func TestUnknownVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	put := func(k key, value []byte) {
		if _, err := w.client.Put(t.Context(), w.full(k), string(value)); err != nil {
			t.Fatal(err)
		}
	}
	u := encode(&User{Name: "bob", Password: "$"})
	for name, value := range map[string][]byte{"newer": append([]byte{recordVersion + 1}, u[1:]...), "older": append([]byte{0}, u[1:]...)} {
		put(userKey("bob"), value)
		_, err := another(t, w.Store).Apply(t.Context(), w.id(device(2)), &EnrolDevice{User: "bob", Password: "$"})
		checkRefusal(t, err, shoal.Unsupported, "version", `"u/bob"`)
		if err := w.NewFeed(newState()).Run(t.Context()); shoal.CodeOf(err) != shoal.Unsupported {
			t.Errorf("%s: the feed says %v", name, err)
		}
	}
	for name, value := range map[string][]byte{"cut off": u[:len(u)-1], "too long": append(u, 0), "empty": {}} {
		put(userKey("bob"), value)
		_, err := another(t, w.Store).Apply(t.Context(), w.id(device(2)), &EnrolDevice{User: "bob", Password: "$"})
		checkRefusal(t, err, shoal.Corrupt)
		if err := w.NewFeed(newState()).Run(t.Context()); shoal.CodeOf(err) != shoal.Corrupt {
			t.Errorf("%s: the feed says %v", name, err)
		}
	}
	put(userKey("bob"), u)
	f, failed := w.NewFeed(newState()), make(chan error, 1)
	go func() { failed <- f.Run(t.Context()) }()
	if err := f.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	put("z/new kind", nil)
	checkRefusal(t, <-failed, shoal.Unsupported, `"z/new kind"`)
	put(versionKey, binary.BigEndian.AppendUint64([]byte{recordVersion, 0, 0, 0, formatVersion + 1}, 0))
	checkRefusal(t, another(t, w.Store).checkVersion(t.Context()), shoal.Unsupported, "format 2", "format 1")
}
