package meta

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"shoal"
)

func TestFirstUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, root := [32]byte{7}, shoal.RealmKey{9}
	w.refused(1, &SetRealm{Root: root, FirstCode: code}, shoal.Denied, "state folder")
	if _, err := w.holder(&SetRealm{Root: root, FirstCode: code, Tickets: [][]byte{[]byte("certificate")}}); err != nil {
		t.Fatal(err)
	}
	_, err := w.holder(&SetRealm{Root: root})
	checkRefusal(t, err, shoal.Changed, root.String())

	create := &CreateUser{User: "ann", FirstCode: [32]byte{8}, Password: "$a"}
	w.refused(1, create, shoal.Denied, "code")
	w.refused(1, &CreateUser{User: "ann", Password: "$a"}, shoal.Denied, "invite")
	create.FirstCode = code
	w.ok(1, create)
	// The code is used up.
	w.refused(2, &CreateUser{User: "bob", FirstCode: code, Password: "$b"}, shoal.Denied)
	w.refused(2, &CreateUser{User: "bob", FirstCode: [32]byte{}, Password: "$b"}, shoal.Denied)
	all := w.all()
	if u := all.at(userKey("ann")).(*User); !u.Admin || !slices.Equal(u.Devices, []shoal.DeviceID{device(1)}) || u.Password != "$a" {
		t.Errorf("the first user is %+v", u)
	}
	if r := all.at(realmKey).(*Realm); r.Root != root || r.FirstCode != [32]byte{} || !r.Settled || string(r.Tickets[0]) != "certificate" {
		t.Errorf("the realm is %+v", r)
	}
	// Nothing makes a code count again.
	if _, err := w.holder(&SetRealm{Was: root, Root: root, FirstCode: code}); err != nil {
		t.Fatal(err)
	}
	w.refused(2, &CreateUser{User: "bob", FirstCode: code, Password: "$b"}, shoal.Denied)
	if _, err := w.holder(&CreateUser{User: "bob", Password: "$b"}); err != nil {
		t.Fatal(err)
	}
	if u := w.all().at(userKey("bob")).(*User); u.Admin || len(u.Devices) > 0 {
		t.Errorf("the second user is %+v", u)
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	w.refused(3, &EnrolDevice{User: "nobody", Password: "$x"}, shoal.Denied, "user name or the password")
	w.refused(3, &EnrolDevice{User: "bob", Password: "$old"}, shoal.Denied, "user name or the password")
	w.ok(3, &EnrolDevice{User: "bob", Label: "tower", Password: "$argon2id$bob"})
	w.ok(3, &EnrolDevice{User: "bob", Label: "big tower", Password: "$argon2id$bob"})
	w.refused(3, &EnrolDevice{User: "ann", Password: "$argon2id$ann"}, shoal.Exists, `"bob"`)
	w.refused(3, &CreateUser{User: "cat", Open: true, Password: "$c"}, shoal.Exists, `"bob"`)
	all := w.all()
	if d := all.at(deviceKey(device(3))).(*Device); d.Label != "big tower" || d.User != "bob" {
		t.Errorf("the device is %+v", d)
	}
	if u := all.at(userKey("bob")).(*User); !slices.Equal(u.Devices, []shoal.DeviceID{device(2), device(3)}) {
		t.Errorf("the user is %+v", u)
	}

	epoch := all.at(groupKey("lab")).(*Group).Epoch
	w.refused(2, &RevokeDevice{Device: device(1)}, shoal.NotFound) // of another user
	w.refused(2, &RevokeDevice{Device: device(9)}, shoal.NotFound)
	w.refused(9, &RevokeDevice{Device: device(2)}, shoal.Denied, "log in first")
	if o := w.ok(2, &RevokeDevice{Device: device(3)}); o.Epoch != epoch+1 {
		t.Errorf("the epoch is %d, want %d", o.Epoch, epoch+1)
	}
	w.refused(3, &Publish{Group: "lab", Name: "x", Content: file(1)}, shoal.Denied, "log in first")
	w.ok(1, &RevokeDevice{Device: device(2)}) // by an admin
	all = w.all()
	if u := all.at(userKey("bob")).(*User); len(u.Devices) > 0 {
		t.Errorf("the user has %v", u.Devices)
	}
	if got := all.keys("d/"); len(got) != 1 {
		t.Errorf("devices: %q", got)
	}
	// A device may come back, and logs out by itself.
	w.ok(3, &EnrolDevice{User: "bob", Password: "$argon2id$bob"})
	w.ok(3, &RevokeDevice{Device: device(3)})

	for n := range MaxDevices {
		w.ok(100+n, &EnrolDevice{User: "bob", Password: "$argon2id$bob"})
	}
	w.refused(99, &EnrolDevice{User: "bob", Password: "$argon2id$bob"}, shoal.Limit, "revoke")
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob", "cat")
	w.group("lab", map[int]Username{2: "bob", 3: "cat"})
	w.ok(2, &CreateGroup{Group: "bobs"})
	w.ok(3, &RequestJoin{Group: "bobs"})
	w.refused(3, &DeleteUser{User: "bob"}, shoal.Denied, "admin")
	w.refused(1, &DeleteUser{User: "nobody"}, shoal.NotFound)
	w.refused(2, &DeleteUser{User: "bob"}, shoal.Denied, `"bobs"`, "transfer")
	w.ok(2, &DeleteGroup{Group: "bobs"})
	before := w.all().at(groupKey("lab")).(*Group).Epoch
	w.ok(2, &DeleteUser{User: "bob"})
	w.ok(1, &DeleteUser{User: "cat"}) // by an admin
	all := w.all()
	if g := all.at(groupKey("lab")).(*Group); g.Epoch != before+2 {
		t.Errorf("the epoch is %d, want %d", g.Epoch, before+2)
	}
	for kind, want := range map[key][]string{"u/": {"u/ann"}, "m/": {"m/lab/ann"}, "r/": nil} {
		if got := all.keys(kind); !slices.Equal(got, want) {
			t.Errorf("there is %q, want %q", got, want)
		}
	}
	if got := all.keys("d/"); len(got) != 1 {
		t.Errorf("devices: %q", got)
	}
	w.refused(2, &CreateUser{User: "bob", Open: true, Password: "$b"}, shoal.Exists, "or was")
	w.ok(2, &CreateUser{User: "bob2", Open: true, Password: "$b"})
	_, err := w.holder(&DeleteUser{User: "bob2"})
	if err != nil {
		t.Error(err)
	}
}

