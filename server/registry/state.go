package registry

import (
	"slices"
	"strings"
	"time"

	"shoal"
	"shoal/server/meta"
)

// state is everything at one revision, with the indexes that queries need. What is put may refer to what comes later, and
// what is removed to what is gone already.
type state struct {
	revision uint64
	realm    meta.Realm
	revoked  revocations
	users    map[meta.Username]*meta.User
	order    names[meta.Username]
	devices  map[shoal.DeviceID]*meta.Device
	groups   map[shoal.Group]*group
	known    names[shoal.Group]              // the groups that have a record
	places   map[meta.Username][]shoal.Group // those that a user is in or asks to be in
}

// group is a group: who is in it, and its names.
type group struct {
	record  *meta.Group // nil for what has come before it
	members people      // none in shoal.Public, where all users are
	asking  people
	entries map[shoal.Name]*entry
	order   names[shoal.Name]
	byFile  map[shoal.FileID]*entry             // of those that stand for a file the one with the smallest name
	alike   map[shoal.FileID]*names[shoal.Name] // the names of all that do, where it is more than one
	shares  shares
	mirrors map[shoal.Name][]shoal.Mirror // of those names that have any
}

// people are users since a time, in the order of their names.
type people struct {
	since map[meta.Username]time.Time
	order names[meta.Username]
}

// entry is what a name stands for.
type entry struct {
	name      shoal.Name
	content   shoal.Object
	facts     *shoal.Facts // shared, and never changed
	publisher meta.Username
	shared    bool // the publisher's copies are offered
}

func newState() *state {
	s := &state{
		users: make(map[meta.Username]*meta.User), devices: make(map[shoal.DeviceID]*meta.Device),
		revoked: make(revocations), groups: make(map[shoal.Group]*group), places: make(map[meta.Username][]shoal.Group),
	}
	s.put(meta.PublicGroup())
	return s
}

// isPublic reports whether all users are in the group.
func (g *group) isPublic() bool { return g.record != nil && g.record.Name == shoal.Public }

// has reports whether a user is in the group. There must be the user.
func (g *group) has(u meta.Username) bool { return g.isPublic() || g.members.has(u) }

// group returns a group, new if need be.
func (s *state) group(name shoal.Group) *group {
	g := s.groups[name]
	if g == nil {
		g = &group{entries: make(map[shoal.Name]*entry), byFile: make(map[shoal.FileID]*entry)}
		s.groups[name] = g
	}
	return g
}

// put takes a record that is no object.
func (s *state) put(record meta.Record) {
	switch r := record.(type) {
	case *meta.Realm:
		s.realm = *r
	case *meta.Revocation:
		s.revoked[r.Key] = r
	case *meta.User:
		if s.users[r.Name] == nil {
			s.order.insert(r.Name)
		}
		s.users[r.Name] = r
	case *meta.Device:
		s.devices[r.ID] = r
	case *meta.Group:
		g := s.group(r.Name)
		if g.record == nil {
			s.known.insert(r.Name)
		}
		g.record = r
	case *meta.Member:
		if s.group(r.Group).members.put(r.User, r.Since) {
			s.places[r.User] = append(s.places[r.User], r.Group)
		}
	case *meta.JoinRequest:
		if s.group(r.Group).asking.put(r.User, r.Since) {
			s.places[r.User] = append(s.places[r.User], r.Group)
		}
	case *meta.Share:
		s.group(r.Group).shares.put(r)
	}
}

func (s *state) putObject(o *meta.Object, facts *shoal.Facts) {
	g := s.group(o.Group)
	e, there := g.entries[o.Name]
	same := there && e.content == o.Content
	switch {
	case same:
		facts = e.facts
	case there:
		g.removeName(e)
	default:
		name := shoal.Name(strings.Clone(string(o.Name))) // it may be a part of something longer
		e = &entry{name: name}
		g.entries[name] = e
	}
	publisher := o.Publisher
	if u := s.users[publisher]; u != nil {
		publisher = u.Name // one string for all of the user's
	}
	e.content, e.facts, e.publisher, e.shared = o.Content, facts, publisher, o.Shared
	g.setMirrors(e.name, o.Mirrors)
	if !same {
		g.addName(e)
	}
}

// remove takes a record away, of which only the key counts.
func (s *state) remove(record meta.Record) {
	switch r := record.(type) {
	case *meta.Realm:
		s.realm = meta.Realm{}
	case *meta.Revocation:
		delete(s.revoked, r.Key)
	case *meta.User:
		if s.users[r.Name] != nil {
			s.order.remove(r.Name)
		}
		delete(s.users, r.Name)
	case *meta.Device:
		delete(s.devices, r.ID)
	case *meta.Group:
		s.removeGroup(r.Name)
	case *meta.Member:
		if g := s.groups[r.Group]; g != nil && g.members.remove(r.User) {
			s.unplace(r.User, r.Group)
		}
	case *meta.JoinRequest:
		if g := s.groups[r.Group]; g != nil && g.asking.remove(r.User) {
			s.unplace(r.User, r.Group)
		}
	case *meta.Share:
		if g := s.groups[r.Group]; g != nil {
			g.shares.remove(r)
		}
	case *meta.Object:
		g := s.groups[r.Group]
		if g == nil {
			return
		}
		if e, there := g.entries[r.Name]; there {
			delete(g.entries, r.Name)
			g.setMirrors(r.Name, nil)
			g.removeName(e)
		}
	}
}

// removeGroup takes a group away with all that is in it.
func (s *state) removeGroup(name shoal.Group) {
	g := s.groups[name]
	if g == nil || g.record == nil {
		return
	}
	s.known.remove(name)
	for _, p := range []*people{&g.members, &g.asking} {
		for u := range p.since {
			s.unplace(u, name)
		}
	}
	delete(s.groups, name)
}

func (s *state) unplace(u meta.Username, g shoal.Group) {
	in := s.places[u]
	if i := slices.Index(in, g); i >= 0 {
		in = slices.Delete(in, i, i+1)
	}
	if s.places[u] = in; len(in) == 0 {
		delete(s.places, u)
	}
}

// put reports whether the user was not there.
func (p *people) put(u meta.Username, since time.Time) bool {
	_, there := p.since[u]
	if !there {
		if p.since == nil {
			p.since = make(map[meta.Username]time.Time)
		}
		p.order.insert(u)
	}
	p.since[u] = since
	return !there
}

// remove reports whether the user was there.
func (p *people) remove(u meta.Username) bool {
	_, there := p.since[u]
	if there {
		p.order.remove(u)
		delete(p.since, u)
	}
	return there
}

func (p *people) has(u meta.Username) bool {
	_, there := p.since[u]
	return there
}
