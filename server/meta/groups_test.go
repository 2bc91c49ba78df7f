package meta

import (
	"fmt"
	"slices"
	"testing"

	"shoal"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat")
	if o := w.ok(1, &CreateGroup{Group: "lab"}); o.Epoch != 1 {
		t.Errorf("the first epoch is %d", o.Epoch)
	}
	w.refused(2, &CreateGroup{Group: "lab"}, shoal.Exists)
	w.refused(9, &CreateGroup{Group: "new"}, shoal.Denied, "log in first")

	// Who is outside learns nothing but by asking to be let in.
	for _, m := range []Mutation{
		&DeleteGroup{Group: "lab"}, &TransferGroup{Group: "lab", To: "bob"}, &LeaveGroup{Group: "lab"},
		&AcceptRequest{Group: "lab", User: "cat"}, &RejectRequest{Group: "lab", User: "cat"},
		&RemoveMember{Group: "lab", User: "ann"}, &Publish{Group: "lab", Name: "x"},
		&Unpublish{Group: "lab", Name: "x", File: file(1).ID}, &StopShare{Group: "lab", Name: "x"},
	} {
		there := w.refused(2, m, shoal.NotFound)
		setGroup(m, "nil")
		if not := w.refused(2, m, shoal.NotFound); len(not.Text) != len(there.Text) {
			t.Errorf("%T: %q where there is a group, %q where there is none", m, there.Text, not.Text)
		}
	}
	w.refused(2, &RequestJoin{Group: "nil"}, shoal.NotFound)
	w.refused(1, &RequestJoin{Group: "lab"}, shoal.Exists)

	w.ok(2, &RequestJoin{Group: "lab"})
	w.ok(2, &RequestJoin{Group: "lab"})
	w.refused(2, &Publish{Group: "lab", Name: "x"}, shoal.NotFound)
	w.refused(2, &AcceptRequest{Group: "lab", User: "bob"}, shoal.NotFound)
	w.ok(2, &LeaveGroup{Group: "lab"}) // takes the request back
	w.refused(1, &AcceptRequest{Group: "lab", User: "bob"}, shoal.NotFound)
	w.ok(2, &RequestJoin{Group: "lab"})
	w.ok(1, &RejectRequest{Group: "lab", User: "bob"})
	w.refused(1, &RejectRequest{Group: "lab", User: "bob"}, shoal.NotFound)
	w.ok(2, &RequestJoin{Group: "lab"})
	w.ok(1, &AcceptRequest{Group: "lab", User: "bob"})
	w.ok(3, &RequestJoin{Group: "lab"})
	// A member is told who may.
	for _, m := range []Mutation{
		&DeleteGroup{Group: "lab"}, &TransferGroup{Group: "lab", To: "bob"},
		&AcceptRequest{Group: "lab", User: "cat"}, &RejectRequest{Group: "lab", User: "cat"},
		&RemoveMember{Group: "lab", User: "ann"}, &CreateInvite{Group: "lab", Hash: [32]byte{1}},
	} {
		w.refused(2, m, shoal.Denied, `"ann"`)
	}
	w.refused(1, &LeaveGroup{Group: "lab"}, shoal.Denied, "transfer")
	w.refused(1, &RemoveMember{Group: "lab", User: "ann"}, shoal.Denied, "transfer")
	w.refused(1, &RemoveMember{Group: "lab", User: "cat"}, shoal.NotFound)
	w.refused(1, &TransferGroup{Group: "lab", To: "cat"}, shoal.NotFound)
	w.ok(1, &AcceptRequest{Group: "lab", User: "cat"})

	// Epochs rise when a right is taken away, and never otherwise.
	if g := w.all().at(groupKey("lab")).(*Group); g.Epoch != 1 || g.Owner != "ann" {
		t.Errorf("the group is %+v", g)
	}
	for i, o := range []Outcome{
		w.ok(1, &RemoveMember{Group: "lab", User: "cat"}),
		w.ok(1, &TransferGroup{Group: "lab", To: "bob"}),
		w.ok(1, &LeaveGroup{Group: "lab"}),
	} {
		if o.Epoch != uint64(i+2) {
			t.Errorf("the epoch is %d, want %d", o.Epoch, i+2)
		}
	}
	w.ok(2, &Publish{Group: "lab", Name: "x", Content: file(1)})
	if o := w.ok(2, &DeleteGroup{Group: "lab"}); o.Epoch != 5 {
		t.Errorf("the last epoch is %d", o.Epoch)
	}
	all := w.all()
	for _, kind := range []key{"g/", "m/", "r/", "o/", "s/"} {
		if got := all.keys(kind); len(got) > 0 {
			t.Errorf("left over: %q", got)
		}
	}
	// A new group of that name begins above, so that no ticket of the old one holds.
	if o := w.ok(3, &CreateGroup{Group: "lab"}); o.Epoch != 6 {
		t.Errorf("the epoch of a group made again is %d", o.Epoch)
	}
	w.refused(2, &Publish{Group: "lab", Name: "x", Content: file(1)}, shoal.NotFound)
}

