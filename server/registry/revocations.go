package registry

import (
	"bytes"
	"maps"
	"slices"

	"shoal"
	"shoal/server/meta"
)

// revocations are by the key that does not count any more.
type revocations map[[32]byte]*meta.Revocation

// begun are those that are not in earlier ones, as changes.
func (r revocations) begun(earlier revocations) (all []Change) {
	for key, is := range r {
		if was := earlier[key]; was == nil || !bytes.Equal(was.Chain, is.Chain) {
			all = append(all, Change{Reason: KeyRevoked, Key: key, Chain: is.Chain})
		}
	}
	return all
}

// realmReplaced tells whether the realm's root key is another one in what is to come.
func (s *state) realmReplaced(by *meta.Realm) []Change {
	if was := s.realm.Root; was == by.Root || was == (shoal.RealmKey{}) {
		return nil
	}
	return []Change{{Reason: RootReplaced, Key: by.Root}}
}

// Revocations returns those of the realm's keys, in the order of the keys. They may have expired, and must not be changed.
func (r *Registry) Revocations() []*meta.Revocation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.state.revoked) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(r.state.revoked), func(a, b *meta.Revocation) int { return bytes.Compare(a.Key[:], b.Key[:]) })
}

// Revocation returns that of a key; nil where it counts. It may have expired.
func (r *Registry) Revocation(key [32]byte) *meta.Revocation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.state.revoked[key]
}
