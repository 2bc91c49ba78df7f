package registry

import (
	"slices"

	"shoal"
	"shoal/server/meta"
)

// shares are the users, other than its publisher, whose copies of what a name stands for are offered. Most names have
// none.
type shares map[shoal.Name][]meta.Username

func (s *shares) put(r *meta.Share) {
	if slices.Contains((*s)[r.Name], r.User) {
		return
	}
	if *s == nil {
		*s = make(shares)
	}
	(*s)[r.Name] = append((*s)[r.Name], r.User)
}

func (s shares) remove(r *meta.Share) {
	left := slices.DeleteFunc(s[r.Name], func(u meta.Username) bool { return u == r.User })
	if s[r.Name] = left; len(left) == 0 {
		delete(s, r.Name)
	}
}

// sharers are the users whose copies of what a name stands for are offered.
func (g *group) sharers(n shoal.Name) []meta.Username {
	if e := g.entries[n]; e != nil && e.shared {
		return append(slices.Clone(g.shares[n]), e.publisher)
	}
	return g.shares[n]
}

// sharingEnded compares a group with a later one of that name: who offers copies of a name no more, which stands for the
// same as before.
func (s *state) sharingEnded(name shoal.Group, g, then *group, later *state) (all []Change) {
	for n, e := range g.entries {
		if now, there := then.entries[n]; !there || now.content != e.content || !e.shared && g.shares[n] == nil {
			continue
		}
		still := then.sharers(n)
		for _, u := range g.sharers(n) {
			if !slices.Contains(still, u) {
				all = append(all, Change{
					Reason: SharingEnded, Group: name, File: e.content, Devices: union(s.devicesOf(u), later.devicesOf(u)),
				})
			}
		}
	}
	return all
}
