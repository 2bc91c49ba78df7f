package registry

import (
	"shoal"
)

// setMirrors says which mirrors a name has.
func (g *group) setMirrors(n shoal.Name, mirrors []shoal.Mirror) {
	if len(mirrors) == 0 {
		delete(g.mirrors, n)
		return
	}
	if g.mirrors == nil {
		g.mirrors = make(map[shoal.Name][]shoal.Mirror)
	}
	g.mirrors[n] = mirrors
}

// mirrored is a name of what e stands for that has mirrors, its own if possible, and those; "" if none has.
func (g *group) mirrored(e *entry) (shoal.Name, []shoal.Mirror) {
	if len(g.mirrors) == 0 { // in most groups
		return "", nil
	}
	if all := g.mirrors[e.name]; all != nil {
		return e.name, all
	}
	if same := g.alike[e.content.ID]; same != nil {
		for _, block := range same.blocks {
			for _, n := range block {
				if all := g.mirrors[n]; all != nil && g.entries[n].content == e.content {
					return n, all
				}
			}
		}
	}
	return "", nil
}

// Mirrored returns a name that stands for a file and has mirrors, and what it stands for, to a device that may know. The
// error's code is NotFound, or Denied for a device that acts for nobody.
func (r *Registry) Mirrored(as shoal.DeviceID, in shoal.Group, file shoal.FileID) (revision uint64, name shoal.Name, content shoal.Object, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g, err := r.state.enter(as, in)
	if err != nil {
		return 0, "", content, err
	}
	if e := g.byFile[file]; e != nil {
		if name, _ = g.mirrored(e); name != "" {
			return r.state.revision, name, e.content, nil
		}
	}
	return 0, "", content, shoal.Errorf(shoal.NotFound, "no manifest of %v is kept in the group %q", file, in)
}
