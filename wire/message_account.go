package wire

import (
	"errors"
	"fmt"

	"shoal"
	"shoal/xdr"
)

// Register makes a user, by a code where the server wants one, and enrols the device that asks as the user's.
type Register struct {
	Sequence uint64
	User     string // a user's name, as everywhere in messages: MaxUsername bytes at most, checked where it is decoded
	Password Secret
	Code     Secret // as typed; empty for none
	Label    string // of the device, for people; may be empty
}

// RegisterReply gives the revision at which the user is there, and the group that the user is in by an invite, "" for none.
type RegisterReply struct {
	Revision uint64
	Group    shoal.Group
}

// Login enrols the device that asks as the user's.
type Login struct {
	Sequence uint64
	User     string
	Password Secret
	Label    string
}

// Logout ends the enrolment of the device that asks.
type Logout struct{ Sequence uint64 }

// Whoami asks who the device that asks acts for.
type Whoami struct{}

// WhoamiReply says whose device it is. Enrolled is in milliseconds since 1970 UTC.
type WhoamiReply struct {
	Revision uint64
	User     string
	Admin    bool
	Label    string
	Enrolled int64
}

// Users asks for at most Limit users after After ("" is the beginning), in the order of their names' bytes.
type Users struct {
	After string
	Limit uint32
}

// UserEntry is one user. Created is in milliseconds since 1970 UTC.
type UserEntry struct {
	User    string
	Created int64
	Admin   bool
	Devices uint32 // how many
}

// UsersReply is a part of the users.
type UsersReply struct {
	Revision uint64
	Entries  []UserEntry
	More     bool
}

// Devices asks for the devices of a user, "" for the one who asks.
type Devices struct{ User string }

// DeviceEntry is one device of a user. Enrolled is in milliseconds since 1970 UTC.
type DeviceEntry struct {
	Device   shoal.DeviceID
	Label    string
	Enrolled int64
}

// DevicesReply is all devices of a user.
type DevicesReply struct {
	Revision uint64
	Entries  []DeviceEntry
}

// AccountVerb is what Account does.
type AccountVerb uint32

// The verbs of Account.
const (
	DeleteUser   AccountVerb = 1
	RevokeDevice AccountVerb = 2
)

func (v AccountVerb) String() string { return verbName([]string{"delete", "revoke"}, uint32(v)) }

// Account deletes User, or ends the enrolment of Device; the other one of the two is zero.
type Account struct {
	Sequence uint64
	Verb     AccountVerb
	User     string
	Device   shoal.DeviceID
}

// PasswordChange replaces the password of the asker's user, which was Was.
type PasswordChange struct {
	Sequence uint64
	Was      Secret
	Password Secret
}

func (m *Register) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendString(b, m.User)
	b = xdr.AppendOpaque(b, m.Password)
	b = xdr.AppendOpaque(b, m.Code)
	return xdr.AppendString(b, m.Label)
}

func (m *Register) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.User = user(d)
	m.Password = d.Opaque(MaxPassword)
	m.Code = d.Opaque(MaxCode)
	m.Label = label(d, MaxLabel)
}

func (m *RegisterReply) Append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendUint64(b, m.Revision), m.Group)
}

func (m *RegisterReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Group = shoal.Group(label(d, shoal.MaxGroup))
}

func (m *Login) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendString(b, m.User)
	b = xdr.AppendOpaque(b, m.Password)
	return xdr.AppendString(b, m.Label)
}

func (m *Login) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.User = user(d)
	m.Password = d.Opaque(MaxPassword)
	m.Label = label(d, MaxLabel)
}

func (m *PasswordChange) Append(b []byte) []byte {
	return xdr.AppendOpaque(xdr.AppendOpaque(xdr.AppendUint64(b, m.Sequence), m.Was), m.Password)
}

func (m *PasswordChange) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Was = d.Opaque(MaxPassword)
	m.Password = d.Opaque(MaxPassword)
}

func (m *Logout) Append(b []byte) []byte { return xdr.AppendUint64(b, m.Sequence) }
func (m *Logout) decode(d *xdr.Decoder)  { m.Sequence = d.Uint64() }

