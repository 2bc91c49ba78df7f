package swarm

import (
	"math/rand/v2"
	"testing"
)

func TestIndexIsLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x, m := NewIndex[int](7), map[PeerID]*int{}
	for range 20_000 {
		key := id(byte(r.IntN(60)))
		key.Session = r.Uint64N(3)
		if got := x.Find(&key); got != m[key] {
			t.Fatalf("found %v, not %v", got, m[key])
		}
		switch {
		case m[key] == nil:
			m[key] = new(int)
			x.Put(key, m[key])
		case r.IntN(2) == 0:
			x.Delete(&key)
			delete(m, key)
		}
	}
	for key, value := range m {
		if x.Find(&key) != value {
			t.Error("something is lost")
		}
	}
	if x.used != len(m) {
		t.Errorf("%d are counted of %d", x.used, len(m))
	}
}
