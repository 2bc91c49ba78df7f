package peer

import (
	"shoal"
	"shoal/client/store"
)

// Whole is what serves all of an object in a swarm; nil if nothing does. It is held: the caller releases it.
func (s *Shelf) Whole(swarm shoal.Swarm) store.Content {
	it := s.find(swarm)
	if it == nil {
		return nil
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.gone != nil || !it.content.Whole() || it.content.Hold() != nil {
		return nil
	}
	return it.content
}