func (*Whoami) Append(b []byte) []byte { return b }
func (*Whoami) decode(*xdr.Decoder)    {}

func (m *WhoamiReply) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Revision)
	b = xdr.AppendString(b, m.User)
	b = xdr.AppendBool(b, m.Admin)
	b = xdr.AppendString(b, m.Label)
	return xdr.AppendInt64(b, m.Enrolled)
}

func (m *WhoamiReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.User = user(d)
	m.Admin = d.Bool()
	m.Label = label(d, MaxLabel)
	m.Enrolled = d.Int64()
}

func (m *Users) Append(b []byte) []byte {
	return xdr.AppendUint32(xdr.AppendString(b, m.After), m.Limit)
}

func (m *Users) decode(d *xdr.Decoder) {
	m.After = label(d, MaxUsername)
	m.Limit = listLimit(d)
}

func (m *UsersReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint64(b, m.Revision), uint32(len(m.Entries)))
	for i := range m.Entries {
		e := &m.Entries[i]
		b = xdr.AppendString(b, e.User)
		b = xdr.AppendInt64(b, e.Created)
		b = xdr.AppendBool(b, e.Admin)
		b = xdr.AppendUint32(b, e.Devices)
	}
	return xdr.AppendBool(b, m.More)
}

func (m *UsersReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]UserEntry, d.Count(MaxList, minLabel+8+4+4))
	for i := range m.Entries {
		m.Entries[i] = UserEntry{user(d), d.Int64(), d.Bool(), d.Uint32()}
	}
	m.More = d.Bool()
}

func (m *Devices) Append(b []byte) []byte { return xdr.AppendString(b, m.User) }
func (m *Devices) decode(d *xdr.Decoder)  { m.User = label(d, MaxUsername) }

func (m *DevicesReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint64(b, m.Revision), uint32(len(m.Entries)))
	for i := range m.Entries {
		e := &m.Entries[i]
		b = xdr.AppendFixed(b, e.Device[:])
		b = xdr.AppendString(b, e.Label)
		b = xdr.AppendInt64(b, e.Enrolled)
	}
	return b
}

func (m *DevicesReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]DeviceEntry, d.Count(MaxDevices, 32+4+8))
	for i := range m.Entries {
		e := &m.Entries[i]
		copy(e.Device[:], d.Fixed(len(e.Device)))
		e.Label = label(d, MaxLabel)
		e.Enrolled = d.Int64()
	}
}

func (m *Account) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendUint32(b, uint32(m.Verb))
	b = xdr.AppendString(b, m.User)
	return xdr.AppendFixed(b, m.Device[:])
}

func (m *Account) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Verb = AccountVerb(enum(d, "account_verb", uint32(RevokeDevice)))
	m.User = label(d, MaxUsername)
	copy(m.Device[:], d.Fixed(len(m.Device)))
	named, ofDevice := m.User != "", m.Device != shoal.DeviceID{}
	if d.Err() == nil && (named != (m.Verb == DeleteUser) || ofDevice != (m.Verb == RevokeDevice)) {
		check(d, "A8", errors.New("a user where a device is meant, or the other way round, or neither"))
	}
}

// minLabel is what a name that is not empty takes at least, in bytes.
const minLabel = 4 + 4

// user reads a user's name.
func user(d *xdr.Decoder) string {
	s := label(d, MaxUsername)
	if s == "" {
		check(d, "X3", errors.New("a user's name is missing"))
	}
	return s
}

// label reads what obeys the rules of names, or is empty.
func label(d *xdr.Decoder, limit int) string {
	s := d.String(limit)
	if s != "" {
		_, err := shoal.ParseName(s)
		check(d, "X3", err)
	}
	return s
}

// listLimit reads how many entries are asked for.
func listLimit(d *xdr.Decoder) uint32 {
	n := d.Uint32()
	if n < 1 || n > MaxList {
		check(d, "S4", fmt.Errorf("a list of %d entries", n))
	}
	return n
}

// verbName is what names has for v, an enum that begins at 1.
func verbName(names []string, v uint32) string {
	if v < 1 || int(v) > len(names) {
		return fmt.Sprintf("verb %d", v)
	}
	return names[v-1]
}
