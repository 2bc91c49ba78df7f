package wire

import (
	"errors"
	"fmt"

	"shoal"
	"shoal/xdr"
)

// GroupVerb is what GroupChange does.
type GroupVerb uint32

// The verbs of GroupChange.
const (
	CreateGroup GroupVerb = iota + 1
	JoinGroup             // asks to be let in
	LeaveGroup            // or takes the request to be let in back
	AcceptUser
	RejectUser
	RemoveUser
	DeleteGroup
	TransferGroup
)

func (v GroupVerb) String() string {
	return verbName([]string{"create", "join", "leave", "accept", "reject", "remove", "delete", "transfer"}, uint32(v))
}

// NamesUser reports whether the verb is about a user other than the one who asks.
func (v GroupVerb) NamesUser() bool {
	return v == AcceptUser || v == RejectUser || v == RemoveUser || v == TransferGroup
}

// GroupChange changes a group, or who is in it. User is empty but where Verb.NamesUser, Grace 0 but in CreateGroup.
type GroupChange struct {
	Sequence uint64
	Verb     GroupVerb
	Group    shoal.Group
	User     string
	Grace    uint32 // seconds for which transfers go on without a server; MaxGrace at most
}

// Groups asks for at most Limit groups that the asker may know of after After ("" is the beginning), in the order of
// their names' bytes.
type Groups struct {
	After string
	Limit uint32
}

// Role is what a user is in a group.
type Role uint32

// The roles.
const (
	RoleNone      Role = 0
	RoleRequested Role = 1 // asks to be let in
	RoleMember    Role = 2
	RoleOwner     Role = 3
)

func (r Role) String() string {
	return verbName([]string{"none", "requested", "member", "owner"}, uint32(r)+1)
}

// GroupEntry is one group, and what the asker is in it. Members and Epoch are 0 for who may not know them.
type GroupEntry struct {
	Group   shoal.Group
	Owner   string // "" of shoal.Public alone
	Role    Role
	Members uint32 // how many, the owner being one
	Epoch   uint64
	Grace   uint32 // seconds
}

// GroupsReply is a part of the groups.
type GroupsReply struct {
	Revision uint64
	Entries  []GroupEntry
	More     bool
}

// MembersWhich says who is asked for.
type MembersWhich uint32

// The two lists of a group.
const (
	MembersIn     MembersWhich = 1 // those who are in it, the owner being one
	MembersAsking MembersWhich = 2 // those who ask to be let in
)

func (w MembersWhich) String() string { return verbName([]string{"in", "asking"}, uint32(w)) }

// Members asks for at most Limit users of a group after After ("" is the beginning), in the order of their names' bytes.
type Members struct {
	Group shoal.Group
	Which MembersWhich
	After string
	Limit uint32
}

// MemberEntry is one user, and since when, in milliseconds since 1970 UTC.
type MemberEntry struct {
	User  string
	Since int64
}

// MembersReply is a part of the users.
type MembersReply struct {
	Revision uint64
	Entries  []MemberEntry
	More     bool
}

// Invite lets one who knows a code register and be in the group from then on. Expires is in milliseconds since 1970 UTC.
type Invite struct {
	Sequence uint64
	Group    shoal.Group
	CodeHash [32]byte // SHA-256 of the code
	Expires  int64
}

// StopShare says that the copies of the asker's devices are not offered any more.
type StopShare struct {
	Sequence uint64
	Group    shoal.Group
	Name     shoal.Name
	File     shoal.FileID
}

func (m *GroupChange) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendUint32(b, uint32(m.Verb))
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendString(b, m.User)
	return xdr.AppendUint32(b, m.Grace)
}

