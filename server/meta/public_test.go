package meta

import (
	"slices"
	"testing"
	"time"

	"shoal"
)

// Every user is in the group public and nobody owns it; who is no user gets nothing of it.
func TestPublic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat")
	publish := &Publish{Group: shoal.Public, Name: "a", Content: file(1)}
	for _, m := range []Mutation{
		publish, &Unpublish{Group: shoal.Public, Name: "a", File: file(1).ID}, &StopShare{Group: shoal.Public, Name: "a"},
		&CreateGroup{Group: shoal.Public}, &LeaveGroup{Group: shoal.Public}, &RequestJoin{Group: shoal.Public},
	} {
		w.refused(9, m, shoal.Denied, "shoal login", "shoal user create")
	}
	for _, m := range []Mutation{
		&DeleteGroup{Group: shoal.Public}, &TransferGroup{Group: shoal.Public, To: "bob"}, &LeaveGroup{Group: shoal.Public},
		&AcceptRequest{Group: shoal.Public, User: "cat"}, &RejectRequest{Group: shoal.Public, User: "cat"},
		&RemoveMember{Group: shoal.Public, User: "cat"}, &CreateInvite{Group: shoal.Public, Hash: [32]byte{1}},
	} {
		w.refused(1, m, shoal.Denied, "every user") // an admin
	}
	w.refused(1, &CreateGroup{Group: shoal.Public}, shoal.Exists)
	w.refused(1, &RequestJoin{Group: shoal.Public}, shoal.Exists)

	w.ok(2, publish)
	w.refused(3, &Publish{Group: shoal.Public, Name: "a", Content: file(2)}, shoal.NameTaken)
	w.refused(3, &Unpublish{Group: shoal.Public, Name: "a", File: file(1).ID}, shoal.Denied, `"bob"`, "an admin")
	w.ok(3, publish)
	w.ok(2, &StopShare{Group: shoal.Public, Name: "a"})
	w.ok(3, &StopShare{Group: shoal.Public, Name: "a"}) // the last one
	w.ok(2, publish)
	w.ok(1, &Unpublish{Group: shoal.Public, Name: "a", File: file(1).ID}) // by an admin
	if got := w.all().keys("o/"); len(got) > 0 {
		t.Errorf("left over: %q", got)
	}

	// Its epoch is raised by what takes a right in it away, and nothing else.
	if got := w.all().keys("g/"); len(got) > 0 {
		t.Errorf("groups: %q", got)
	}
	for epoch, m := range []Mutation{&RevokeDevice{Device: device(3)}, &DeleteUser{User: "bob"}} {
		w.ok(1, m)
		if g := w.all().at(groupKey(shoal.Public)).(*Group); g.Epoch != uint64(epoch+2) || g.Owner != "" || g.Grace != publicGrace {
			t.Errorf("after %T the group is %+v", m, g)
		}
	}
	w.refused(2, publish, shoal.Denied, "not logged in")
}

// What a deleted user published goes where nobody else shares it, and nothing else does; a server that ended before it was
// done goes on.
func TestDeparted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat")
	w.group("lab", map[int]Username{2: "bob", 3: "cat"})
	for _, g := range []shoal.Group{"lab", shoal.Public} {
		for name, by := range map[shoal.Name][]int{"alone": {2}, "with cat": {2, 3}, "of cat": {3, 2}, "stopped": {3, 2}, "cat's": {3}} {
			for _, n := range by {
				w.ok(n, &Publish{Group: g, Name: name, Content: file(0)})
			}
		}
		w.ok(3, &StopShare{Group: g, Name: "stopped"})
	}
	w.ok(2, &DeleteUser{User: "bob"})
	if err := w.clearDeparted(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		all := w.all()
		want := []string{
			"o/lab/cat's", "o/lab/of cat", "o/lab/with cat", "o/public/cat's", "o/public/of cat", "o/public/with cat",
		}
		if got := all.keys("o/"); !slices.Equal(got, want) {
			t.Errorf("objects: %q", got)
		}
		if got := all.keys("s/"); !slices.Equal(got, []string{"s/lab/with cat/cat", "s/public/with cat/cat"}) {
			t.Errorf("shares: %q", got)
		}
	}
	check()

	// Again, as after a crash in between.
	left := encodeDeparted([]shoal.Group{"lab", "gone", shoal.Public})
	if _, err := w.client.Put(t.Context(), w.full(departedKey("bob")), string(left)); err != nil {
		t.Fatal(err)
	}
	if err := w.clearDeparted(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	if e, err := w.fetch(t.Context(), departedKey("bob")); err != nil || e.revision != 0 {
		t.Errorf("the note is still there: %+v, %v", e, err)
	}

	// Who shares it takes the place of a publisher who is gone.
	w.ok(3, &Publish{Group: "lab", Name: "with cat", Content: file(0)})
	if o := w.all().at(objectKey("lab", "with cat")).(*Object); o.Publisher != "cat" || !o.Shared || o.Device != device(3) || time.Since(o.Published) > time.Hour {
		t.Errorf("the object is %+v", o)
	}
	w.ok(3, &StopShare{Group: "lab", Name: "with cat"})
	if all := w.all(); all.at(objectKey("lab", "with cat")) != nil || len(all.keys("s/lab/")) > 0 {
		t.Error("what nobody shares is there")
	}
}

// One who deletes a user need not wait, nor ask for what is left.
func TestDepartedSoon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	published := w.ok(2, &Publish{Group: shoal.Public, Name: "x", Content: file(1)})
	sink := &parting{state: newState(), gone: make(chan struct{})}
	if err := follow(t, w.Store, sink).WaitFor(t.Context(), published.Revision); err != nil {
		t.Fatal(err)
	}
	w.ok(2, &DeleteUser{User: "bob"})
	<-sink.gone
}

// parting tells when an object is gone.
type parting struct {
	*state
	gone chan struct{}
}

func (p *parting) Apply(events []Event, revision uint64) {
	p.state.Apply(events, revision)
	for _, e := range events {
		if _, is := e.Record.(*Object); is && e.Deleted {
			close(p.gone)
		}
	}
}
