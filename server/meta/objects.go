package meta

import (
	"slices"

	"shoal"
	"shoal/xdr"
)

// MaxNames is about how many names a group can have.
const MaxNames = 250_000

// Publish makes a name stand for an object in a group, and says that the asker's copies of it are offered; for members.
// Where the name stands for that already, Mirrors, if there are any, take the place of those that it has: for its publisher
// and who presides over the group. The error's code is Denied, NotFound, NameTaken (it stands for something else, which the
// outcome tells) or Limit.
type Publish struct {
	Group    shoal.Group
	Name     shoal.Name
	Content  shoal.Object
	Mirrors  []shoal.Mirror
	Manifest []byte // that belongs to Mirrors, verified; none where it is too long to be kept
}

func (m *Publish) check() error {
	return first(checkGroup(m.Group), checkName(m.Name), m.Content.Check(), m.checkMirrors())
}

func (m *Publish) append(b []byte) []byte {
	b = xdr.AppendString(xdr.AppendString(b, m.Group), m.Name)
	b = xdr.AppendInt64(xdr.AppendFixed(b, m.Content.ID[:]), m.Content.Size)
	if len(m.Mirrors) > 0 { // what was asked before there were any has the same digest as ever
		b = xdr.AppendOpaque(appendMirrors(b, m.Mirrors), m.Manifest)
	}
	return b
}

func (m *Publish) decide(t *transaction) error {
	user, err := t.member(m.Group)
	if err != nil {
		return err
	}
	o := &Object{Group: m.Group, Name: m.Name}
	t.expectAbsent(o.key())
	there := t.load(o)
	switch {
	case !there:
		if t.names(m.Group) >= t.s.maxNames {
			return shoal.Errorf(shoal.Limit, "the group %q has %d names, and more are not possible; unpublish what is not needed any more", m.Group, t.s.maxNames)
		}
		o.Content, o.Publisher, o.Device, o.Published, o.Shared = m.Content, user, t.id.Device, t.now, true
		if err := m.mirror(t, o, user); err != nil {
			return err
		}
		t.put(o)
		return nil
	case o.Content != m.Content:
		t.outcome.Stands = o.Content
		return shoal.Errorf(shoal.NameTaken, "the name %q stands for %v (%d bytes), not for %v (%d bytes): "+
			"publish under another name, or unpublish the one that is there first", m.Name, o.Content.ID, o.Content.Size, m.Content.ID, m.Content.Size)
	}
	return m.again(t, o, user)
}

// again publishes what the name stands for already.
func (m *Publish) again(t *transaction, o *Object, user Username) error {
	before := *o
	switch {
	case o.Publisher != user && !t.has(userKey(o.Publisher)):
		o.Publisher, o.Device, o.Published, o.Shared = user, t.id.Device, t.now, true // in the place of who was deleted
	case o.Publisher != user:
		share := &Share{Group: m.Group, Name: m.Name, User: user}
		if !t.load(share) {
			t.put(share)
		}
	default:
		o.Shared = true
	}
	if err := m.mirror(t, o, user); err != nil {
		return err
	}
	if o.Publisher != before.Publisher || o.Shared != before.Shared || !slices.Equal(o.Mirrors, before.Mirrors) {
		t.put(o)
	}
	return nil
}

// Unpublish takes a name away from the file it stands for, for its publisher or the group's owner; in shoal.Public, which
// nobody owns, for an admin. The error's code is Denied or NotFound.
type Unpublish struct {
	Group shoal.Group
	Name  shoal.Name
	File  shoal.FileID
}

func (m *Unpublish) check() error {
	if m.File == (shoal.FileID{}) {
		return shoal.Errorf(shoal.BadRequest, "the FileID of what is to be unpublished is missing")
	}
	return first(checkGroup(m.Group), checkName(m.Name))
}

func (m *Unpublish) append(b []byte) []byte {
	return xdr.AppendFixed(xdr.AppendString(xdr.AppendString(b, m.Group), m.Name), m.File[:])
}

