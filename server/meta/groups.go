package meta

import (
	"time"

	"shoal"
	"shoal/xdr"
)

const (
	// MaxPlaces is how many groups a user can be in, or ask to be in.
	MaxPlaces = 1024
	// MaxGrace is the longest offline grace of a group.
	MaxGrace = 30 * 24 * time.Hour
)

// CreateGroup makes a group that the asker owns. The error's code is Denied, Exists or Limit (MaxPlaces).
type CreateGroup struct {
	Group shoal.Group
	Grace time.Duration // at most MaxGrace, in whole seconds
}

func (m *CreateGroup) check() error {
	if m.Grace < 0 || m.Grace > MaxGrace || m.Grace%time.Second != 0 {
		return shoal.Errorf(shoal.BadRequest, "an offline grace of %v is not possible; up to %v in whole seconds is", m.Grace, MaxGrace)
	}
	return checkGroup(m.Group)
}

func (m *CreateGroup) append(b []byte) []byte {
	return xdr.AppendInt64(xdr.AppendString(b, m.Group), int64(m.Grace))
}

func (m *CreateGroup) decide(t *transaction) error {
	user, err := t.actor()
	if err != nil {
		return err
	}
	if m.Group == shoal.Public || t.load(&Group{Name: m.Group}) {
		return shoal.Errorf(shoal.Exists, "there is a group %q; choose another name", m.Group)
	}
	if err := t.room(user); err != nil {
		return err
	}
	epoch := t.lastEpoch(m.Group) + 1
	t.put(&Group{Name: m.Group, Owner: user, Epoch: epoch, First: epoch, Created: t.now, Grace: m.Grace})
	t.put(&Member{Group: m.Group, User: user, Since: t.now})
	t.place(user, m.Group)
	t.outcome.Epoch = epoch
	return nil
}

// DeleteGroup takes a group away with all that is in it, for its owner. The error's code is Denied or NotFound.
type DeleteGroup struct{ Group shoal.Group }

func (m *DeleteGroup) check() error           { return checkGroup(m.Group) }
func (m *DeleteGroup) append(b []byte) []byte { return xdr.AppendString(b, m.Group) }

func (m *DeleteGroup) decide(t *transaction) error {
	g, _, err := t.owned(m.Group)
	if err != nil {
		return err
	}
	t.delete(g.key())
	for _, all := range [...]key{memberKey(m.Group, ""), requestKey(m.Group, ""), objectKey(m.Group, ""), key("s/" + m.Group + "/"), manifestKey(m.Group, "")} {
		t.deleteAll(all)
	}
	t.putValue(deletedGroupKey(m.Group), xdr.AppendUint64([]byte{recordVersion}, g.Epoch+1))
	t.outcome.Epoch = g.Epoch + 1
	return nil
}

// TransferGroup makes another member the owner, for the owner; the epoch is raised. The error's code is Denied or
// NotFound.
type TransferGroup struct {
	Group shoal.Group
	To    Username
}

func (m *TransferGroup) check() error { return first(checkGroup(m.Group), checkUser(m.To)) }
func (m *TransferGroup) append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendString(b, m.Group), m.To)
}

func (m *TransferGroup) decide(t *transaction) error {
	g, _, err := t.owned(m.Group)
	if err != nil {
		return err
	}
	if _, member := t.get(memberKey(m.Group, m.To)); !member {
		return noMember(m.Group, m.To)
	}
	if g.Owner != m.To {
		g.Owner = m.To
		t.raise(g)
	}
	return nil
}

// CreateInvite keeps the hash of a code that makes a user and a member of a group, for the group's owner. The error's
// code is Denied, NotFound or Exists (the code is in use).
type CreateInvite struct {
	Group   shoal.Group
	Hash    [32]byte // SHA-256 of the code
	Expires time.Time
}

func (m *CreateInvite) check() error {
	if m.Hash == [32]byte{} {
		return shoal.Errorf(shoal.BadRequest, "an invite needs the hash of a code")
	}
	return checkGroup(m.Group)
}

func (m *CreateInvite) append(b []byte) []byte {
	return xdr.AppendFixed(xdr.AppendString(b, m.Group), m.Hash[:])
}

func (m *CreateInvite) decide(t *transaction) error {
	g, user, err := t.owned(m.Group)
	if err != nil {
		return err
	}
	i := &Invite{Hash: m.Hash}
	if t.load(i) {
		return shoal.Errorf(shoal.Exists, "this invite is in use; make another one")
	}
	*i = Invite{Hash: m.Hash, Group: m.Group, By: user, Epoch: g.Epoch, Expires: m.Expires}
	t.put(i)
	return nil
}

// member returns the asker, who must be in the group.
func (t *transaction) member(g shoal.Group) (Username, error) {
	user, err := t.actor()
	if err != nil {
		return "", err
	}
	if g != shoal.Public && !t.has(memberKey(g, user)) { // who acts for a user is in shoal.Public
		return "", noGroup(g)
	}
	return user, nil
}

// isMember reports whether a user is in a group.
func (t *transaction) isMember(g shoal.Group, u Username) bool {
	if g == shoal.Public {
		return t.has(userKey(u))
	}
	return t.has(memberKey(g, u))
}

// owned returns the group and the asker, who must own it. To others than its members it is not there.
func (t *transaction) owned(name shoal.Group) (*Group, Username, error) {
	user, err := t.member(name)
	if err != nil {
		return nil, "", err
	}
	g := &Group{Name: name}
	switch {
	case name == shoal.Public:
		return nil, "", NotOwner(name, "")
	case !t.load(g):
		return nil, "", noGroup(name)
	case g.Owner != user:
		return nil, "", NotOwner(name, g.Owner)
	}
	return g, user, nil
}

// room refuses to let a user into more groups than MaxPlaces. Places left over from groups that were deleted go first.
func (t *transaction) room(u Username) error {
	in := t.places(u)
	if len(in) < t.s.maxPlaces {
		return nil
	}
	left := len(in)
	for _, g := range in {
		if !t.has(memberKey(g, u)) && !t.has(requestKey(g, u)) {
			t.unplace(u, g)
			left--
		}
	}
	if left >= t.s.maxPlaces {
		return shoal.Errorf(shoal.Limit, "the user %q is in %d groups, or asks to be, and more are not possible; leave one first", u, t.s.maxPlaces)
	}
	return nil
}

// raisePublic raises the epoch of shoal.Public, which is written down when that happens first.
func (t *transaction) raisePublic() {
	g := PublicGroup()
	t.load(g)
	t.raise(g)
}

// raise writes the group with its next epoch.
func (t *transaction) raise(g *Group) {
	g.Epoch++
	t.put(g)
	t.outcome.Epoch = g.Epoch
}

// lastEpoch returns the epoch at which an earlier group of that name was deleted, 0 where there was none.
func (t *transaction) lastEpoch(g shoal.Group) uint64 {
	k := deletedGroupKey(g)
	value, was := t.get(k)
	if !was {
		return 0
	}
	d, err := newDecoder(k, value)
	if err != nil {
		t.fail(err)
		return 0
	}
	epoch := d.Uint64()
	t.fail(d.finish(k))
	return epoch
}

func noMember(g shoal.Group, u Username) error {
	return shoal.Errorf(shoal.NotFound, "%q is not in the group %q; shoal group members shows who is", u, g)
}
