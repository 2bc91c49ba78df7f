package tracker

import (
	"bytes"
	"context"

	"shoal"
	"shoal/wire"
)

// secretly sends what nobody but the server may read: over TLS, or not at all (rule A2).
func (t *Tracker) secretly(ctx context.Context, kind wire.Kind, m, reply wire.Message) error {
	if t.config.Transport.Security != wire.TLS {
		return shoal.Errorf(shoal.Denied, "passwords and codes are not sent over a plaintext connection; leave --plaintext away, here and at the server")
	}
	return t.call(ctx, kind, m, reply)
}

// Register makes a user and enrols this device as the user's. code is the first user's or an invite's; the group that
// the invite is for is returned, "" for none. Errors have the code Denied for a code that does not count, or where one is
// needed; Exists for a name that is taken, or a device that is enrolled already.
func (t *Tracker) Register(ctx context.Context, user string, password, code []byte, label string) (shoal.Group, error) {
	var reply wire.RegisterReply
	m := wire.Register{User: user, Password: password, Code: code, Label: label}
	err := t.secretly(ctx, wire.KindRegister, &m, &reply)
	return reply.Group, err
}

// Login enrols this device as a user's. Errors have the code Denied for a wrong password or user, Limit for too many
// attempts, Exists where the device is another user's.
func (t *Tracker) Login(ctx context.Context, user string, password []byte, label string) error {
	m := wire.Login{User: user, Password: password, Label: label}
	return t.secretly(ctx, wire.KindLogin, &m, &wire.MutationReply{})
}

// ChangePassword replaces the password of this device's user, which is was up to then. The devices stay enrolled. Errors
// have the code Denied where was is wrong, Limit for too many attempts.
func (t *Tracker) ChangePassword(ctx context.Context, was, password []byte) error {
	m := wire.PasswordChange{Was: was, Password: password}
	return t.secretly(ctx, wire.KindPassword, &m, &wire.MutationReply{})
}

// Logout ends this device's enrolment.
func (t *Tracker) Logout(ctx context.Context) error {
	return t.call(ctx, wire.KindLogout, &wire.Logout{}, &wire.MutationReply{})
}

// Whoami returns what this device is enrolled as. The error has code Denied where it is nobody's.
func (t *Tracker) Whoami(ctx context.Context) (*wire.WhoamiReply, error) {
	reply := new(wire.WhoamiReply)
	return reply, t.call(ctx, wire.KindWhoami, &wire.Whoami{}, reply)
}

// Users returns all users, in the order of their names' bytes.
func (t *Tracker) Users(ctx context.Context) ([]wire.UserEntry, error) {
	return collect(func(after string) ([]wire.UserEntry, bool, error) {
		var page wire.UsersReply
		err := t.call(ctx, wire.KindUsers, &wire.Users{After: after, Limit: wire.MaxList}, &page)
		return page.Entries, page.More, err
	}, func(e *wire.UserEntry) string { return e.User })
}

// Devices returns a user's devices; "" stands for this device's user.
func (t *Tracker) Devices(ctx context.Context, user string) ([]wire.DeviceEntry, error) {
	var reply wire.DevicesReply
	err := t.call(ctx, wire.KindDevices, &wire.Devices{User: user}, &reply)
	return reply.Entries, err
}

// DeleteUser deletes a user with all devices. The error has code Denied where the user owns a group, or is another one.
func (t *Tracker) DeleteUser(ctx context.Context, user string) error {
	return t.account(ctx, wire.Account{Verb: wire.DeleteUser, User: user})
}

// RevokeDevice ends a device's enrolment.
func (t *Tracker) RevokeDevice(ctx context.Context, device shoal.DeviceID) error {
	return t.account(ctx, wire.Account{Verb: wire.RevokeDevice, Device: device})
}

func (t *Tracker) account(ctx context.Context, m wire.Account) error {
	return t.call(ctx, wire.KindAccount, &m, &wire.MutationReply{})
}

// ChangeGroup carries out a verb on a group; user is "" but where the verb names one.
func (t *Tracker) ChangeGroup(ctx context.Context, verb wire.GroupVerb, group shoal.Group, user string) error {
	m := wire.GroupChange{Verb: verb, Group: group, User: user}
	return t.call(ctx, wire.KindGroup, &m, &wire.MutationReply{})
}

// CreateGroup makes a group that this device's user owns, whose transfers go on without a server for grace seconds.
func (t *Tracker) CreateGroup(ctx context.Context, group shoal.Group, grace uint32) error {
	m := wire.GroupChange{Verb: wire.CreateGroup, Group: group, Grace: grace}
	return t.call(ctx, wire.KindGroup, &m, &wire.MutationReply{})
}

