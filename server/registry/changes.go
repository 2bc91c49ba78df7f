package registry

import (
	"slices"

	"shoal"
	"shoal/server/meta"
)

// Why rights in a group ended, or a file is gone.
const (
	MemberGone Reason = iota + 1 // a member left, was removed or was deleted
	DeviceGone                   // a member's device may not act for its user any more
	OwnerChanged
	GroupGone
	FileGone     // no name stands for the file any more
	SharingEnded // copies of these devices are not to be offered any more
	KeyRevoked   // a key of the realm does not count any more, which concerns everybody
	RootReplaced // the realm has another root key, which concerns its servers
)

// Reason is one of the constants above.
type Reason int

// Change is something that ended: rights in a group, of which Epoch is the new epoch, the offering of a file in it, or
// what went through a key.
type Change struct {
	Reason  Reason
	Group   shoal.Group
	Epoch   uint64
	File    shoal.Object
	Key     [32]byte         // that was revoked
	Chain   []byte           // that says so
	Devices []shoal.DeviceID // whom it concerns: those of members, before and after
	All     bool             // it also concerns every device that acts for a user
}

// changes gathers what ends by events that are applied together.
type changes struct {
	raised  map[shoal.Group]Reason // groups whose epoch was raised
	left    map[shoal.Group][]shoal.DeviceID
	devices []*meta.Device // that are gone
	users   bool           // some are gone
	files   []Change
	groups  []Change
	keys    []Change
}

// before looks at an event that is about to be applied.
func (c *changes) before(s *state, e meta.Event) {
	switch r := e.Record.(type) {
	case *meta.Group:
		c.group(s, r, e.Deleted)
	case *meta.Member:
		if g := s.groups[r.Group]; e.Deleted && g != nil && g.members.has(r.User) {
			if c.left == nil {
				c.left = make(map[shoal.Group][]shoal.DeviceID)
			}
			c.left[r.Group] = append(c.left[r.Group], s.devicesOf(r.User)...)
		}
	case *meta.User:
		c.users = c.users || e.Deleted
	case *meta.Device:
		if d := s.devices[r.ID]; e.Deleted && d != nil {
			c.devices = append(c.devices, d)
		}
	case *meta.Object:
		c.object(s, r, e.Deleted)
	case *meta.Realm:
		c.keys = append(c.keys, s.realmReplaced(r)...)
	case *meta.Revocation:
		if !e.Deleted {
			c.keys = append(c.keys, revocations{r.Key: r}.begun(s.revoked)...)
		}
	case *meta.Share:
		c.share(s, r, e.Deleted)
	}
}

func (c *changes) group(s *state, r *meta.Group, deleted bool) {
	g := s.groups[r.Name]
	if g == nil || g.record == nil {
		return
	}
	switch {
	case deleted:
		c.groups = append(c.groups, Change{Reason: GroupGone, Group: r.Name, Epoch: g.record.Epoch + 1, Devices: s.devicesIn(g)})
	case r.Epoch > g.record.Epoch:
		if c.raised == nil {
			c.raised = make(map[shoal.Group]Reason)
		}
		reason := DeviceGone
		if r.Owner != g.record.Owner {
			reason = OwnerChanged
		}
		c.raised[r.Name] = reason
	}
}

func (c *changes) object(s *state, r *meta.Object, deleted bool) {
	g := s.groups[r.Group]
	if g == nil {
		return
	}
	e, there := g.entries[r.Name]
	switch {
	case !there:
	case deleted || e.content != r.Content:
		c.files = append(c.files, Change{Reason: FileGone, Group: r.Group, File: e.content})
	case e.shared && !r.Shared:
		c.files = append(c.files, Change{Reason: SharingEnded, Group: r.Group, File: e.content, Devices: s.devicesOf(e.publisher)})
	}
}

func (c *changes) share(s *state, r *meta.Share, deleted bool) {
	g := s.groups[r.Group]
	if !deleted || g == nil {
		return
	}
	if e, there := g.entries[r.Name]; there {
		c.files = append(c.files, Change{Reason: SharingEnded, Group: r.Group, File: e.content, Devices: s.devicesOf(r.User)})
	}
}

// after returns what ended, now that all events have been applied.
func (c *changes) after(s *state) []Change {
	all := append(c.keys, c.groups...)
	for name, reason := range c.raised {
		g := s.groups[name]
		if g == nil || g.record == nil {
			continue // deleted since, which has been noted
		}
		if len(c.left[name]) > 0 || g.isPublic() && c.users {
			reason = MemberGone
		}
		devices := append(s.devicesIn(g), c.left[name]...)
		for _, d := range c.devices {
			if g.has(d.User) {
				devices = append(devices, d.ID)
			}
		}
		all = append(all, Change{Reason: reason, Group: name, Epoch: g.record.Epoch, Devices: devices, All: g.isPublic()})
	}
	var told map[shoal.Swarm]bool
	if len(c.files) > 1 {
		told = make(map[shoal.Swarm]bool, len(c.files))
	}
	for _, f := range c.files {
		g := s.groups[f.Group]
		if g == nil {
			continue // as all of it is
		}
		if f.Reason == FileGone {
			swarm := shoal.Swarm{Group: f.Group, Object: f.File}
			if g.byFile[f.File.ID] != nil || told[swarm] {
				continue // by another name it is there, or all of them were taken away
			}
			if told != nil {
				told[swarm] = true
			}
			f.Devices, f.All = s.devicesIn(g), g.isPublic()
		}
		all = append(all, f)
	}
	return all
}

// ended compares with a later state, of which the events are not known.
func (s *state) ended(later *state) (all []Change) {
	all = append(later.revoked.begun(s.revoked), s.realmReplaced(&later.realm)...)
	for name, g := range s.groups {
		then := later.groups[name]
		devices := s.devicesIn(g)
		if g.isPublic() {
			devices = s.devicesGone(later)
		}
		if g.record != nil {
			switch {
			case then == nil || then.record == nil:
				all = append(all, Change{Reason: GroupGone, Group: name, Epoch: g.record.Epoch + 1, Devices: devices})
				continue
			case then.record.Epoch > g.record.Epoch:
				all = append(all, Change{
					Reason: MemberGone, Group: name, Epoch: then.record.Epoch, Devices: union(devices, later.devicesIn(then)), All: g.isPublic(),
				})
			}
		}
		for file, e := range g.byFile {
			if then == nil || then.byFile[file] == nil {
				all = append(all, Change{Reason: FileGone, Group: name, File: e.content, Devices: devices, All: g.isPublic()})
			}
		}
		if then != nil {
			all = append(all, s.sharingEnded(name, g, then, later)...)
		}
	}
	return all
}

// devicesGone returns those that act for nobody in a later state.
func (s *state) devicesGone(later *state) (gone []shoal.DeviceID) {
	for d := range s.devices {
		if later.devices[d] == nil {
			gone = append(gone, d)
		}
	}
	return gone
}

func union(a, b []shoal.DeviceID) []shoal.DeviceID {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b shoal.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

func (s *state) devicesOf(u meta.Username) []shoal.DeviceID {
	if user := s.users[u]; user != nil {
		return slices.Clone(user.Devices)
	}
	return nil
}

// devicesIn returns the devices of a group's members; none of those of shoal.Public, which a Change need not name.
func (s *state) devicesIn(g *group) (all []shoal.DeviceID) {
	for u := range g.members.since {
		if user := s.users[u]; user != nil {
			all = append(all, user.Devices...)
		}
	}
	return all
}
