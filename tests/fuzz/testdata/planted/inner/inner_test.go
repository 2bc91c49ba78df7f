package inner

import "testing"

type bounded struct{}

func (bounded) Hold(*testing.T, int, func()) {}

var bounds bounded

func FuzzGood(f *testing.F) {
	f.Add("a")
	f.Fuzz(func(t *testing.T, s string) {
		bounds.Hold(t, len(s), func() {})
	})
}

func TestNothing(*testing.T) {}
