package meta

import (
	"shoal"
	"shoal/xdr"
)

// AddDevice makes a device act for a user, for whoever holds the state folder: no password is needed. Doing it again changes
// the label. The error's code is Denied, NotFound (no such user), Exists (the device is another user's) or Limit (MaxDevices).
type AddDevice struct {
	User   Username
	Device shoal.DeviceID
	Label  string
}

func (m *AddDevice) check() error {
	if m.Device == (shoal.DeviceID{}) {
		return shoal.Errorf(shoal.BadRequest, "the device that is to be added is missing")
	}
	return first(checkUser(m.User), checkLabel(m.Label))
}

func (m *AddDevice) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendFixed(xdr.AppendString(b, m.User), m.Device[:]), m.Label)
}

func (m *AddDevice) decide(t *transaction) error {
	if !t.id.Holder {
		return shoal.Errorf(shoal.Denied, "only whoever holds the server's state folder may enrol another device; log in there (shoal login %s)", m.User)
	}
	u := &User{Name: m.User}
	if !t.load(u) {
		return noUser(m.User)
	}
	return t.enrol(u, m.Device, m.Label)
}
