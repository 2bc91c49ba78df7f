// Package registry is what a server knows for sure: which names stand for which objects in which groups, and what it
// answered to those who changed that. All of it is in memory.
package registry

import (
	"sync"

	"shoal"
	"shoal/wire"
)

// MaxNames is how many names a group can have.
const MaxNames = 250_000

// Registry is plain maps behind one lock. All methods may be called concurrently; none waits for anything but the lock.
type Registry struct {
	mu       sync.RWMutex // guards everything below
	groups   map[shoal.Group]*group
	revision uint64 // counts the changes
	outcomes outcomes
	expected *shoal.Facts // of a name that is new
	told     map[shoal.Facts]*shoal.Facts
	maxNames int // of a group; constant
}

// group is the names of one group, with the indexes that its queries need.
type group struct {
	entries map[shoal.Name]entry
	order   names
	byFile  map[shoal.FileID]*names
}

// entry is what a name stands for.
type entry struct {
	content shoal.Object
	facts   *shoal.Facts // shared, and never changed
}

// New returns a registry in which the group shoal.Public exists, empty.
func New() *Registry {
	return &Registry{
		groups: map[shoal.Group]*group{
			shoal.Public: {entries: make(map[shoal.Name]entry), byFile: make(map[shoal.FileID]*names)},
		},
		outcomes: newOutcomes(keptGone),
		expected: noFacts,
		told:     make(map[shoal.Facts]*shoal.Facts),
		maxNames: MaxNames,
	}
}

// Connect notes that a session of device has begun: while there is one, the outcomes of its last 128 mutations are
// kept, and some time longer.
func (r *Registry) Connect(device shoal.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes.connect(device)
}

// Disconnect notes that a session for which Connect was called has ended.
func (r *Registry) Disconnect(device shoal.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes.disconnect(device)
}

// Publish makes a name stand for an object, for a device that is connected; nothing changes if it already does. A
// request that was answered before gets the same answer again (rule S1). It returns the revision at which the name
// stands for the object. The error's code is NameTaken (the name stands for something else), NotFound (no such group),
// Limit (the group is full), StaleRequest or BadRequest (rule S1).
func (r *Registry) Publish(device shoal.DeviceID, m *wire.Publish) (revision uint64, err error) {
	what := mutation{'p', m.Group, m.Name, m.Content}
	return r.mutate(device, m.Sequence, what, func(g *group) (code shoal.Code, stands shoal.Object) {
		e, taken := g.entries[m.Name]
		stands = e.content
		switch {
		case taken && stands == m.Content:
			return 0, stands
		case taken:
			return shoal.NameTaken, stands
		case len(g.entries) >= r.maxNames:
			return shoal.Limit, stands
		}
		g.insert(m.Name, entry{m.Content, r.expected})
		r.revision++
		return 0, stands
	})
}

// Unpublish takes a name away from the file that it stands for, for a device that is connected. Answers are repeated as
// by Publish. The error's code is NotFound (the name does not stand for that file, or no such group), StaleRequest or
// BadRequest (rule S1).
func (r *Registry) Unpublish(device shoal.DeviceID, m *wire.Unpublish) (revision uint64, err error) {
	what := mutation{'u', m.Group, m.Name, shoal.Object{ID: m.File}}
	return r.mutate(device, m.Sequence, what, func(g *group) (code shoal.Code, stands shoal.Object) {
		e, found := g.entries[m.Name]
		stands = e.content
		if !found || stands.ID != m.File {
			return shoal.NotFound, stands
		}
		g.remove(m.Name, stands)
		r.revision++
		return 0, stands
	})
}

