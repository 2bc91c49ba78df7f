package check

import (
	"bytes"
	"fmt"
	"runtime"
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

// mutants changes frames of a conversation in every way: each is dropped, sent twice, changes places with the next, and a
// bit of it flips; of a long one only some bytes do. The frames are all, or those of which wanted says so by their names.
func mutants(t *testing.T, all []step, wanted func(name string) (every int), yield func(mutant)) {
	s := loadSpec(t)
	for i, is := range all {
		if is.frame == nil {
			continue
		}
		name := nameOf(is.frame)
		every := wanted(name)
		if every == 0 {
			continue
		}
		where := fmt.Sprintf("step %d, %s", i, name)
		yield(mutant{"drop " + name, where, slices.Delete(slices.Clone(all), i, i+1)})
		yield(mutant{"double " + name, where, slices.Insert(slices.Clone(all), i, is)})
		if next := i + 1; next < len(all) && all[next].frame != nil && all[next].conn == is.conn {
			swapped := slices.Clone(all)
			swapped[i].frame, swapped[i].from = all[next].frame, all[next].from
			swapped[next].frame, swapped[next].from = is.frame, is.from
			yield(mutant{"swap " + name + " and " + nameOf(all[next].frame), where, swapped})
		}
		for offset := 0; offset < len(is.frame); offset += every * stride(offset, len(is.frame)) {
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
	var found outcome
	for _, script := range []func(*book){serveEverything, fetchEverything} {
		b := newBook()
		script(b)
		found.of(t, b.steps, func(string) int { return 1 })
	}
	if found.count < 8_000 {
		t.Errorf("only %d changes", found.count)
	}
	found.judge(t, nil)
	for _, l := range legal {
		for _, entry := range l.changes {
			if !found.used[entry] {
				t.Errorf("%s: it is always told of", entry)
			}
		}
	}
}

// outcome is what became of changes.
type outcome struct {
	count  int
	missed map[string]string // where, by how
	used   map[string]bool   // entries of legal
}

// of makes the changes, on all cores, and looks at what is told of.
func (o *outcome) of(t *testing.T, steps []step, wanted func(string) int) {
	if o.missed == nil {
		o.missed, o.used = map[string]string{}, map[string]bool{}
	}
	work := make(chan mutant)
	var mu sync.Mutex // guards o
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range work {
				told := len(checkSteps(m.steps, nil)) > 0
				mu.Lock()
				if o.count++; !told {
					o.missed[m.how] = m.where
				}
				mu.Unlock()
			}
		})
	}
	mutants(t, steps, wanted, func(m mutant) { work <- m })
	close(work)
	workers.Wait()
}

// judge fails the test for what was not told of and is neither legal nor one of besides.
func (o *outcome) judge(t *testing.T, besides []string) {
	t.Logf("%d changes, %d kinds of which are not told of", o.count, len(o.missed))
	for how, where := range o.missed {
		if entry := legally(how, besides); entry != "" {
			o.used[entry] = true
		} else {
			t.Errorf("nothing is told of: %s (%s)", how, where)
		}
	}
}
