package registry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"shoal"
)

// Against a plain sorted slice, through splits and emptied blocks.
func TestNamesAgainstSlice(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var s names[shoal.Name]
	var want []shoal.Name
	for step := range 20_000 {
		n := shoal.Name(fmt.Sprint(random.IntN(6000)))
		at, there := slices.BinarySearch(want, n)
		if _, _, found := s.find(n); found != there {
			t.Fatalf("step %d: %q found: %v", step, n, found)
		}
		// Grow first, then shrink to nothing much.
		switch {
		case !there && (step < 12_000 || random.IntN(8) == 0):
			s.insert(n)
			want = slices.Insert(want, at, n)
		case there && step >= 12_000:
			s.remove(n)
			want = slices.Delete(want, at, at+1)
		}
		if step%500 != 0 {
			continue
		}
		if got := slices.Concat(s.blocks...); !slices.Equal(got, want) {
			t.Fatalf("step %d: %d names instead of %d, or another order", step, len(got), len(want))
		}
		for _, b := range s.blocks {
			if len(b) == 0 || len(b) > blockLength {
				t.Fatalf("step %d: a block of %d", step, len(b))
			}
		}
		from, limit := shoal.Name(fmt.Sprint(random.IntN(6000))), 1+random.IntN(1500)
		page, more := s.after(nil, from, limit)
		start, exact := slices.BinarySearch(want, from)
		if exact {
			start++
		}
		end := min(start+limit, len(want))
		if !slices.Equal(page, want[start:end]) || more != (end < len(want)) {
			t.Fatalf("step %d: after %q, %d names: got %d, more: %v", step, from, limit, len(page), more)
		}
	}
	if len(s.blocks) < 2 {
		t.Errorf("only %d blocks were tested", len(s.blocks))
	}
	for _, n := range want {
		if got := s.smallest(); got != n {
			t.Fatalf("smallest is %q instead of %q", got, n)
		}
		s.remove(n)
	}
	if len(s.blocks) > 0 {
		t.Error("not empty")
	}
}
