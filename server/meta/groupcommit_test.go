package meta

import (
	"fmt"
	"sync"
	"testing"

	"shoal"
)

// TestGroupable looks which commits go together.
func TestGroupable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commitOf := func(guards map[key]int64, writes ...key) *commit {
		tx := w.begin(t.Context(), ID{}, nil)
		for k, revision := range guards {
			tx.guards[k] = entry{revision: revision}
		}
		for _, k := range writes {
			tx.putValue(k, []byte("value"))
		}
		return &commit{t.Context(), tx, make(chan committed, 1)}
	}
	many := make(map[key]int64)
	for n := range batchLimit {
		many[key(fmt.Sprint("many ", n))] = 1
	}
	for name, test := range map[string]struct {
		c    *commit
		fits bool
	}{
		"touches nothing of the other":    {commitOf(map[key]int64{"c": 4}, "d"), true},
		"reads what the other reads":      {commitOf(map[key]int64{"a": 7}, "d"), true},
		"read another revision of that":   {commitOf(map[key]int64{"a": 8}, "d"), false},
		"reads what the other writes":     {commitOf(map[key]int64{"b": 1}, "d"), false},
		"writes what the other reads":     {commitOf(nil, "a"), false},
		"writes what the other writes":    {commitOf(nil, "b"), false},
		"has too many conditions with it": {commitOf(many, "d"), false},
	} {
		b := newGrouped()
		if !b.add(commitOf(map[key]int64{"a": 7}, "b")) {
			t.Fatal("the first does not fit")
		}
		if fits := b.add(test.c); fits != test.fits {
			t.Errorf("one that %s: fits %v", name, fits)
		}
	}
	for name, tx := range map[string]func(tx *transaction){
		"nothing to write": func(*transaction) {},
		"a range read":     func(tx *transaction) { tx.list("g/"); tx.putValue("b", nil) },
		"a range deleted":  func(tx *transaction) { tx.deleteAll("g/"); tx.putValue("b", nil) },
	} {
		c := commitOf(nil)
		if tx(c.t); c.t.groupable() {
			t.Errorf("with %s it can go with others", name)
		}
	}
}

// TestGroupCommit decides on many publications before any is committed. They have one revision; where one is refused, that
// spoils none of the others.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	w.ok(1, &CreateGroup{Group: "lab"})
	w.ok(1, &Publish{Group: "lab", Name: "taken", Content: file(1)})
	// One group commits, the other collects what is for it.
	collecting := newGroupCommit(w.Store, t.Context().Done())
	together := func(names ...shoal.Name) (revisions map[uint64]int) {
		committing := w.commits
		w.commits = collecting
		revisions = make(map[uint64]int)
		var mu sync.Mutex // guards revisions
		var run sync.WaitGroup
		for i, name := range names {
			id := w.id(device(1))
			run.Go(func() {
				o, err := w.Apply(t.Context(), id, &Publish{Group: "lab", Name: name, Content: file(10 + i)})
				if taken := shoal.CodeOf(err) == shoal.NameTaken; taken != (name == "taken") || err != nil && !taken {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				revisions[o.Decided]++
			})
		}
		for range names {
			committing.waiting <- <-collecting.waiting
		}
		w.commits = committing
		run.Wait()
		return revisions
	}
	var names, others []shoal.Name
	for i := range 20 {
		names, others = append(names, shoal.Name(fmt.Sprint("name ", i))), append(others, shoal.Name(fmt.Sprint("other ", i)))
	}
	together(names[0]) // what an attempt needs is remembered from now on
	if revisions := together(names[1:]...); len(revisions) > 3 {
		t.Errorf("%d publications have %d revisions", len(names)-1, len(revisions))
	}
	if revisions := together(append(others, "taken")...); len(revisions) < 2 {
		t.Errorf("what was refused has the revision of the others")
	}
}
