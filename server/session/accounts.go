package session

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/server/registry"
	"shoal/wire"
)

// Registration says who may make a user, beside whoever has the code for the first one.
type Registration int

// The modes of registration.
const (
	ByInvite Registration = iota
	Open                  // everybody
	Closed                // nobody
)

// errPlaintext is what passwords and codes meet that come without encryption (rule A2).
var errPlaintext = shoal.Errorf(shoal.Denied, "passwords and invites are refused over plaintext; connect to a server with TLS")

// secure refuses to go on over plaintext.
func (s *Session) secure() error {
	if s.host.Responder.Transport.Security != wire.TLS {
		return errPlaintext
	}
	return nil
}

// register answers REGISTER.
func (s *Session) register(ctx context.Context, m *wire.Register) (reply *wire.RegisterReply, err error) {
	defer func(begin time.Time) { s.audit("register", m.User, shoal.Object{}, begin, err) }(time.Now())
	defer clear(m.Password)
	defer clear(m.Code)
	if err := s.secure(); err != nil {
		return nil, err
	}
	if err := passwords.CheckRules(m.Password); err != nil {
		return nil, err
	}
	user := &meta.CreateUser{User: meta.Username(m.User), Label: m.Label}
	var code [32]byte
	if len(m.Code) > 0 {
		typed, err := identity.ParseCode(string(m.Code))
		if err != nil {
			return nil, err
		}
		code = typed.Hash()
	}
	if err := s.mayRegister(user, code); err != nil {
		if who, _ := s.host.Registry.Who(s.device); who.User != "" {
			err = alreadyIn(who.User)
		}
		return nil, err
	}
	if user.Password, err = s.host.Passwords.Hash(ctx, s.address(), m.Password); err != nil {
		return nil, err
	}
	return s.create(ctx, m.Sequence, user, code)
}

// mayRegister says by what the user would be made, or refuses what cannot be.
func (s *Session) mayRegister(user *meta.CreateUser, code [32]byte) error {
	realm := s.host.Registry.Realm()
	switch {
	case code != [32]byte{} && !realm.Settled && realm.FirstCode == code: // of hashes, whose comparison tells nothing
		user.FirstCode = code
	case code != [32]byte{}:
		user.Invite = code // or the first user's code, asked about again
	case !realm.Settled:
		return shoal.Errorf(shoal.Denied, "the first user needs the code that the server printed when it was started")
	case s.host.Registration == Open:
		user.Open = true
	case s.host.Registration == Closed:
		return errClosed
	default:
		return shoal.Errorf(shoal.Denied, "a new user needs an invite here; ask a group's owner for one (shoal invite GROUP)")
	}
	return nil
}

var errClosed = shoal.Errorf(shoal.Denied, "this server takes no new users; ask whoever runs it")

// create makes the user. Of a device that is enrolled, only what was asked before is answered (rules S1 and A6).
func (s *Session) create(ctx context.Context, sequence uint64, user *meta.CreateUser, code [32]byte) (*wire.RegisterReply, error) {
	enrolled, _ := s.host.Registry.Who(s.device)
	if user.Invite != [32]byte{} && s.host.Registration == Closed && enrolled.User == "" {
		return nil, errClosed
	}
	o, err := s.mutate(ctx, sequence, user)
	if errors.Is(err, shoal.BadRequest) && user.Invite != [32]byte{} {
		user.Invite, user.FirstCode = [32]byte{}, code
		o, err = s.mutate(ctx, sequence, user)
	}
	if errors.Is(err, shoal.Denied) && enrolled.User != "" {
		err = alreadyIn(enrolled.User)
	}
	return &wire.RegisterReply{Revision: o.Revision, Group: o.Group}, err
}

func alreadyIn(as meta.Username) error {
	return shoal.Errorf(shoal.Exists, "this device is logged in as %q; log out first", as)
}

// login answers LOGIN.
func (s *Session) login(ctx context.Context, m *wire.Login) (reply *wire.MutationReply, err error) {
	defer func(begin time.Time) { s.audit("login", m.User, shoal.Object{}, begin, err) }(time.Now())
	defer clear(m.Password)
	if err := s.secure(); err != nil {
		return nil, err
	}
	name := meta.Username(m.User)
	if who, _ := s.host.Registry.Who(s.device); who.User != "" && who.User != name {
		return nil, alreadyIn(who.User)
	}
	for tries := 1; ; tries++ {
		o, err := s.enrol(ctx, m)
		if errors.Is(err, errOvertaken) && tries < loginTries {
			continue
		}
		return s.changed(o, err)
	}
}

// loginTries is how often a login is tried whose password is right, while others replace its hash.
const loginTries = 3

// errOvertaken is the end of a login whose password was right, and whose hash another one replaced meanwhile.
var errOvertaken = shoal.Errorf(shoal.Denied, "the password was changed just now; try again")

// enrol checks a password and makes the device its user's. A hash that was made with other parameters than those of today
// is replaced.
func (s *Session) enrol(ctx context.Context, m *wire.Login) (meta.Outcome, error) {
	name := meta.Username(m.User)
	stored := s.host.Registry.Password(name)
	err := s.host.Passwords.Check(ctx, passwords.Attempt{From: s.address(), User: m.User, Password: m.Password, Stored: stored})
	if err != nil {
		return meta.Outcome{}, err
	}
	device := &meta.EnrolDevice{User: name, Label: m.Label, Password: stored}
	if passwords.Outdated(stored) {
		if device.Rehashed, err = s.host.Passwords.Hash(ctx, s.address(), m.Password); err != nil {
			s.log.Warn().Err(err).Msg("an outdated hash of a password stays for now")
		}
	}
	o, err := s.mutate(ctx, m.Sequence, device)
	if errors.Is(err, shoal.Denied) {
		err = errOvertaken
	}
	return o, err
}

