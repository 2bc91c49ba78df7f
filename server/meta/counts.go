package meta

import (
	"sync"

	"shoal"
)

// recount is after how many questions at least the names of a group are counted anew; after a quarter as many as there
// are names, where that is more. Other servers add some meanwhile, so the limit holds about.
const recount = 4096

// countedGroups is for how many groups the number of names is remembered.
const countedGroups = 1 << 14

// counts remembers how many names groups have: counting takes milliseconds in a large one.
type counts struct {
	mu     sync.Mutex // guards groups
	groups map[shoal.Group]*counted
}

type counted struct {
	names int64
	asked int64 // since then
}

// names returns about how many names the group has, not too few but for what other servers add meanwhile. Each question
// is taken for a name that is added.
func (t *transaction) names(g shoal.Group) int64 {
	c := &t.s.count
	c.mu.Lock()
	if n := c.groups[g]; n != nil && n.names+n.asked < t.s.maxNames {
		if n.asked++; n.asked < max(recount, n.names/4) {
			defer c.mu.Unlock()
			return n.names + n.asked - 1
		}
		n.names, n.asked = n.names+n.asked, 0 // for who asks while this one counts
	}
	c.mu.Unlock()
	all := objectKey(g, "")
	names := t.count(all, all.end())
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.groups) >= countedGroups {
		clear(c.groups)
	}
	c.groups[g] = &counted{names: names, asked: 1}
	return names
}
