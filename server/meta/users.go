package meta

import (
	"crypto/subtle"
	"slices"

	"shoal"
	"shoal/xdr"
)

// CreateUser makes a user, the realm's first one an admin, and enrols the device that asks. Whoever holds the state
// folder may, and nobody is enrolled then. Others need one of: the code of the first user, while there has been none; an
// invite, which is used up, and whose group the user is in from then on; registration that is open, which is the caller's
// to say. The error's code is Denied, Exists (the name is taken, or was, or the device is another user's) or Limit.
type CreateUser struct {
	User      Username
	Label     string   // of the device
	FirstCode [32]byte // SHA-256 of the code; zero for none
	Invite    [32]byte // SHA-256 of the code; zero for none
	Open      bool     // registration is open
	Password  string   // its hash, in the PHC string format
}

func (m *CreateUser) check() error {
	return first(checkUser(m.User), checkLabel(m.Label), checkPassword(m.Password))
}

func (m *CreateUser) append(b []byte) []byte {
	b = xdr.AppendString(xdr.AppendString(b, m.User), m.Label)
	return xdr.AppendFixed(xdr.AppendFixed(b, m.FirstCode[:]), m.Invite[:])
}

func (m *CreateUser) decide(t *transaction) error {
	realm := &Realm{}
	t.load(realm)
	invite, err := m.admit(t, realm)
	if err != nil {
		return err
	}
	_, deleted := t.get(deletedUserKey(m.User))
	if deleted || t.load(&User{Name: m.User}) {
		return shoal.Errorf(shoal.Exists, "there is, or was, a user %q; choose another name", m.User)
	}
	u := &User{Name: m.User, Password: m.Password, Created: t.now, Admin: !realm.Settled}
	if !t.id.Holder {
		if d := (&Device{ID: t.id.Device}); t.load(d) {
			return shoal.Errorf(shoal.Exists, "this device is logged in as %q; log out first", d.User)
		}
		u.Devices = []shoal.DeviceID{t.id.Device}
		t.put(&Device{ID: t.id.Device, User: m.User, Enrolled: t.now, Label: m.Label})
	}
	t.put(u)
	if !realm.Settled {
		realm.Settled, realm.FirstCode = true, [32]byte{}
		t.put(realm)
	}
	if invite != nil {
		t.delete(invite.key())
		t.put(&Member{Group: invite.Group, User: m.User, Since: t.now})
		t.place(m.User, invite.Group)
	}
	t.outcome.Group, t.admitted = groupOf(invite), true
	return nil
}

func groupOf(i *Invite) shoal.Group {
	if i == nil {
		return ""
	}
	return i.Group
}

// admit checks that a user may be made, and returns the invite that allows it, if one does.
func (m *CreateUser) admit(t *transaction, realm *Realm) (*Invite, error) {
	switch {
	case t.id.Holder:
		return nil, nil
	case m.FirstCode != [32]byte{}:
		if realm.Settled || realm.FirstCode == [32]byte{} || subtle.ConstantTimeCompare(realm.FirstCode[:], m.FirstCode[:]) == 0 {
			return nil, shoal.Errorf(shoal.Denied, "the code for the first user is wrong, or there has been a first user")
		}
		return nil, nil
	case m.Invite != [32]byte{}:
		i := &Invite{Hash: m.Invite}
		if !t.load(i) || !t.now.Before(i.Expires) {
			return nil, badInvite
		}
		// What its maker may not do any more, the invite does not do either. A later group of that name is another one.
		g := &Group{Name: i.Group}
		if !t.load(g) || g.Owner != i.By || i.Epoch < g.First {
			return nil, badInvite
		}
		return i, nil
	case m.Open:
		return nil, nil
	}
	return nil, shoal.Errorf(shoal.Denied, "a new user needs an invite here; ask a group's owner for one (shoal invite GROUP)")
}

var badInvite = shoal.Errorf(shoal.Denied, "the invite is wrong, was used, or is no longer valid; ask for a new one")

// DeleteUser takes a user and all the user's devices and memberships away, for the user, an admin or whoever holds the
// state folder. The name is never given again. The epoch of each of the user's groups, shoal.Public among them, is raised.
// What the user published goes soon after, where nobody else shares it. The error's code is Denied (also when the user
// owns a group) or NotFound.
type DeleteUser struct{ User Username }

func (m *DeleteUser) check() error           { return checkUser(m.User) }
func (m *DeleteUser) append(b []byte) []byte { return xdr.AppendString(b, m.User) }

