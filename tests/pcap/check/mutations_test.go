package check

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// mutant is a valid conversation with one change.
type mutant struct {
	how   string // such as "flip list.limit" or "drop LIST reply"
	where string
	steps []step
}

// mutants changes each frame of a conversation in every way: it is dropped, sent twice, changes places with the next, and a
// bit of it flips; of a long one only some bytes do.
func mutants(t *testing.T, all []step, yield func(mutant)) {
	s := loadSpec(t)
	for i, is := range all {
		if is.frame == nil {
			continue
		}
		name := nameOf(is.frame)
		where := fmt.Sprintf("step %d, %s", i, name)
		yield(mutant{"drop " + name, where, slices.Delete(slices.Clone(all), i, i+1)})
		yield(mutant{"double " + name, where, slices.Insert(slices.Clone(all), i, is)})
		if next := i + 1; next < len(all) && all[next].frame != nil && all[next].conn == is.conn {
			swapped := slices.Clone(all)
			swapped[i].frame, swapped[i].from = all[next].frame, all[next].from
			swapped[next].frame, swapped[next].from = is.frame, is.from
			yield(mutant{"swap " + name + " and " + nameOf(all[next].frame), where, swapped})
		}
		for offset := 0; offset < len(is.frame); offset += stride(offset, len(is.frame)) {
			bit := byte(1) << (offset * 5 % 8)
			changed := slices.Clone(all)
			changed[i].frame = bytes.Clone(is.frame)
			changed[i].frame[offset] ^= bit
			yield(mutant{"flip " + fieldAt(t, s, is.frame, offset), fmt.Sprintf("%s, byte %d by %#x", where, offset, bit), changed})
		}
	}
}

// stride goes from one byte that is changed to the next: all of what is short, and of what is long the beginning, and every
// third or few of what follows.
func stride(offset, length int) int {
	switch {
	case offset < 200 || length < 300 || length < 1500 && offset > length-60:
		return 1
	case length < 1500:
		return 3
	}
	return 997
}

// Whatever is changed in what is right is told of, but for what is as right as before.
func TestMutations(t *testing.T) {
	work := make(chan mutant)
	var mu sync.Mutex // guards what is below
	missed := map[string]string{}
	count := 0
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for m := range work {
				found := len(checkSteps(m.steps, nil)) > 0
				mu.Lock()
				if count++; !found {
					missed[m.how] = m.where
				}
				mu.Unlock()
			}
		})
	}
	for _, script := range []func(*book){serveEverything, fetchEverything} {
		b := newBook()
		script(b)
		mutants(t, b.steps, func(m mutant) { work <- m })
	}
	close(work)
	workers.Wait()
	t.Logf("%d changes", count)
	if count < 8_000 {
		t.Errorf("only %d changes", count)
	}
	used := map[string]bool{}
	for how, where := range missed {
		if entry := legally(how); entry != "" {
			used[entry] = true
		} else {
			t.Errorf("nothing is told of: %s (%s)", how, where)
		}
	}
	for _, l := range legal {
		for _, entry := range l.changes {
			if !used[entry] {
				t.Errorf("%s: it is always told of", entry)
			}
		}
	}
}
