package registry

import (
	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

// List returns at most limit names of a group after a given one ("" is the beginning) in the order of their bytes, without
// counts of sources, and whether more remain, to a device that may know. The error's code is NotFound where there is no
// such group, or it may not, and Denied for a device that acts for nobody.
func (r *Registry) List(as shoal.DeviceID, of shoal.Group, after string, limit int) (revision uint64, entries []wire.Entry, more bool, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, err := r.state.enter(as, of)
	if err != nil {
		return 0, nil, false, err
	}
	page, more := g.order.after(make([]shoal.Name, 0, min(limit, len(g.entries))), shoal.Name(after), limit)
	entries = make([]wire.Entry, len(page))
	for i, n := range page {
		e := g.entries[n]
		entries[i].Name, entries[i].Content, entries[i].Facts = n, e.content, e.facts
	}
	return r.state.revision, entries, more, nil
}

// Lookup finds an object by name or by FileID, of whose names it returns the smallest, without counts of sources, for a
// device that may know; and its mirrors, which must not be changed. The error's code is NotFound, or Denied for a device
// that acts for nobody.
func (r *Registry) Lookup(as shoal.DeviceID, m *wire.Lookup) (revision uint64, found wire.Entry, mirrors []shoal.Mirror, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, err := r.state.enter(as, m.Group)
	if err != nil {
		return 0, found, nil, err
	}
	var e *entry
	if m.Name == "" {
		if e = g.byFile[m.File]; e == nil {
			return 0, found, nil, shoal.Errorf(shoal.NotFound, "nothing in the group %q has the FileID %v", m.Group, m.File)
		}
	} else if e = g.entries[m.Name]; e == nil {
		return 0, found, nil, shoal.Errorf(shoal.NotFound, "there is no %q in the group %q; shoal ls shows what there is", m.Name, m.Group)
	}
	_, mirrors = g.mirrored(e)
	return r.state.revision, wire.Entry{Name: e.name, Content: e.content, Facts: e.facts}, mirrors, nil
}

// Has reports whether a file has a name in a group.
func (r *Registry) Has(in shoal.Group, file shoal.FileID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.state.groups[in]
	return g != nil && g.byFile[file] != nil
}

// Enter returns an error of code NotFound where there is no such group, or the device may not know of what is in it, and of
// code Denied where it acts for nobody.
func (r *Registry) Enter(as shoal.DeviceID, g shoal.Group) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, err := r.state.enter(as, g)
	return err
}

// enter returns a group that the device may look into.
func (s *state) enter(as shoal.DeviceID, name shoal.Group) (*group, error) {
	g := s.groups[name]
	if g != nil && s.isMember(as, g) {
		return g, nil
	}
	if s.devices[as] == nil {
		return nil, meta.NotLoggedIn
	}
	return nil, NoGroup(name)
}

func (s *state) isMember(as shoal.DeviceID, g *group) bool {
	d := s.devices[as]
	return d != nil && g.record != nil && g.has(d.User)
}

// NoGroup is the error for a group that is not there, or not for who asks: nobody is to learn which.
func NoGroup(g shoal.Group) error {
	return shoal.Errorf(shoal.NotFound, "there is no group %q, or you are not in it", g)
}