func setGroup(m Mutation, g shoal.Group) {
	switch m := m.(type) {
	case *DeleteGroup:
		m.Group = g
	case *TransferGroup:
		m.Group = g
	case *LeaveGroup:
		m.Group = g
	case *AcceptRequest:
		m.Group = g
	case *RejectRequest:
		m.Group = g
	case *RemoveMember:
		m.Group = g
	case *Publish:
		m.Group = g
	case *Unpublish:
		m.Group = g
	case *StopShare:
		m.Group = g
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.maxPlaces = 16
	at := func(i int) shoal.Group { return shoal.Group("g" + string(rune('\u4e00'+i))) }
	for i := range 16 {
		w.ok(1, &CreateGroup{Group: at(i)})
	}
	w.refused(1, &CreateGroup{Group: "more"}, shoal.Limit, "leave one")
	w.ok(2, &CreateGroup{Group: "bobs"})
	w.refused(1, &RequestJoin{Group: "bobs"}, shoal.Limit)
	// What groups that are gone left behind does not count.
	w.ok(1, &DeleteGroup{Group: at(7)})
	w.ok(1, &DeleteGroup{Group: at(8)})
	w.ok(1, &RequestJoin{Group: "bobs"})
	w.ok(1, &CreateGroup{Group: "more"})
	w.refused(1, &CreateGroup{Group: "even more"}, shoal.Limit)
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	w.maxNames = 10
	publish := func(i int) *Publish {
		return &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint(i)), Content: file(i)}
	}
	for i := range 10 {
		w.ok(1, publish(i))
		w.ok(1, publish(i))
	}
	w.refused(1, publish(10), shoal.Limit, "unpublish")
	w.ok(1, publish(9))
	w.ok(1, &Unpublish{Group: "lab", Name: "3", File: file(3).ID})
	w.ok(1, publish(10))
	w.refused(1, publish(11), shoal.Limit)
}

func TestObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat", "dan")
	w.group("lab", map[int]Username{2: "bob", 3: "cat", 4: "dan"})
	const name = "a name"
	publish := func(n int) *Publish { return &Publish{Group: "lab", Name: name, Content: file(n)} }
	w.ok(2, publish(1))
	w.ok(2, publish(1))
	taken := w.refused(3, publish(2), shoal.NameTaken, file(1).ID.String(), file(2).ID.String())
	if taken.Stands != file(1) {
		t.Errorf("the name stands for %v", taken.Stands)
	}
	// Names of which one begins with the other are two.
	w.ok(3, &Publish{Group: "lab", Name: name + "!", Content: file(3)})
	w.ok(3, publish(1))
	all := w.all()
	if got := all.keys("s/"); !slices.Equal(got, []string{"s/lab/" + name + "/cat"}) {
		t.Errorf("shares: %q", got)
	}
	if o := all.at(objectKey("lab", name)).(*Object); o.Publisher != "bob" || o.Device != device(2) || !o.Shared || o.Content != file(1) {
		t.Errorf("the object is %+v", o)
	}

	w.refused(3, &Unpublish{Group: "lab", Name: name, File: file(2).ID}, shoal.NotFound, file(1).ID.String())
	w.refused(3, &Unpublish{Group: "lab", Name: "no", File: file(2).ID}, shoal.NotFound, "shoal ls")
	w.refused(3, &Unpublish{Group: "lab", Name: name, File: file(1).ID}, shoal.Denied, `"bob"`)
	w.refused(4, &StopShare{Group: "lab", Name: name, File: file(1).ID}, shoal.NotFound, "you do not share")
	w.ok(2, &StopShare{Group: "lab", Name: name, File: file(1).ID})
	if o := w.all().at(objectKey("lab", name)).(*Object); o.Shared {
		t.Error("the publisher's copies are offered")
	}
	w.refused(2, &StopShare{Group: "lab", Name: name, File: file(1).ID}, shoal.NotFound)
	w.ok(2, publish(1)) // offers them again
	w.ok(2, &StopShare{Group: "lab", Name: name, File: file(1).ID})
	w.ok(4, publish(1))
	w.ok(3, &StopShare{Group: "lab", Name: name})
	w.ok(4, &StopShare{Group: "lab", Name: name}) // the last one
	if got := w.all().keys("o/"); !slices.Equal(got, []string{"o/lab/" + name + "!"}) {
		t.Errorf("objects: %q", got)
	}

	// The copies of one who left do not count.
	w.ok(2, publish(1))
	w.ok(3, publish(1))
	w.ok(4, publish(1))
	w.ok(1, &RemoveMember{Group: "lab", User: "bob"})
	w.ok(3, &LeaveGroup{Group: "lab"})
	w.ok(4, &StopShare{Group: "lab", Name: name, File: file(1).ID})
	all = w.all()
	if o, s := all.keys("o/lab/"+name), all.keys("s/"); len(o) != 1 || len(s) > 0 {
		t.Errorf("objects %q, shares %q", o, s)
	}
	w.ok(4, publish(1))
	w.ok(1, publish(1))
	w.ok(4, &Unpublish{Group: "lab", Name: name, File: file(1).ID})       // by its publisher
	w.ok(1, &Unpublish{Group: "lab", Name: name + "!", File: file(3).ID}) // by the owner
	all = w.all()
	if o, s := all.keys("o/"), all.keys("s/"); len(o)+len(s) > 0 {
		t.Errorf("objects %q, shares %q", o, s)
	}
}