func (m *GroupChange) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Verb = GroupVerb(enum(d, "group_verb", uint32(TransferGroup)))
	m.Group = group(d)
	m.User = label(d, MaxUsername)
	m.Grace = d.Uint32()
	switch {
	case d.Err() != nil:
	case m.Verb.NamesUser() != (m.User != ""):
		check(d, "G1", fmt.Errorf("the verb %v with the user %q", m.Verb, m.User))
	case m.Grace > MaxGrace || m.Verb != CreateGroup && m.Grace != 0:
		check(d, "G1", fmt.Errorf("the verb %v with a grace of %d seconds", m.Verb, m.Grace))
	}
}

func (m *Groups) Append(b []byte) []byte {
	return xdr.AppendUint32(xdr.AppendString(b, m.After), m.Limit)
}

func (m *Groups) decode(d *xdr.Decoder) {
	m.After = label(d, shoal.MaxGroup)
	m.Limit = listLimit(d)
}

func (m *GroupsReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint64(b, m.Revision), uint32(len(m.Entries)))
	for i := range m.Entries {
		e := &m.Entries[i]
		b = xdr.AppendString(b, e.Group)
		b = xdr.AppendString(b, e.Owner)
		b = xdr.AppendUint32(b, uint32(e.Role))
		b = xdr.AppendUint32(b, e.Members)
		b = xdr.AppendUint64(b, e.Epoch)
		b = xdr.AppendUint32(b, e.Grace)
	}
	return xdr.AppendBool(b, m.More)
}

func (m *GroupsReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]GroupEntry, d.Count(MaxList, 2*minLabel+4+4+8+4))
	for i := range m.Entries {
		m.Entries[i] = GroupEntry{
			group(d), label(d, MaxUsername), Role(enumFrom(d, "group_role", 0, uint32(RoleOwner))), d.Uint32(), d.Uint64(), d.Uint32(),
		}
		switch e := &m.Entries[i]; {
		case d.Err() != nil:
		case e.Owner == "" && e.Group != shoal.Public:
			check(d, "X3", fmt.Errorf("the group %q without an owner", e.Group))
		case e.Group == shoal.Public && (e.Owner != "" || e.Role == RoleOwner):
			check(d, "G10", fmt.Errorf("the group %q with an owner", e.Group))
		}
	}
	m.More = d.Bool()
}

func (m *Members) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendUint32(b, uint32(m.Which))
	b = xdr.AppendString(b, m.After)
	return xdr.AppendUint32(b, m.Limit)
}

func (m *Members) decode(d *xdr.Decoder) {
	m.Group = group(d)
	m.Which = MembersWhich(enum(d, "members_which", uint32(MembersAsking)))
	m.After = label(d, MaxUsername)
	m.Limit = listLimit(d)
}

func (m *MembersReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(xdr.AppendUint64(b, m.Revision), uint32(len(m.Entries)))
	for i := range m.Entries {
		b = xdr.AppendInt64(xdr.AppendString(b, m.Entries[i].User), m.Entries[i].Since)
	}
	return xdr.AppendBool(b, m.More)
}

func (m *MembersReply) decode(d *xdr.Decoder) {
	m.Revision = d.Uint64()
	m.Entries = make([]MemberEntry, d.Count(MaxList, minLabel+8))
	for i := range m.Entries {
		m.Entries[i] = MemberEntry{user(d), d.Int64()}
	}
	m.More = d.Bool()
}

func (m *Invite) Append(b []byte) []byte {
	b = xdr.AppendUint64(b, m.Sequence)
	b = xdr.AppendString(b, m.Group)
	b = xdr.AppendFixed(b, m.CodeHash[:])
	return xdr.AppendInt64(b, m.Expires)
}

func (m *Invite) decode(d *xdr.Decoder) {
	m.Sequence = d.Uint64()
	m.Group = group(d)
	copy(m.CodeHash[:], d.Fixed(len(m.CodeHash)))
	m.Expires = d.Int64()
	if m.CodeHash == [32]byte{} {
		check(d, "G6", errors.New("no hash of a code"))
	}
}

func (m *StopShare) Append(b []byte) []byte { return (*Unpublish)(m).Append(b) }
func (m *StopShare) decode(d *xdr.Decoder)  { (*Unpublish)(m).decode(d) }
