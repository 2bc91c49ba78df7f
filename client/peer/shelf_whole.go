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

// serves reports whether content is what is served in a swarm: something else may have taken its place.
func (s *Shelf) serves(swarm shoal.Swarm, content store.Content) bool {
	it := s.find(swarm)
	return it != nil && it.serves(content)
}

func (it *item) serves(content store.Content) bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.content == content
}