// password answers PASSWORD.
func (s *Session) password(ctx context.Context, m *wire.PasswordChange) (reply *wire.MutationReply, err error) {
	defer func(begin time.Time) { s.audit("password", "", shoal.Object{}, begin, err) }(time.Now())
	defer clear(m.Was)
	defer clear(m.Password)
	if err := s.secure(); err != nil {
		return nil, err
	}
	who, _ := s.host.Registry.Who(s.device)
	if who.User == "" {
		return nil, meta.NotLoggedIn
	}
	if err := passwords.CheckRules(m.Password); err != nil {
		return nil, err
	}
	change := &meta.SetPassword{Was: s.host.Registry.Password(who.User)}
	wrong := s.host.Passwords.Check(ctx, passwords.Attempt{
		From: s.address(), User: string(who.User), Password: m.Was, Stored: change.Was,
	})
	switch {
	case errors.Is(wrong, shoal.Denied):
		// Unless this was asked before and has been done: then it is answered as it was (rule S1).
		change.Was, change.Password = meta.WrongPassword, meta.WrongPassword
	case wrong != nil:
		return nil, wrong
	default:
		if change.Password, err = s.host.Passwords.Hash(ctx, s.address(), m.Password); err != nil {
			return nil, err
		}
	}
	return s.changed(s.mutate(ctx, m.Sequence, change))
}

// changed is the reply to a mutation.
func (s *Session) changed(o meta.Outcome, err error) (*wire.MutationReply, error) {
	return &wire.MutationReply{Revision: o.Revision}, err
}

// address is where the client's password comes from; the zero Addr where that is no address.
func (s *Session) address() netip.Addr {
	if tcp, ok := s.below.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

func (s *Session) logout(ctx context.Context, m *wire.Logout) (reply *wire.MutationReply, err error) {
	defer func(begin time.Time) { s.audit("logout", "", shoal.Object{}, begin, err) }(time.Now())
	return s.changed(s.mutate(ctx, m.Sequence, &meta.RevokeDevice{Device: s.device}))
}

// asUser is who asks, who must be logged in, in what is known by now.
func (s *Session) asUser(ctx context.Context) (registry.Who, uint64, error) {
	if err := s.upToDate(ctx); err != nil {
		return registry.Who{}, 0, err
	}
	who, revision := s.host.Registry.Who(s.device)
	if who.User == "" {
		return who, 0, meta.NotLoggedIn
	}
	return who, revision, nil
}

func (s *Session) whoami(ctx context.Context, _ *wire.Whoami) (*wire.WhoamiReply, error) {
	who, revision, err := s.asUser(ctx)
	if err != nil {
		return nil, err
	}
	return &wire.WhoamiReply{
		Revision: revision, User: string(who.User), Admin: who.Admin, Label: who.Label, Enrolled: who.Enrolled.UnixMilli(),
	}, nil
}

func (s *Session) users(ctx context.Context, m *wire.Users) (*wire.UsersReply, error) {
	if _, _, err := s.asUser(ctx); err != nil {
		return nil, err
	}
	revision, users, more := s.host.Registry.Users(meta.Username(m.After), int(m.Limit))
	reply := &wire.UsersReply{Revision: revision, More: more}
	for _, u := range users {
		reply.Entries = append(reply.Entries, wire.UserEntry{
			User: string(u.Name), Created: u.Created.UnixMilli(), Admin: u.Admin, Devices: uint32(len(u.Devices)),
		})
	}
	return reply, nil
}

func (s *Session) devices(ctx context.Context, m *wire.Devices) (*wire.DevicesReply, error) {
	who, _, err := s.asUser(ctx)
	if err != nil {
		return nil, err
	}
	of := meta.Username(m.User)
	switch {
	case of == "":
		of = who.User
	case of != who.User && !who.Admin:
		return nil, shoal.Errorf(shoal.Denied, "only the user %q or an admin may do this", of)
	}
	revision, devices, there := s.host.Registry.Devices(of)
	if !there {
		return nil, shoal.Errorf(shoal.NotFound, "there is no user %q", of)
	}
	reply := &wire.DevicesReply{Revision: revision}
	for _, d := range devices {
		reply.Entries = append(reply.Entries, wire.DeviceEntry{Device: d.ID, Label: d.Label, Enrolled: d.Enrolled.UnixMilli()})
	}
	return reply, nil
}

func (s *Session) account(ctx context.Context, m *wire.Account) (reply *wire.MutationReply, err error) {
	about := m.User
	var change meta.Mutation = &meta.DeleteUser{User: meta.Username(m.User)}
	if m.Verb == wire.RevokeDevice {
		about, change = m.Device.String(), &meta.RevokeDevice{Device: m.Device}
	}
	defer func(begin time.Time) { s.audit("account "+m.Verb.String(), about, shoal.Object{}, begin, err) }(time.Now())
	return s.changed(s.mutate(ctx, m.Sequence, change))
}
