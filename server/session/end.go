package session

import (
	"maps"
	"slices"
)

// EndAll ends the sessions that there are, and tells their clients the reason. It does not wait for it.
func (h *Host) EndAll(reason error) {
	h.Hub.mu.Lock()
	all := slices.Concat(slices.Collect(maps.Values(h.Hub.byDevice))...)
	h.Hub.mu.Unlock()
	for _, s := range all {
		s.why.CompareAndSwap(nil, &reason)
		s.below.stop()
	}
}
