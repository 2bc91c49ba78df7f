package meta

import "sync"

// cacheLimit is how many keys are remembered.
const cacheLimit = 1 << 15

// cache remembers what was at keys that many mutations read. It may be out of date: what is decided from it is checked
// when it is committed.
type cache struct {
	mu      sync.RWMutex // guards entries
	entries map[key]entry
}

// cached reports whether a key is worth remembering: not those that are read about once.
func cached(k key) bool {
	switch k[0] {
	case 'a', 'o', 's', 'r', 'i', 'h':
		return false
	}
	return true
}

func (c *cache) get(k key) (entry, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, there := c.entries[k]
	return e, there
}

// learn remembers what was at keys.
func (c *cache) learn(entries map[key]entry) {
	changed := c.changes(entries)
	if len(changed) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range changed {
		if len(c.entries) >= cacheLimit {
			c.shrink()
		}
		c.entries[k] = entries[k]
	}
}

// changes returns the keys that are worth remembering, and not remembered yet as they are.
func (c *cache) changes(entries map[key]entry) (changed []key) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for k, e := range entries {
		if !cached(k) {
			continue
		}
		if before, there := c.entries[k]; !there || before.revision != e.revision {
			changed = append(changed, k)
		}
	}
	return changed
}

// shrink forgets a part, whichever it is. The caller holds mu.
func (c *cache) shrink() {
	n := 0
	for k := range c.entries {
		delete(c.entries, k)
		if n++; n == cacheLimit/16 {
			return
		}
	}
}
