package names

import (
	"errors"
	"slices"
	"testing"

	"shoal"
)

func TestHostile(t *testing.T) {
	all := Hostile()
	seen := map[string]bool{}
	for _, name := range all {
		seen[name] = true
		if _, err := shoal.ParseName(name); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%.100q is a name: %v", name, err)
		}
		if _, err := shoal.ParseGroup(name); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%.100q is a group: %v", name, err)
		}
	}
	if len(seen) < 1000 {
		t.Errorf("only %d names", len(seen))
	}
}

func TestOdd(t *testing.T) {
	all := Odd()
	for _, name := range all {
		if n, err := shoal.ParseName(name); err != nil || string(n) != name {
			t.Errorf("%.100q is no name: %v", name, err)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n < 100 {
		t.Errorf("only %d names", n)
	}
}
