package registry

import (
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

// lab is a group of ann, who owns it, and bob, with a device each (1 and 2), where carol (3) asks to be let in.
func lab() []meta.Record {
	since := time.UnixMilli(1)
	all := []meta.Record{&meta.Realm{Settled: true}}
	for i, u := range []meta.Username{"ann", "bob", "carol"} {
		all = append(all, &meta.User{Name: u, Admin: i == 0, Password: "hash of " + string(u), Devices: []shoal.DeviceID{deviceOf(i + 1)}})
	}
	for i, u := range []meta.Username{"ann", "bob", "carol"} {
		all = append(all, &meta.Device{ID: deviceOf(i + 1), User: u, Enrolled: since, Label: "of " + string(u)})
	}
	return append(all,
		&meta.Group{Name: "lab", Owner: "ann", Epoch: 5, First: 1},
		&meta.Member{Group: "lab", User: "ann", Since: since},
		&meta.Member{Group: "lab", User: "bob", Since: since},
		&meta.JoinRequest{Group: "lab", User: "carol", Since: since},
		&meta.Object{Group: "lab", Name: "x", Content: objectOf(1), Publisher: "bob", Shared: true},
		&meta.Object{Group: "lab", Name: "y", Content: objectOf(1), Publisher: "bob", Shared: true},
		&meta.Share{Group: "lab", Name: "x", User: "ann"},
	)
}

func listed(records []meta.Record, failure error) iter.Seq2[meta.Event, error] {
	return func(yield func(meta.Event, error) bool) {
		for _, r := range records {
			if !yield(meta.Event{Record: r}, nil) {
				return
			}
		}
		if failure != nil {
			yield(meta.Event{}, failure)
		}
	}
}

// fed is a registry of the lab, and what it told.
func fed(t *testing.T) (r *Registry, told *[]Change) {
	t.Helper()
	r, told = New(), new([]Change)
	r.Changed = func(c []Change) { *told = append(*told, c...) }
	if err := r.Replace(listed(lab(), nil), 10); err != nil {
		t.Fatal(err)
	}
	if len(*told) > 0 {
		t.Errorf("at first it told %v", *told)
	}
	return r, told
}

// Who is in a group sees what is in it; to others it is the same as one that is not there.
func TestWhoMayLook(t *testing.T) {
	r, _ := fed(t)
	for d, code := range map[int]shoal.Code{1: 0, 2: 0, 3: shoal.NotFound, 4: shoal.Denied} {
		_, _, _, listErr := r.List(deviceOf(d), "lab", "", 10)
		_, _, _, lookErr := r.Lookup(deviceOf(d), &wire.Lookup{Group: "lab", Name: "x"})
		for _, err := range []error{listErr, lookErr, r.Enter(deviceOf(d), "lab")} {
			if (code == 0) != (err == nil) || code != 0 && !errors.Is(err, code) {
				t.Errorf("device %d: %v, want %v", d, err, code)
			}
		}
		if err := r.Enter(deviceOf(d), shoal.Public); (code == shoal.Denied) != errors.Is(err, shoal.Denied) || code != shoal.Denied && err != nil {
			t.Errorf("device %d, in the group of all users: %v", d, err)
		}
		if code == 0 {
			continue
		}
		other := r.Enter(deviceOf(d), "bal")
		if strings.ReplaceAll(listErr.Error(), "lab", "bal") != other.Error() {
			t.Errorf("device %d can tell %q from %q", d, listErr, other)
		}
	}
}

func TestPeople(t *testing.T) {
	r, _ := fed(t)
	if who, at := r.Who(deviceOf(1)); who != (Who{"ann", true, "of ann", time.UnixMilli(1)}) || at != 10 {
		t.Errorf("ann's device is %+v", who)
	}
	if who, _ := r.Who(deviceOf(4)); who != (Who{}) || r.Password("dora") != "" || r.Password("bob") != "hash of bob" {
		t.Errorf("a stranger is %+v", who)
	}
	for d, role := range map[int]Role{1: Owner, 2: Member, 3: Asking, 4: NoRole} {
		if _, s := r.Standing(deviceOf(d), "lab"); s.Role != role || s.Group.Epoch != 5 || s.Members != 2 {
			t.Errorf("device %d stands as %+v", d, s)
		}
	}
	for d, role := range map[int]Role{1: Member, 3: Member, 4: NoRole} {
		if _, s := r.Standing(deviceOf(d), shoal.Public); s.Role != role || s.Group.Owner != "" || s.Group.Epoch != 1 || s.Members != 3 {
			t.Errorf("device %d stands in the group of all users as %+v", d, s)
		}
	}
	if _, in, more := r.People(shoal.Public, false, "ann", 1); len(in) != 1 || in[0].User != "bob" || !more {
		t.Errorf("after ann, %v are in the group of all users, more: %v", in, more)
	}
	if _, asking, more := r.People(shoal.Public, true, "", 10); len(asking) > 0 || more {
		t.Errorf("%v ask to be in the group of all users", asking)
	}
	_, users, more := r.Users("ann", 1)
	if len(users) != 1 || users[0].Name != "bob" || !more {
		t.Errorf("after ann come %v, more: %v", users, more)
	}
	if _, asking, _ := r.People("lab", true, "", 10); len(asking) != 1 || asking[0].User != "carol" {
		t.Errorf("%v ask", asking)
	}
	if _, in, more := r.People("lab", false, "", 1); len(in) != 1 || in[0].User != "ann" || !more {
		t.Errorf("%v are in it", in)
	}
	for d, role := range map[int]Role{1: Owner, 2: Member, 3: Asking} {
		if _, in, more := r.Groups(deviceOf(d), "", 10); len(in) != 2 || in[0].Group.Name != "lab" || in[0].Role != role || in[1].Role != Member || more {
			t.Errorf("device %d knows of %v, more: %v", d, in, more)
		}
		if _, in, more := r.Groups(deviceOf(d), "lab", 10); len(in) != 1 || in[0].Group.Name != shoal.Public || more {
			t.Errorf("after lab device %d knows of %v, more: %v", d, in, more)
		}
	}
	if _, in, _ := r.Groups(deviceOf(4), "", 10); len(in) != 0 {
		t.Errorf("a stranger knows of %v", in)
	}
	if _, devices, there := r.Devices("carol"); !there || len(devices) != 1 || devices[0].ID != deviceOf(3) {
		t.Errorf("carol's devices are %v", devices)
	}
}

// What a change ends is told to those whom it concerns, once.
func TestChanges(t *testing.T) {
	raised := func(owner meta.Username) meta.Event {
		return meta.Event{Record: &meta.Group{Name: "lab", Owner: owner, Epoch: 6, First: 1}}
	}
	gone := func(r meta.Record) meta.Event { return meta.Event{Record: r, Deleted: true} }
	ann, bob := deviceOf(1), deviceOf(2)
	for name, c := range map[string]struct {
		events []meta.Event
		told   []Change
	}{
		"a member leaves":   {[]meta.Event{gone(&meta.Member{Group: "lab", User: "bob"}), raised("ann")}, []Change{{Reason: MemberGone, Group: "lab", Epoch: 6, Devices: []shoal.DeviceID{ann, bob}}}},
		"one is let in":     {[]meta.Event{{Record: &meta.Member{Group: "lab", User: "carol"}}}, nil},
		"one asks no more":  {[]meta.Event{gone(&meta.JoinRequest{Group: "lab", User: "carol"})}, nil},
		"a device is gone":  {[]meta.Event{{Record: &meta.User{Name: "bob"}}, gone(&meta.Device{ID: bob}), raised("ann")}, []Change{{Reason: DeviceGone, Group: "lab", Epoch: 6, Devices: []shoal.DeviceID{ann, bob}}}},
		"another owner":     {[]meta.Event{raised("bob")}, []Change{{Reason: OwnerChanged, Group: "lab", Epoch: 6, Devices: []shoal.DeviceID{ann, bob}}}},
		"the group is gone": {[]meta.Event{gone(&meta.Group{Name: "lab"}), gone(&meta.Member{Group: "lab", User: "bob"}), gone(&meta.Object{Group: "lab", Name: "x"})}, []Change{{Reason: GroupGone, Group: "lab", Epoch: 6, Devices: []shoal.DeviceID{ann, bob}}}},
		"a user is gone": {
			[]meta.Event{gone(&meta.Member{Group: "lab", User: "bob"}), raised("ann"), gone(&meta.Device{ID: bob}), gone(&meta.User{Name: "bob"})},
			[]Change{{Reason: MemberGone, Group: "lab", Epoch: 6, Devices: []shoal.DeviceID{ann, bob}}},
		},
		"one of two names is gone":  {[]meta.Event{gone(&meta.Object{Group: "lab", Name: "x"})}, nil},
		"both names are gone":       {[]meta.Event{gone(&meta.Object{Group: "lab", Name: "x"}), gone(&meta.Object{Group: "lab", Name: "y"})}, []Change{{Reason: FileGone, Group: "lab", File: objectOf(1), Devices: []shoal.DeviceID{ann, bob}}}},
		"the publisher stops":       {[]meta.Event{{Record: &meta.Object{Group: "lab", Name: "x", Content: objectOf(1), Publisher: "bob"}}}, []Change{{Reason: SharingEnded, Group: "lab", File: objectOf(1), Devices: []shoal.DeviceID{bob}}}},
		"another one stops":         {[]meta.Event{gone(&meta.Share{Group: "lab", Name: "x", User: "ann"})}, []Change{{Reason: SharingEnded, Group: "lab", File: objectOf(1), Devices: []shoal.DeviceID{ann}}}},
		"what nobody knows is gone": {[]meta.Event{gone(&meta.Group{Name: "bal"}), gone(&meta.Member{Group: "bal", User: "ann"}), gone(&meta.Object{Group: "bal", Name: "x"}), gone(&meta.Device{ID: deviceOf(9)}), gone(&meta.Share{Group: "bal", Name: "x", User: "ann"})}, nil},
		"a name is there once more": {[]meta.Event{{Record: &meta.Object{Group: "lab", Name: "z", Content: objectOf(2)}}}, nil},
		"something in the group of all users": {
			[]meta.Event{{Record: &meta.Object{Group: shoal.Public, Name: "z", Content: objectOf(2)}}, gone(&meta.Object{Group: shoal.Public, Name: "z"})},
			[]Change{{Reason: FileGone, Group: shoal.Public, File: objectOf(2), All: true}},
		},
		"a device of all users is gone": {
			[]meta.Event{{Record: &meta.Group{Name: shoal.Public, Epoch: 2}}, gone(&meta.Device{ID: bob})},
			[]Change{{Reason: DeviceGone, Group: shoal.Public, Epoch: 2, Devices: []shoal.DeviceID{bob}, All: true}},
		},
		"one of all users is gone": {
			[]meta.Event{{Record: &meta.Group{Name: shoal.Public, Epoch: 2}}, gone(&meta.Device{ID: bob}), gone(&meta.User{Name: "bob"})},
			[]Change{{Reason: MemberGone, Group: shoal.Public, Epoch: 2, Devices: []shoal.DeviceID{bob}, All: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, told := fed(t)
			r.Apply(c.events, 11)
			for i := range *told {
				(*told)[i].Devices = union((*told)[i].Devices, nil)
			}
			if !reflect.DeepEqual(*told, c.told) {
				t.Errorf("told %+v, want %+v", *told, c.told)
			}
			if r.Revision() != 11 {
				t.Errorf("at revision %d", r.Revision())
			}
		})
	}
}

// Keys that are revoked, again, or meanwhile, are told of once, and so is another root key; no key is missed when it is there
// no more.
func TestRealmKeysChange(t *testing.T) {
	r, told := fed(t)
	revoked := func(key byte, chain string) *meta.Revocation {
		return &meta.Revocation{Key: [32]byte{key}, Chain: []byte(chain)}
	}
	root := func(key byte) *meta.Realm { return &meta.Realm{Root: shoal.RealmKey{key}} }
	change := func(key byte, chain string) Change {
		return Change{Reason: KeyRevoked, Key: [32]byte{key}, Chain: []byte(chain)}
	}
	expect := func(what string, want ...Change) {
		t.Helper()
		if !reflect.DeepEqual(*told, want) {
			t.Errorf("%s: told %+v, want %+v", what, *told, want)
		}
		*told = nil
	}
	r.Apply([]meta.Event{{Record: revoked(1, "a")}, {Record: root(7)}}, 11)
	expect("a key and the first root key", change(1, "a"))
	r.Apply([]meta.Event{{Record: revoked(1, "a")}, {Record: revoked(1, "b")}, {Record: root(8)}}, 12)
	expect("again, and a second root key", change(1, "b"), Change{Reason: RootReplaced, Key: [32]byte{8}})
	all := append(lab(), revoked(1, "b"), revoked(2, "c"), root(9))
	if err := r.Replace(listed(all, nil), 13); err != nil {
		t.Fatal(err)
	}
	expect("meanwhile", change(2, "c"), Change{Reason: RootReplaced, Key: [32]byte{9}})
	if is := r.Revocations(); len(is) != 2 || is[0].Key != [32]byte{1} || string(r.Revocation([32]byte{2}).Chain) != "c" {
		t.Errorf("the revocations are %+v", is)
	}
	r.Apply([]meta.Event{{Record: revoked(1, ""), Deleted: true}}, 14)
	expect("none")
	if r.Revocation([32]byte{1}) != nil || len(r.Revocations()) != 1 {
		t.Error("it is there still")
	}
}

// Who stopped sharing while nobody listened is told so when the whole state comes: in place of the publisher's copies, or of
// another's; and who shares still is not.
func TestReplaceTellsOfSharing(t *testing.T) {
	for name, c := range map[string]struct {
		stops  func(meta.Record) bool // what is not there any more
		shared bool                   // bob's copies of x are
		want   []shoal.DeviceID
	}{
		"nobody":        {func(meta.Record) bool { return false }, true, nil},
		"the publisher": {func(meta.Record) bool { return false }, false, []shoal.DeviceID{deviceOf(2)}},
		"another one":   {func(r meta.Record) bool { _, share := r.(*meta.Share); return share }, true, []shoal.DeviceID{deviceOf(1)}},
	} {
		r, told := fed(t)
		later := slices.DeleteFunc(lab(), c.stops)
		for _, record := range later {
			if o, ok := record.(*meta.Object); ok && o.Name == "x" {
				o.Shared = c.shared
			}
		}
		if err := r.Replace(listed(later, nil), 12); err != nil {
			t.Fatal(err)
		}
		var want []Change
		if c.want != nil {
			want = []Change{{Reason: SharingEnded, Group: "lab", File: objectOf(1), Devices: c.want}}
		}
		if !reflect.DeepEqual(*told, want) {
			t.Errorf("%s: told %+v, want %+v", name, *told, want)
		}
	}
}

// A share that ended by an event is not told of again by the next whole state, and one that began is part of it.
func TestSharesFollowEvents(t *testing.T) {
	r, told := fed(t)
	share := &meta.Share{Group: "lab", Name: "x", User: "ann"}
	r.Apply([]meta.Event{{Record: share, Deleted: true}}, 11)
	without := slices.DeleteFunc(lab(), func(r meta.Record) bool { _, share := r.(*meta.Share); return share })
	if err := r.Replace(listed(without, nil), 12); err != nil || len(*told) != 1 {
		t.Errorf("told %+v, %v", *told, err)
	}
	r.Apply([]meta.Event{{Record: share}}, 13)
	if err := r.Replace(listed(without, nil), 14); err != nil || len(*told) != 2 {
		t.Errorf("told %+v, %v", *told, err)
	}
}

// A whole state in place of another: what is known of files stays, what ended is told, and a list that breaks off changes
// nothing.
func TestReplace(t *testing.T) {
	r, told := fed(t)
	r.SetFacts("lab", "x", objectOf(1), picture)
	failure := errors.New("broken off")
	if err := r.Replace(listed(lab()[:5], failure), 11); !errors.Is(err, failure) || r.Revision() != 10 || r.Enter(deviceOf(2), "lab") != nil {
		t.Errorf("after %v at revision %d", err, r.Revision())
	}
	if err := r.Replace(listed(lab(), nil), 12); err != nil || len(*told) > 0 {
		t.Errorf("the same again: %v, %v", err, *told)
	}
	if _, found, _, err := r.Lookup(deviceOf(2), &wire.Lookup{Group: "lab", Name: "x"}); err != nil || *found.Facts != picture {
		t.Errorf("found %+v, %v", found, err)
	}
	without := slices.DeleteFunc(lab(), func(r meta.Record) bool {
		m, isMember := r.(*meta.Member)
		_, isObject := r.(*meta.Object)
		return isObject || isMember && m.User == "bob"
	})
	for _, record := range without {
		if g, ok := record.(*meta.Group); ok {
			g.Epoch = 9
		}
	}
	if err := r.Replace(listed(without, nil), 13); err != nil {
		t.Fatal(err)
	}
	both := []shoal.DeviceID{deviceOf(1), deviceOf(2)}
	want := []Change{{Reason: MemberGone, Group: "lab", Epoch: 9, Devices: both}, {Reason: FileGone, Group: "lab", File: objectOf(1), Devices: both}}
	for i := range *told {
		(*told)[i].Devices = union((*told)[i].Devices, nil)
	}
	if !reflect.DeepEqual(*told, want) {
		t.Errorf("told %+v, want %+v", *told, want)
	}
	*told = nil
	if err := r.Replace(listed(nil, nil), 14); err != nil || len(*told) != 1 || (*told)[0].Reason != GroupGone || (*told)[0].Epoch != 10 {
		t.Errorf("of nothing: %v, %+v", err, *told)
	}
	*told = nil
	raised := append(lab()[:6], &meta.Group{Name: shoal.Public, Epoch: 7})
	if err := errors.Join(r.Replace(listed(lab()[:7], nil), 15), r.Replace(listed(raised, nil), 16)); err != nil || len(*told) != 1 {
		t.Fatalf("%v, %+v", err, *told)
	}
	if c := (*told)[0]; c.Group != shoal.Public || c.Epoch != 7 || !c.All || !slices.Equal(c.Devices, []shoal.DeviceID{deviceOf(3)}) {
		t.Errorf("of a device that is gone, told %+v", c)
	}
}