func TestInvites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	code := func(n byte) [32]byte { return [32]byte{n, 0xff, '/'} }
	soon := time.Now().Add(time.Hour)
	w.refused(2, &CreateInvite{Group: "lab", Hash: code(1), Expires: soon}, shoal.Denied, `"ann"`)
	w.refused(1, &CreateInvite{Group: "none", Hash: code(1), Expires: soon}, shoal.NotFound)
	w.ok(1, &CreateInvite{Group: "lab", Hash: code(1), Expires: soon})
	w.refused(1, &CreateInvite{Group: "lab", Hash: code(1), Expires: soon}, shoal.Exists)
	w.ok(1, &CreateInvite{Group: "lab", Hash: code(2), Expires: time.Now().Add(-time.Second)})
	w.refused(3, &CreateUser{User: "cat", Invite: code(2), Password: "$c"}, shoal.Denied, "no longer valid")
	w.refused(3, &CreateUser{User: "bob", Invite: code(1), Password: "$c"}, shoal.Exists) // keeps the invite
	if o := w.ok(3, &CreateUser{User: "cat", Invite: code(1), Password: "$c"}); o.Group != "lab" {
		t.Errorf("the outcome is %+v", o)
	}
	w.refused(4, &CreateUser{User: "dan", Invite: code(1), Password: "$d"}, shoal.Denied)
	w.ok(3, &Publish{Group: "lab", Name: "by a new member", Content: file(1)})

	// An invite does no more than its maker could do, and not into another group of that name.
	w.ok(1, &CreateInvite{Group: "lab", Hash: code(3), Expires: soon})
	w.ok(1, &TransferGroup{Group: "lab", To: "bob"})
	w.refused(4, &CreateUser{User: "dan", Invite: code(3), Password: "$d"}, shoal.Denied)
	w.ok(2, &CreateInvite{Group: "lab", Hash: code(4), Expires: soon})
	w.ok(2, &DeleteGroup{Group: "lab"})
	w.ok(2, &CreateGroup{Group: "lab"})
	w.refused(4, &CreateUser{User: "dan", Invite: code(4), Password: "$d"}, shoal.Denied)
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	for _, m := range []Mutation{
		&CreateUser{User: "", Open: true, Password: "$"}, &CreateUser{User: "a/b", Open: true, Password: "$"},
		&CreateUser{User: "a\x00", Open: true, Password: "$"}, &CreateUser{User: "a", Open: true},
		&CreateUser{User: "a", Open: true, Password: "$", Label: "\x1b[2J"},
		&CreateUser{User: Username(fmt.Sprintf("%065d", 1)), Open: true, Password: "$"},
		&CreateUser{User: "a", Open: true, Password: fmt.Sprintf("%0513d", 1)},
		&DeleteUser{User: ".."}, &EnrolDevice{User: "ann"}, &CreateGroup{Group: "a/b"}, &CreateGroup{Group: "g", Grace: -1},
		&CreateGroup{Group: "g", Grace: MaxGrace + 1}, &CreateGroup{Group: "g", Grace: 1}, &DeleteGroup{},
		&TransferGroup{Group: "g"}, &RequestJoin{Group: "\xff"}, &LeaveGroup{}, &AcceptRequest{Group: "g"},
		&RejectRequest{User: "u"}, &RemoveMember{Group: "g", User: "/"}, &CreateInvite{Group: "g"},
		&Publish{Group: "g", Name: "x/y"}, &Publish{Group: "g", Name: "x", Content: shoal.Object{Size: -1}},
		&Unpublish{Group: "g", Name: "\n", File: file(1).ID}, &Unpublish{Group: "g", Name: "n"}, &StopShare{Name: "x"},
		&SetRealm{Tickets: make([][]byte, maxKeys+1)}, &SetRealm{Successors: [][]byte{make([]byte, maxKey+1)}},
	} {
		w.refused(1, m, shoal.BadRequest)
	}
}

// Whoever holds the state folder enrols devices without a password, and nobody else does.
func TestAddDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	add := &AddDevice{User: "bob", Device: device(3), Label: "desk"}
	w.refused(1, add, shoal.Denied, "state folder") // an admin
	for range 2 {
		if _, err := w.holder(add); err != nil {
			t.Fatal(err)
		}
	}
	if d := w.all().at(deviceKey(device(3))).(*Device); d.User != "bob" || d.Label != "desk" {
		t.Errorf("the device is %+v", d)
	}
	w.ok(3, &CreateGroup{Group: "bobs"})
	_, err := w.holder(&AddDevice{User: "ann", Device: device(3)})
	checkRefusal(t, err, shoal.Exists, `"bob"`)
	_, err = w.holder(&AddDevice{User: "cat", Device: device(4)})
	checkRefusal(t, err, shoal.NotFound, `"cat"`)
}
