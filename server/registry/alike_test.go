package registry

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"shoal"
)

// Many names of few files come, go and change what they stand for; the bookkeeping is compared with the names themselves.
func TestAlike(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	r := withUser()
	most := 0
	for step := range 4000 {
		name := fmt.Sprintf("%02d", random.IntN(40))
		if random.IntN(3) == 0 {
			take(r, name)
		} else {
			publish(r, name, objectOf(random.IntN(15)))
		}
		g := r.state.groups[shoal.Public]
		smallest, count := map[shoal.FileID]*entry{}, map[shoal.FileID]int{}
		for n, e := range g.entries {
			if n != e.name {
				t.Fatalf("step %d: an entry of %q under %q", step, e.name, n)
			}
			file := e.content.ID
			if first := smallest[file]; first == nil || e.name < first.name {
				smallest[file] = e
			}
			count[file]++
			if most = max(most, count[file]); count[file] == 2 && g.alike[file] == nil {
				t.Fatalf("step %d: two names, which are not known to be alike", step)
			}
		}
		for file, e := range g.byFile {
			if smallest[file] != e {
				t.Fatalf("step %d: %+v is the first, %+v in the bookkeeping", step, smallest[file], e)
			}
		}
		for file, all := range g.alike {
			if names, _ := all.after(nil, "", 1000); len(names) < 2 || len(names) != count[file] {
				t.Fatalf("step %d: %d names are alike, %q in the bookkeeping", step, count[file], names)
			}
		}
		if len(g.byFile) != len(smallest) {
			t.Fatalf("step %d: %d files, %d in the bookkeeping", step, len(smallest), len(g.byFile))
		}
	}
	if most < 4 {
		t.Errorf("at most %d names stood for one file", most)
	}
}