// mutate carries out a mutation once: the first time by do, which returns what a failure's text needs, and from then on
// out of memory.
func (r *Registry) mutate(id shoal.DeviceID, sequence uint64, m mutation, do func(*group) (shoal.Code, shoal.Object)) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, err := r.group(m.group)
	if err != nil {
		return 0, err
	}
	out, before, err := r.outcomes.earlier(id, sequence, m)
	if err != nil {
		return 0, err
	}
	if !before {
		code, stands := do(g)
		out = outcome{sequence: sequence, revision: r.revision, code: code, stands: stands}
		r.outcomes.store(id, m, out)
	}
	return out.revision, r.explain(out, m)
}

// explain is the error that an outcome stands for.
func (r *Registry) explain(o outcome, m mutation) error {
	switch o.code {
	case 0:
		return nil
	case shoal.NameTaken:
		return shoal.Errorf(o.code, "the name %q stands for %v (%d bytes), not for %v (%d bytes): "+
			"publish under another name, or unpublish the one that is there first", m.name, o.stands.ID, o.stands.Size, m.content.ID, m.content.Size)
	case shoal.Limit:
		return shoal.Errorf(o.code, "the group %q has %d names, and more are not possible; unpublish what is not needed any more", m.group, r.maxNames)
	case shoal.NotFound:
		if o.stands != (shoal.Object{}) {
			return shoal.Errorf(o.code, "the name %q stands for %v, not for %v", m.name, o.stands.ID, m.content.ID)
		}
		return noName(m.group, m.name)
	}
	return o.code
}

// List returns at most limit names after a given one ("" is the beginning) in the order of their bytes, without counts
// of sources, and whether more remain. The error's code is NotFound where there is no such group.
func (r *Registry) List(of shoal.Group, after string, limit int) (revision uint64, entries []wire.Entry, more bool, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, err := r.group(of)
	if err != nil {
		return 0, nil, false, err
	}
	page, more := g.order.after(make([]shoal.Name, 0, min(limit, len(g.entries))), shoal.Name(after), limit)
	entries = make([]wire.Entry, len(page))
	for i, n := range page {
		e := g.entries[n]
		entries[i].Name, entries[i].Content, entries[i].Facts = n, e.content, e.facts
	}
	return r.revision, entries, more, nil
}

// Lookup finds an object by name or by FileID, of whose names it returns the smallest, without counts of sources. The
// error's code is NotFound.
func (r *Registry) Lookup(m *wire.Lookup) (revision uint64, found wire.Entry, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, err := r.group(m.Group)
	if err != nil {
		return 0, found, err
	}
	name := m.Name
	if name == "" {
		of := g.byFile[m.File]
		if of == nil {
			return 0, found, shoal.Errorf(shoal.NotFound, "nothing in the group %q has the FileID %v", m.Group, m.File)
		}
		name = of.smallest()
	}
	e, there := g.entries[name]
	if !there {
		return 0, found, noName(m.Group, name)
	}
	return r.revision, wire.Entry{Name: name, Content: e.content, Facts: e.facts}, nil
}

// CheckGroup returns an error of code NotFound where there is no such group.
func (r *Registry) CheckGroup(g shoal.Group) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, err := r.group(g)
	return err
}

// group finds a group; the caller holds mu.
func (r *Registry) group(name shoal.Group) (*group, error) {
	g := r.groups[name]
	if g == nil {
		return nil, shoal.Errorf(shoal.NotFound, "there is no group %q", name)
	}
	return g, nil
}

func noName(g shoal.Group, n shoal.Name) error {
	return shoal.Errorf(shoal.NotFound, "there is no %q in the group %q; shoal ls shows what there is", n, g)
}

func (g *group) insert(n shoal.Name, e entry) {
	g.entries[n] = e
	g.order.insert(n)
	of := g.byFile[e.content.ID]
	if of == nil {
		of = new(names)
		g.byFile[e.content.ID] = of
	}
	of.insert(n)
}

func (g *group) remove(n shoal.Name, o shoal.Object) {
	delete(g.entries, n)
	g.order.remove(n)
	of := g.byFile[o.ID]
	of.remove(n)
	if of.empty() {
		delete(g.byFile, o.ID)
	}
}