func (m *Unpublish) decide(t *transaction) error {
	o, user, err := t.published(m.Group, m.Name, m.File)
	if err != nil {
		return err
	}
	if o.Publisher != user && !t.presides(user, m.Group) {
		return shoal.Errorf(shoal.Denied, "only its publisher, %q, and %s may unpublish %q; "+
			"shoal stop-share ends the sharing of your own copies", o.Publisher, whoPresides(m.Group), m.Name)
	}
	t.unpublish(o)
	return nil
}

// presides reports whether a user decides on what others publish in a group.
func (t *transaction) presides(u Username, in shoal.Group) bool {
	if in == shoal.Public {
		user := &User{Name: u}
		return t.load(user) && user.Admin
	}
	g := &Group{Name: in}
	return t.load(g) && g.Owner == u
}

func (t *transaction) unpublish(o *Object) {
	t.delete(o.key())
	t.deleteAll(shareKey(o.Group, o.Name, ""))
	if len(o.Mirrors) > 0 {
		t.delete(manifestKey(o.Group, o.Name))
	}
}

// StopShare says that the asker's copies of what a name stands for are offered no longer. The name goes when no member's
// copies are. The error's code is Denied or NotFound.
type StopShare struct {
	Group shoal.Group
	Name  shoal.Name
	File  shoal.FileID // zero for whatever the name stands for
}

func (m *StopShare) check() error { return first(checkGroup(m.Group), checkName(m.Name)) }

func (m *StopShare) append(b []byte) []byte {
	return xdr.AppendFixed(xdr.AppendString(xdr.AppendString(b, m.Group), m.Name), m.File[:])
}

func (m *StopShare) decide(t *transaction) error {
	o, user, err := t.published(m.Group, m.Name, m.File)
	if err != nil {
		return err
	}
	own := shareKey(m.Group, m.Name, user)
	byPublisher := o.Publisher == user && o.Shared
	if !byPublisher && !t.has(own) {
		return shoal.Errorf(shoal.NotFound, "you do not share %q in the group %q", m.Name, m.Group)
	}
	t.endShare(o, user)
	return nil
}

// endShare says that a user's copies of o are not offered any more. o goes when no member's are.
func (t *transaction) endShare(o *Object, user Username) {
	byPublisher := o.Publisher == user && o.Shared
	if byPublisher {
		o.Shared = false
	}
	if !t.othersShare(o, user) {
		t.unpublish(o)
		return
	}
	if byPublisher {
		t.put(o)
	}
	if own := shareKey(o.Group, o.Name, user); t.has(own) { // which a publisher has who took the place of another one
		t.delete(own)
	}
}

// othersShare reports whether a member other than the user offers copies of o.
func (t *transaction) othersShare(o *Object, user Username) bool {
	if o.Shared && t.isMember(o.Group, o.Publisher) {
		return true
	}
	prefix := shareKey(o.Group, o.Name, "")
	for _, k := range t.list(prefix) {
		if u := Username(k[len(prefix):]); u != user && t.isMember(o.Group, u) {
			return true
		}
	}
	return false
}

// published returns the object of that content and name in a group, and the asker, who must be in it.
func (t *transaction) published(g shoal.Group, n shoal.Name, file shoal.FileID) (*Object, Username, error) {
	user, err := t.member(g)
	if err != nil {
		return nil, "", err
	}
	o := &Object{Group: g, Name: n}
	switch {
	case !t.load(o):
		return nil, "", shoal.Errorf(shoal.NotFound, "there is no %q in the group %q; shoal ls shows what there is", n, g)
	case file != (shoal.FileID{}) && o.Content.ID != file:
		t.outcome.Stands = o.Content
		return nil, "", shoal.Errorf(shoal.NotFound, "the name %q stands for %v, not for %v", n, o.Content.ID, file)
	}
	return o, user, nil
}
