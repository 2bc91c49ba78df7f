package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestChange(t *testing.T) {
	if up, down := change(100*mib, 110*mib), change(100*mib, 90*mib); up < 9.99 || up > 10.01 || down < 9.99 || down > 10.01 {
		t.Errorf("changes %v and %v, want 10", up, down)
	}
	if unseen := change(mib/2, 20*mib); unseen != 0 {
		t.Errorf("a process seen only before its exec changed by %v %%", unseen)
	}
}

func TestSameFindsADifference(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := makeRandom(path, 3*mib+5, 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := same(a, b); err != nil {
		t.Errorf("the same seed: %v", err)
	}
	if err := os.Truncate(b, 3*mib+4); err != nil {
		t.Fatal(err)
	}
	if err := same(a, b); err == nil {
		t.Error("a file that is one byte shorter counts as the same")
	}
	if err := makeRandom(b, 3*mib+5, 8); err != nil {
		t.Fatal(err)
	}
	if err := same(a, b); err == nil {
		t.Error("other bytes count as the same")
	}
}

// A sparse file has bytes on both sides of the boundaries where 31 and 32 bits end, and at both ends.
func TestSparseHasBytesAtItsBoundaries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse")
	const size = 6 * gib
	if err := makeSparse(path, size, 1); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size {
		t.Fatalf("size %v, %v, want %d", info.Size(), err, int64(size))
	}
	for _, at := range []int64{0, 2*gib - 64, 2 * gib, 4*gib - 64, 4 * gib, size - 64} {
		part := make([]byte, 64)
		if _, err := f.ReadAt(part, at); err != nil {
			t.Fatal(err)
		}
		if string(part) == string(make([]byte, 64)) {
			t.Errorf("nothing at %d", at)
		}
	}
}
