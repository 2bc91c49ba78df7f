package registry

import "shoal"

// IsOpen is the one exception from who may do what: in the group shoal.Public, which always exists, every device may list,
// look up, publish and unpublish, logged in or not. Taking this rule away closes it.
func IsOpen(g shoal.Group) bool { return g == shoal.Public }
