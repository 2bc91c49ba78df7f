package check

import "shoal/wire"

// lore is what a Trace remembers beyond one connection.
type lore struct {
	nonces bounded[wire.Nonce, bool]
}

func newLore() lore {
	return lore{nonces: newBounded[wire.Nonce, bool](1 << 16)}
}

// bounded is a map that forgets what was put first when it has too much.
type bounded[K comparable, V any] struct {
	most  int
	known map[K]V
	order []K
}

func newBounded[K comparable, V any](most int) bounded[K, V] {
	return bounded[K, V]{most: most, known: map[K]V{}}
}

func (b *bounded[K, V]) has(k K) bool { _, has := b.known[k]; return has }

func (b *bounded[K, V]) get(k K) V { return b.known[k] }

func (b *bounded[K, V]) put(k K, v V) {
	if !b.has(k) {
		if b.order = append(b.order, k); len(b.order) > b.most {
			delete(b.known, b.order[0])
			b.order = b.order[1:]
		}
	}
	b.known[k] = v
}
