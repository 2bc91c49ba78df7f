package registry

import (
	"shoal"
	"shoal/server/meta"
)

// maxTold is how many different facts are remembered, so that names which have the same share them.
const maxTold = 4096

var (
	noFacts = &shoal.Facts{}
	pending = &shoal.Facts{State: shoal.Pending}
)

// ExpectFacts makes names that come from now on have facts that are Pending: somebody will call SetFacts.
func (r *Registry) ExpectFacts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expected = pending
}

// WantsFacts reports whether more can be learned about what a name stands for, if that is the content: where its facts
// are Pending, and, with a sample of the content, where they were told without one or given up.
func (r *Registry) WantsFacts(in shoal.Group, name shoal.Name, content shoal.Object, sampled bool) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.state.groups[in]
	if g == nil {
		return false
	}
	e, there := g.entries[name]
	if !there || e.content != content {
		return false
	}
	switch e.facts.State {
	case shoal.Pending:
		return true
	case shoal.Withheld, shoal.NoFacts:
		return sampled
	}
	return false
}

// SetFacts says what a name's content is. It changes nothing where the name stands for something else by now, or where
// more is known than what is said.
func (r *Registry) SetFacts(in shoal.Group, name shoal.Name, content shoal.Object, facts shoal.Facts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.state.groups[in]
	if g == nil {
		return
	}
	e, there := g.entries[name]
	if !there || e.content != content {
		return
	}
	if before := e.facts.State; facts.State == shoal.Known || before == shoal.Pending {
		e.facts = r.share(facts)
	}
}

// share returns a pointer to facts, the same for the same facts as far as they are remembered. The caller holds mu.
func (r *Registry) share(facts shoal.Facts) *shoal.Facts {
	if shared := r.told[facts]; shared != nil {
		return shared
	}
	if len(r.told) == maxTold {
		clear(r.told)
	}
	shared := &facts
	r.told[facts] = shared
	return shared
}

// knownFacts is what a name that is listed anew will have: what was known of it, if it stands for the same.
func (r *Registry) knownFacts(o *meta.Object) *shoal.Facts {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if g := r.state.groups[o.Group]; g != nil {
		if e, there := g.entries[o.Name]; there && e.content == o.Content {
			return e.facts
		}
	}
	return r.expected
}

// Unanswered is a name whose facts are Pending.
type Unanswered struct {
	Group   shoal.Group
	Name    shoal.Name
	Content shoal.Object
}

// PendingFacts returns names of a group whose facts are Pending: those among the next limit names after a given one, the
// last of which is where to go on; "" where none remain, or there is no such group.
func (r *Registry) PendingFacts(in shoal.Group, after shoal.Name, limit int) (found []Unanswered, last shoal.Name) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	g := r.state.groups[in]
	if g == nil {
		return nil, ""
	}
	page, more := g.order.after(make([]shoal.Name, 0, limit), after, limit)
	for _, n := range page {
		if e := g.entries[n]; e.facts == pending {
			found = append(found, Unanswered{in, n, e.content})
		}
	}
	if more {
		last = page[len(page)-1]
	}
	return found, last
}

// GroupNames returns the names of all groups that can have names of files.
func (r *Registry) GroupNames() (all []shoal.Group) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for g := range r.state.groups {
		all = append(all, g)
	}
	return all
}
