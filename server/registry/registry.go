// Package registry is what a server knows for sure, in memory, to answer from: users and their devices, groups and who is
// in them, and which names stand for which objects. It is fed by package meta, which keeps all that, in the order in which
// it changed; beside that it has what is known of files until the server stops.
package registry

import (
	"iter"
	"sync"

	"shoal"
	"shoal/server/meta"
)

// Registry is plain maps behind one lock. All methods may be called concurrently, but for Replace and Apply, which are for
// one goroutine; none waits for anything but the lock.
type Registry struct {
	// Changed is told what ended by a change, after that is in the registry, by the goroutine that feeds it: it must not
	// wait. Set before there is a feed; nil for nobody.
	Changed func([]Change)

	mu       sync.RWMutex // guards everything below
	state    *state       // of which only who feeds the registry changes anything but facts
	expected *shoal.Facts // of a name that is new
	told     map[shoal.Facts]*shoal.Facts
}

// New returns a registry that has nothing but the group shoal.Public, empty.
func New() *Registry {
	return &Registry{state: newState(), expected: noFacts, told: make(map[shoal.Facts]*shoal.Facts)}
}

var _ meta.Sink = (*Registry)(nil)

// Replace takes a whole state in place of what there was. What was known of files stays known. Nobody is kept waiting
// while it is read.
func (r *Registry) Replace(all iter.Seq2[meta.Event, error], revision uint64) error {
	fresh := newState()
	fresh.revision = revision
	for e, err := range all {
		if err != nil {
			return err
		}
		o, isObject := e.Record.(*meta.Object)
		switch {
		case e.Deleted:
			fresh.remove(e.Record)
		case isObject:
			fresh.putObject(o, r.knownFacts(o))
		default:
			fresh.put(e.Record)
		}
	}
	before := r.state // which nobody else changes in what is compared
	r.mu.Lock()
	r.state = fresh
	r.mu.Unlock()
	r.tell(before.ended(fresh))
	return nil
}

// Apply takes changes, all of them under one lock.
func (r *Registry) Apply(events []meta.Event, revision uint64) {
	r.tell(r.apply(events, revision))
}

func (r *Registry) apply(events []meta.Event, revision uint64) []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	var ended changes
	for _, e := range events {
		ended.before(s, e)
		o, isObject := e.Record.(*meta.Object)
		switch {
		case e.Deleted:
			s.remove(e.Record)
		case isObject:
			s.putObject(o, r.expected)
		default:
			s.put(e.Record)
		}
	}
	s.revision = revision
	return ended.after(s)
}

func (r *Registry) tell(changes []Change) {
	if len(changes) > 0 && r.Changed != nil {
		r.Changed(changes)
	}
}

// Revision is that of the state: it counts changes.
func (r *Registry) Revision() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.revision
}