// Groups returns all groups that this device's user may know of, in the order of their names' bytes.
func (t *Tracker) Groups(ctx context.Context) ([]wire.GroupEntry, error) {
	return collect(func(after string) ([]wire.GroupEntry, bool, error) {
		var page wire.GroupsReply
		err := t.call(ctx, wire.KindGroups, &wire.Groups{After: after, Limit: wire.MaxList}, &page)
		return page.Entries, page.More, err
	}, func(e *wire.GroupEntry) string { return string(e.Group) })
}

// Members returns all who are in a group, or ask to be, in the order of their names' bytes.
func (t *Tracker) Members(ctx context.Context, group shoal.Group, which wire.MembersWhich) ([]wire.MemberEntry, error) {
	return collect(func(after string) ([]wire.MemberEntry, bool, error) {
		var page wire.MembersReply
		err := t.call(ctx, wire.KindMembers, &wire.Members{Group: group, Which: which, After: after, Limit: wire.MaxList}, &page)
		return page.Entries, page.More, err
	}, func(e *wire.MemberEntry) string { return e.User })
}

// collect asks for page after page of a list in the order of its names' bytes.
func collect[E any](ask func(after string) (page []E, more bool, err error), name func(*E) string) ([]E, error) {
	var all []E
	for after := ""; ; {
		page, more, err := ask(after)
		if err != nil {
			return nil, err
		}
		for i := range page {
			next := name(&page[i])
			if next <= after {
				return nil, shoal.Errorf(shoal.Untrusted, "the server lists %q after %q (rule S4)", next, after)
			}
			after = next
		}
		all = append(all, page...)
		if !more || len(page) == 0 {
			return all, nil
		}
	}
}

// Reports returns the devices that are reported in a group, for its owner: the first 1,000, and whether there are more.
func (t *Tracker) Reports(ctx context.Context, group shoal.Group) (reported []wire.Reported, more bool, err error) {
	var reply wire.ReportsReply
	err = t.call(ctx, wire.KindReports, &wire.Reports{Group: group}, &reply)
	return reply.Entries, reply.More, err
}

// Invite lets one who knows the code with this SHA-256 register and be in the group, until expires, in milliseconds
// since 1970 UTC. Like the code itself, it goes over TLS only.
func (t *Tracker) Invite(ctx context.Context, group shoal.Group, codeHash [32]byte, expires int64) error {
	m := wire.Invite{Group: group, CodeHash: codeHash, Expires: expires}
	return t.secretly(ctx, wire.KindInvite, &m, &wire.MutationReply{})
}

// StopShare says that no copy of this device's user is offered any more of what name stands for, which is file.
func (t *Tracker) StopShare(ctx context.Context, group shoal.Group, name shoal.Name, file shoal.FileID) error {
	m := wire.StopShare{Group: group, Name: name, File: file}
	return t.call(ctx, wire.KindStopShare, &m, &wire.MutationReply{})
}

// Ticket returns a fresh ticket of the group for this device, which nobody has verified yet. The error has code NotFound
// where its user is not in the group.
func (t *Tracker) Ticket(ctx context.Context, group shoal.Group) ([]byte, error) {
	var reply wire.TicketReply
	err := t.call(ctx, wire.KindTicket, &wire.TicketRequest{Group: group}, &reply)
	return reply.Ticket, err
}

// Events are what a server tells by itself. They are called in the order in which it does, and must not wait for it; nil
// ones are passed over.
type Events struct {
	Epoch   func(*wire.Epoch)
	Gone    func(*wire.Gone)
	Revoked func(chain []byte) // not verified
	// Denied is called when the server will not hear of what this device offers: it is not, or not any more, a user's.
	Denied func()
}

// event hands on what the server tells. Anything else ends the connection (rule F6).
func (t *Tracker) event(f wire.Frame) error {
	switch events := &t.config.Events; f.Kind {
	case wire.KindEpoch:
		return tell(f, events.Epoch)
	case wire.KindGone:
		return tell(f, events.Gone)
	case wire.KindRevoked:
		return tell(f, func(m *wire.Revocation) {
			if events.Revoked != nil {
				events.Revoked(bytes.Clone(m.Chain))
			}
		})
	}
	return shoal.Errorf(shoal.BadRequest, "%v from a server (rule F6)", f.Header)
}

func tell[M any, P interface {
	*M
	wire.Message
}](f wire.Frame, to func(P)) error {
	m := P(new(M))
	err := wire.Decode(f.Body, m)
	if err == nil && to != nil {
		to(m)
	}
	return err
}
