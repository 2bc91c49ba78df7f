package registry

import (
	"slices"
	"time"

	"shoal"
	"shoal/server/meta"
)

// Who is the user that a device acts for, as far as the registry knows. The zero Who is a stranger's.
type Who struct {
	User     meta.Username // "" for none
	Admin    bool
	Label    string // of the device
	Enrolled time.Time
}

// Who returns whom a device acts for, and the revision at which that is so.
func (r *Registry) Who(device shoal.DeviceID) (who Who, revision uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	if d := s.devices[device]; d != nil {
		who = Who{User: d.User, Label: d.Label, Enrolled: d.Enrolled}
		if u := s.users[d.User]; u != nil {
			who.Admin = u.Admin
		}
	}
	return who, s.revision
}

// Password returns the hash of a user's password, "" where there is no such user.
func (r *Registry) Password(user meta.Username) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if u := r.state.users[user]; u != nil {
		return u.Password
	}
	return ""
}

// Realm returns the realm's public side. Its statements must not be changed.
func (r *Registry) Realm() meta.Realm {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.realm
}

// Users returns at most limit users after a given one in the order of their names, and whether more remain. They must not
// be changed.
func (r *Registry) Users(after meta.Username, limit int) (revision uint64, users []*meta.User, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	page, more := s.order.after(make([]meta.Username, 0, min(limit, len(s.users))), after, limit)
	for _, n := range page {
		users = append(users, s.users[n])
	}
	return s.revision, users, more
}

// Devices returns a user's devices by the time of their enrolment, and whether there is such a user.
func (r *Registry) Devices(of meta.Username) (revision uint64, devices []*meta.Device, there bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	u := s.users[of]
	if u == nil {
		return s.revision, nil, false
	}
	for _, id := range u.Devices {
		if d := s.devices[id]; d != nil {
			devices = append(devices, d)
		}
	}
	slices.SortStableFunc(devices, func(a, b *meta.Device) int { return a.Enrolled.Compare(b.Enrolled) })
	return s.revision, devices, true
}

// Role is what a user is in a group.
type Role int

// The roles, each with the rights of those before it.
const (
	NoRole Role = iota
	Asking
	Member
	Owner
)

// Standing is a group, and what a device's user is in it.
type Standing struct {
	Group   meta.Group
	User    meta.Username // of the device; "" for none
	Role    Role
	Members int
}

// Standing returns what a device is in a group. Where there is no such group, the role is NoRole and the group has no
// name.
func (r *Registry) Standing(device shoal.DeviceID, of shoal.Group) (revision uint64, _ Standing) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	var user meta.Username
	if d := s.devices[device]; d != nil {
		user = d.User
	}
	return s.revision, s.standing(user, of)
}

func (s *state) standing(user meta.Username, of shoal.Group) Standing {
	g := s.groups[of]
	if g == nil || g.record == nil {
		return Standing{User: user}
	}
	role := NoRole
	switch {
	case user == "":
	case g.record.Owner == user && g.has(user):
		role = Owner
	case g.has(user):
		role = Member
	case g.asking.has(user):
		role = Asking
	}
	members := len(g.members.since)
	if g.isPublic() {
		members = len(s.users)
	}
	return Standing{*g.record, user, role, members}
}

// IsIn reports whether there is such a user, and is in a group.
func (r *Registry) IsIn(g shoal.Group, user string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u := meta.Username(user)
	return r.state.users[u] != nil && r.state.standing(u, g).Role >= Member
}

// Groups returns at most limit groups after a given one in the order of their names, with what the device's user is in
// them, and whether more remain: those that the user is in, or asks to be in, and to an admin all.
func (r *Registry) Groups(device shoal.DeviceID, after shoal.Group, limit int) (revision uint64, groups []Standing, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	d := s.devices[device]
	if d == nil {
		return s.revision, nil, false
	}
	var page []shoal.Group
	if u := s.users[d.User]; u != nil && u.Admin {
		page, more = s.known.after(make([]shoal.Group, 0, min(limit, len(s.groups))), after, limit)
	} else {
		page = slices.DeleteFunc(append([]shoal.Group{shoal.Public}, s.places[d.User]...), func(g shoal.Group) bool { return g <= after })
		slices.Sort(page)
		if more = len(page) > limit; more {
			page = page[:limit]
		}
	}
	for _, g := range page {
		if is := s.standing(d.User, g); is.Group.Name != "" {
			groups = append(groups, is)
		}
	}
	return s.revision, groups, more
}

// Person is a user in a group, or who asks to be.
type Person struct {
	User  meta.Username
	Since time.Time
}

// People returns at most limit members of a group, or those who ask to be, after a given one in the order of their names,
// and whether more remain.
func (r *Registry) People(of shoal.Group, asking bool, after meta.Username, limit int) (revision uint64, found []Person, more bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := r.state
	g := s.groups[of]
	if g == nil {
		return s.revision, nil, false
	}
	if g.isPublic() && !asking {
		page, more := s.order.after(make([]meta.Username, 0, min(limit, len(s.users))), after, limit)
		for _, u := range page {
			found = append(found, Person{u, s.users[u].Created})
		}
		return s.revision, found, more
	}
	p := &g.members
	if asking {
		p = &g.asking
	}
	page, more := p.order.after(make([]meta.Username, 0, min(limit, len(p.since))), after, limit)
	for _, u := range page {
		found = append(found, Person{u, p.since[u]})
	}
	return s.revision, found, more
}