func (m *DeleteUser) decide(t *transaction) error {
	if err := t.mayManage(m.User); err != nil {
		return err
	}
	u := &User{Name: m.User}
	if !t.load(u) {
		return noUser(m.User)
	}
	t.raisePublic()
	left := []shoal.Group{shoal.Public}
	for _, in := range t.places(m.User) {
		t.delete(requestKey(in, m.User))
		member, group := memberKey(in, m.User), &Group{Name: in}
		if _, there := t.get(member); !there || !t.load(group) {
			continue
		}
		if group.Owner == m.User {
			return shoal.Errorf(shoal.Denied, "the user %q owns the group %q; transfer or delete it first", m.User, in)
		}
		t.delete(member)
		t.raise(group)
		left = append(left, in)
	}
	for _, d := range u.Devices {
		t.delete(deviceKey(d))
	}
	t.delete(u.key())
	t.deleteAll(placeKey(m.User, ""))
	t.putValue(departedKey(m.User), encodeDeparted(left))
	t.putValue(deletedUserKey(m.User), appendTime([]byte{recordVersion}, t.now))
	return nil
}

// EnrolDevice makes the device that asks act for a user whose password has been checked. Doing it again changes the label.
// The error's code is Denied (no such user, or the password was changed meanwhile), Exists (the device is another user's)
// or Limit (MaxDevices).
type EnrolDevice struct {
	User     Username
	Label    string
	Password string // the hash that the password was checked against
	Rehashed string // one that takes its place; "" to leave it
}

func (m *EnrolDevice) check() error {
	if m.Rehashed != "" {
		if err := checkPassword(m.Rehashed); err != nil {
			return err
		}
	}
	return first(checkUser(m.User), checkLabel(m.Label), checkPassword(m.Password))
}

func (m *EnrolDevice) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendString(b, m.User), m.Label)
}

func (m *EnrolDevice) decide(t *transaction) error {
	u := &User{Name: m.User}
	if !t.load(u) || subtle.ConstantTimeCompare([]byte(u.Password), []byte(m.Password)) == 0 {
		return shoal.Errorf(shoal.Denied, "the user name or the password is wrong")
	}
	if err := t.enrol(u, t.id.Device, m.Label); err != nil {
		return err
	}
	if m.Rehashed != "" {
		u.Password = m.Rehashed
		t.put(u)
	}
	t.admitted = true
	return nil
}

// enrol makes a device act for a user.
func (t *transaction) enrol(u *User, device shoal.DeviceID, label string) error {
	d := &Device{ID: device}
	there := t.load(d)
	switch {
	case there && d.User != u.Name:
		return shoal.Errorf(shoal.Exists, "this device is logged in as %q; log out first", d.User)
	case !there && len(u.Devices) >= MaxDevices:
		return shoal.Errorf(shoal.Limit, "the user %q has %d devices, and more are not possible; revoke one first (shoal device revoke)", u.Name, MaxDevices)
	case !there:
		d.User, d.Enrolled = u.Name, t.now
		u.Devices = append(u.Devices, device)
		t.put(u)
	}
	d.Label = label
	t.put(d)
	return nil
}

// RevokeDevice takes the right to act for its user away from a device, for that user (this device or another), an admin
// or whoever holds the state folder. The epoch of each of the user's groups is raised. The error's code is NotFound.
type RevokeDevice struct{ Device shoal.DeviceID }

func (m *RevokeDevice) check() error           { return nil }
func (m *RevokeDevice) append(b []byte) []byte { return xdr.AppendFixed(b, m.Device[:]) }

func (m *RevokeDevice) decide(t *transaction) error {
	if _, err := t.actor(); err != nil && !t.id.Holder {
		return err
	}
	d := &Device{ID: m.Device}
	if !t.load(d) || t.mayManage(d.User) != nil {
		return shoal.Errorf(shoal.NotFound, "you have no device %v; shoal device list shows those that you have", m.Device)
	}
	u := &User{Name: d.User}
	if t.load(u) {
		u.Devices = slices.DeleteFunc(u.Devices, func(id shoal.DeviceID) bool { return id == m.Device })
		t.put(u)
	}
	t.delete(d.key())
	t.raisePublic()
	for _, in := range t.places(d.User) {
		group := &Group{Name: in}
		if _, member := t.get(memberKey(in, d.User)); member && t.load(group) {
			t.raise(group)
		}
	}
	return nil
}

// mayManage refuses who is neither the user, nor an admin, nor the holder of the state folder.
func (t *transaction) mayManage(u Username) error {
	if t.id.Holder {
		return nil
	}
	actor, err := t.actor()
	if err != nil || actor == u {
		return err
	}
	if a := (&User{Name: actor}); !t.load(a) || !a.Admin {
		return shoal.Errorf(shoal.Denied, "only the user %q or an admin may do this", u)
	}
	return nil
}

func noUser(u Username) error { return shoal.Errorf(shoal.NotFound, "there is no user %q", u) }

func checkLabel(l string) error {
	if len(l) > MaxLabel {
		return shoal.Errorf(shoal.BadRequest, "the device's label is %d bytes long; at most %d are allowed", len(l), MaxLabel)
	}
	if l == "" {
		return nil
	}
	_, err := shoal.ParseName(l)
	return err
}

func checkPassword(p string) error {
	if p == "" || len(p) > maxPassword {
		return shoal.Errorf(shoal.BadRequest, "a password's hash has %d bytes; 1 to %d are possible", len(p), maxPassword)
	}
	return nil
}
