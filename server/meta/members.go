package meta

import (
	"shoal"
	"shoal/xdr"
)

// RequestJoin asks a group's owner to be let in. Asking again changes nothing. The error's code is Denied, NotFound,
// Exists (a member already) or Limit (MaxPlaces).
type RequestJoin struct{ Group shoal.Group }

func (m *RequestJoin) check() error           { return checkGroup(m.Group) }
func (m *RequestJoin) append(b []byte) []byte { return xdr.AppendString(b, m.Group) }

func (m *RequestJoin) decide(t *transaction) error {
	user, err := t.actor()
	if err != nil {
		return err
	}
	if m.Group != shoal.Public && !t.load(&Group{Name: m.Group}) {
		return shoal.Errorf(shoal.NotFound, "there is no group %q", m.Group)
	}
	if t.isMember(m.Group, user) {
		return shoal.Errorf(shoal.Exists, "you are in the group %q already", m.Group)
	}
	request := &JoinRequest{Group: m.Group, User: user}
	if t.load(request) {
		return nil
	}
	if err := t.room(user); err != nil {
		return err
	}
	request.Since = t.now
	t.put(request)
	t.place(user, m.Group)
	return nil
}

// LeaveGroup takes the asker out of a group and raises its epoch, or takes a request to join back. The error's code is
// Denied (also for the owner) or NotFound.
type LeaveGroup struct{ Group shoal.Group }

func (m *LeaveGroup) check() error           { return checkGroup(m.Group) }
func (m *LeaveGroup) append(b []byte) []byte { return xdr.AppendString(b, m.Group) }

func (m *LeaveGroup) decide(t *transaction) error {
	user, err := t.actor()
	if err != nil {
		return err
	}
	if m.Group == shoal.Public {
		return shoal.Errorf(shoal.Denied, "every user is in the group %q, for as long as there is the user", m.Group)
	}
	if request := requestKey(m.Group, user); t.has(request) {
		t.delete(request)
		t.unplace(user, m.Group)
		return nil
	}
	g := &Group{Name: m.Group}
	if !t.has(memberKey(m.Group, user)) || !t.load(g) {
		return noGroup(m.Group)
	}
	if g.Owner == user {
		return shoal.Errorf(shoal.Denied, "you own the group %q; transfer it to another member (shoal group transfer) or delete it first", m.Group)
	}
	t.expel(g, user)
	return nil
}

// AcceptRequest makes a user who asked for it a member, for the owner. The error's code is Denied or NotFound.
type AcceptRequest struct {
	Group shoal.Group
	User  Username
}

func (m *AcceptRequest) check() error { return first(checkGroup(m.Group), checkUser(m.User)) }
func (m *AcceptRequest) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendString(b, m.Group), m.User)
}

func (m *AcceptRequest) decide(t *transaction) error {
	if err := t.takeRequest(m.Group, m.User); err != nil {
		return err
	}
	t.put(&Member{Group: m.Group, User: m.User, Since: t.now})
	return nil
}

// RejectRequest takes a user's request to join away, for the owner. The error's code is Denied or NotFound.
type RejectRequest struct {
	Group shoal.Group
	User  Username
}

func (m *RejectRequest) check() error { return first(checkGroup(m.Group), checkUser(m.User)) }
func (m *RejectRequest) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendString(b, m.Group), m.User)
}

func (m *RejectRequest) decide(t *transaction) error {
	if err := t.takeRequest(m.Group, m.User); err != nil {
		return err
	}
	t.unplace(m.User, m.Group)
	return nil
}

// takeRequest takes a user's request to join away; the asker must own the group.
func (t *transaction) takeRequest(g shoal.Group, u Username) error {
	if _, _, err := t.owned(g); err != nil {
		return err
	}
	request := requestKey(g, u)
	if !t.has(request) {
		return noRequest(g, u)
	}
	t.delete(request)
	return nil
}

// RemoveMember takes a member out of a group and raises its epoch, for the owner. The error's code is Denied (also for
// the owner's own membership) or NotFound.
type RemoveMember struct {
	Group shoal.Group
	User  Username
}

func (m *RemoveMember) check() error { return first(checkGroup(m.Group), checkUser(m.User)) }
func (m *RemoveMember) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendString(b, m.Group), m.User)
}

func (m *RemoveMember) decide(t *transaction) error {
	g, owner, err := t.owned(m.Group)
	switch {
	case err != nil:
		return err
	case m.User == owner:
		return shoal.Errorf(shoal.Denied, "you own the group %q; transfer it to another member (shoal group transfer) or delete it", m.Group)
	case !t.has(memberKey(m.Group, m.User)):
		return noMember(m.Group, m.User)
	}
	t.expel(g, m.User)
	return nil
}

// expel takes a member out of the group.
func (t *transaction) expel(g *Group, u Username) {
	t.delete(memberKey(g.Name, u))
	t.unplace(u, g.Name)
	t.raise(g)
}

// place notes that the user has something in the group; unplace, that there is nothing any more. places returns the
// groups that were noted, and makes the transaction fail if there is a new one when it is committed.
func (t *transaction) place(u Username, g shoal.Group) {
	t.putValue(placeKey(u, g), []byte{recordVersion})
}

func (t *transaction) unplace(u Username, g shoal.Group) { t.delete(placeKey(u, g)) }

func (t *transaction) places(u Username) (in []shoal.Group) {
	prefix := placeKey(u, "")
	for _, k := range t.list(prefix) {
		in = append(in, shoal.Group(k[len(prefix):]))
	}
	return in
}

func noRequest(g shoal.Group, u Username) error {
	return shoal.Errorf(shoal.NotFound, "%q does not ask to join the group %q; shoal group requests shows who does", u, g)
}
