package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// defects says what a module's targets lack, each in a line.
func defects(t *testing.T, root string) (all []string, count int) {
	t.Helper()
	found, err := targets(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range found {
		kept, err := os.ReadDir(target.corpus())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if len(kept) == 0 {
			all = append(all, target.String()+" has no corpus: see CONTRIBUTING.md")
		}
		if !target.held {
			all = append(all, target.String()+" does not work in bounds.Hold")
		}
	}
	return all, len(found)
}

// Every fuzz target has inputs to begin with, and knows what an input may cost.
func TestTargets(t *testing.T) {
	found, count := defects(t, filepath.Join("..", ".."))
	for _, what := range found {
		t.Error(what)
	}
	if count < 20 {
		t.Errorf("only %d targets were found", count)
	}
}

// Inputs of targets that are no more would never be run again.
func TestCorporaHaveTargets(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	all, err := targets(root)
	if err != nil {
		t.Fatal(err)
	}
	known, total := map[string]bool{}, int64(0)
	for _, target := range all {
		known[target.corpus()] = true
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && isModule(path):
			return fs.SkipDir
		case d.IsDir() || filepath.Base(filepath.Dir(filepath.Dir(path))) != "fuzz" || !strings.Contains(path, "/testdata/fuzz/"):
			return nil
		}
		if !known[filepath.Dir(path)] {
			t.Errorf("%s is of no target", path)
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if total > 1<<20 {
		t.Errorf("the corpora take %d KiB: keep fewer and smaller inputs", total>>10)
	}
}

// In a module with a target that fails, and has neither a corpus nor bounds, all of that is found.
func TestPlanted(t *testing.T) {
	planted := t.TempDir()
	if err := os.CopyFS(planted, os.DirFS(filepath.Join("testdata", "planted"))); err != nil {
		t.Fatal(err)
	}
	if found, count := defects(t, planted); count != 2 || len(found) != 2 || !strings.HasPrefix(found[0]+found[1], "FuzzBad has no corpus") {
		t.Errorf("of %d targets: %q", count, found)
	}
	o := options{each: 10 * time.Second, workers: 1}
	if err := run(t.Context(), planted, "Bad", o); !errors.Is(err, errFound) {
		t.Errorf("the target that fails: %v", err)
	}
	written, err := os.ReadDir(filepath.Join(planted, "testdata", "fuzz", "FuzzBad"))
	if err != nil || len(written) != 1 {
		t.Errorf("%d findings were written: %v", len(written), err)
	}
	o.each = 100 * time.Millisecond
	if err := run(t.Context(), planted, "^inner/", o); err != nil {
		t.Errorf("the target that does not: %v", err)
	}
	o.keep = 3
	for range 2 {
		if err := run(t.Context(), planted, "^inner/", o); err != nil {
			t.Errorf("keeping its corpus: %v", err)
		}
	}
	if kept, err := os.ReadDir(filepath.Join(planted, "inner", "testdata", "fuzz", "FuzzGood")); err != nil || len(kept) == 0 {
		t.Errorf("%d inputs are kept, %v", len(kept), err)
	}
	if err := run(t.Context(), planted, "Missing", o); err == nil || errors.Is(err, errFound) {
		t.Errorf("a target that is not there: %v", err)
	}
}
