package histories

import (
	"fmt"

	"shoal"
	"shoal/wire"
)

// Asked is a request, or a look at the state.
type Asked struct {
	By     shoal.DeviceID
	Holder bool // asked for by whoever holds the server's state folder, instead; Register and Account alone
	// What is a *wire.Register, Login, Logout, Account, GroupChange, Whoami, Devices (of oneself), Groups or Members; or a
	// Look or LookUser. Secrets and sequence numbers in it do not matter.
	What any
}

// Look sees a group as it is, whoever asks.
type Look struct{ Group shoal.Group }

// LookUser sees whether a user is there: the answer is NotFound, or none.
type LookUser struct{ User string }

// Answered is what comes back: an error's code, or what is seen, as the functions of this package tell it; "" of what
// changes something.
type Answered struct {
	Code shoal.Code // 0 for none
	Seen string
}

// Answer returns the right answer, and the state after it.
func (s State) Answer(a Asked) (Answered, State) {
	as := s.devices[a.By]
	switch m := a.What.(type) {
	case Look:
		return Answered{Seen: SeeGroup(s.groups[m.Group])}, s
	case LookUser:
		return only(s.noUser(m.User), s, s)
	case *wire.Register:
		return s.register(a, m.User)
	case *wire.Account:
		if a.Holder {
			return s.deleteUser(m.User)
		}
	case *wire.Login:
		return s.login(a.By, as, m.User)
	}
	if as == "" {
		return Answered{Code: shoal.Denied}, s
	}
	switch m := a.What.(type) {
	case *wire.Account:
		return s.account(as, m)
	case *wire.Logout:
		return only(0, s, s.revoke(a.By))
	case *wire.GroupChange:
		code, g := s.groups[m.Group].change(as, m.Verb, m.User)
		return only(code, s, s.withGroup(m.Group, g))
	}
	return s.see(a, as), s
}

// only is an answer that shows nothing, and the state after it: next, if it is no error.
func only(code shoal.Code, s, next State) (Answered, State) {
	if code != 0 {
		next = s
	}
	return Answered{Code: code}, next
}

func (s State) noUser(user string) shoal.Code {
	if s.users[user] {
		return 0
	}
	return shoal.NotFound
}

func (s State) register(a Asked, user string) (Answered, State) {
	_, known := s.users[user]
	switch {
	case known, !a.Holder && s.devices[a.By] != "":
		return Answered{Code: shoal.Exists}, s
	case a.Holder:
		return Answered{}, s.withUser(user, true)
	}
	return Answered{}, s.Enrol(user, a.By)
}

func (s State) login(by shoal.DeviceID, as, user string) (Answered, State) {
	switch {
	case as != "" && as != user:
		return Answered{Code: shoal.Exists}, s
	case !s.users[user]:
		return Answered{Code: shoal.Denied}, s
	}
	return Answered{}, s.Enrol(user, by)
}

func (s State) account(as string, m *wire.Account) (Answered, State) {
	switch {
	case m.Verb == wire.DeleteUser && m.User != as:
		return Answered{Code: shoal.Denied}, s
	case m.Verb == wire.DeleteUser:
		return s.deleteUser(as)
	case s.devices[m.Device] != as:
		return Answered{Code: shoal.NotFound}, s
	}
	return Answered{}, s.revoke(m.Device)
}

// revoke ends a device's enrolment, and raises the epochs of its user's groups.
func (s State) revoke(d shoal.DeviceID) State {
	user := s.devices[d]
	s = s.withDevice(d, "")
	for name, g := range s.groups {
		if has(g.Members, user) {
			g.Epoch++
			s = s.withGroup(name, g)
		}
	}
	return s
}

func (s State) deleteUser(user string) (Answered, State) {
	if code := s.noUser(user); code != 0 {
		return Answered{Code: code}, s
	}
	next := s.withUser(user, false)
	for d, of := range s.devices {
		if of == user {
			next = next.withDevice(d, "")
		}
	}
	for name, g := range s.groups {
		switch {
		case g.Owner == user:
			return Answered{Code: shoal.Denied}, s
		case has(g.Members, user):
			g.Members = without(g.Members, user)
			g.Epoch++
			next = next.withGroup(name, g)
		case has(g.Requests, user):
			g.Requests = without(g.Requests, user)
			next = next.withGroup(name, g)
		}
	}
	return Answered{}, next
}

// see is the answer to one who only looks.
func (s State) see(a Asked, as string) Answered {
	switch m := a.What.(type) {
	case *wire.Whoami:
		return Answered{Seen: as}
	case *wire.Devices:
		return Answered{Seen: s.devicesOf(as)}
	case *wire.Groups:
		return Answered{Seen: s.groupsOf(as)}
	case *wire.Members:
		g := s.groups[m.Group]
		switch {
		case !has(g.Members, as):
			return Answered{Code: shoal.NotFound}
		case m.Which == wire.MembersIn:
			return Answered{Seen: g.Members}
		case g.Owner != as:
			return Answered{Code: shoal.Denied}
		}
		return Answered{Seen: g.Requests}
	}
	panic(fmt.Sprintf("the model does not know %T", a.What))
}
