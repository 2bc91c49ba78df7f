package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// largest is how long an input may be, as it is written in a corpus, that is kept for what it reaches.
const largest = 8 << 10

// keep writes to the target's corpus inputs that reach together what all that the fuzzer has learned do, the small ones
// first, up to count more than what is committed.
func (b *binary) keep(ctx context.Context, t target, count int) error {
	learned, err := inputs(filepath.Join(b.cache, t.name))
	if err != nil {
		return err
	}
	committed, err := inputs(t.corpus())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.corpus(), 0o755); err != nil {
		return err
	}
	for _, path := range committed {
		learned = slices.DeleteFunc(learned, func(p string) bool { return filepath.Base(p) == filepath.Base(path) })
	}
	reached := map[string]bool{}
	kept := len(committed)
	for i, path := range append(committed, learned...) {
		was := len(reached)
		place := filepath.Join(t.corpus(), filepath.Base(path))
		if i >= len(committed) {
			if kept >= count {
				break
			}
			if err := copyFile(place, path); err != nil {
				return err
			}
		}
		if err := b.reach(ctx, t, filepath.Base(path), reached); err != nil {
			return err
		}
		switch {
		case i < len(committed):
		case len(reached) > was:
			kept++
		default:
			if err := os.Remove(place); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%-45s %4d inputs of %d, %d lines\n", t, kept, len(learned), len(reached))
	return nil
}

// inputs are the files of a corpus, the small ones first, without those that are too long.
func inputs(folder string) ([]string, error) {
	listed, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	type input struct {
		path string
		size int64
	}
	var all []input
	for _, d := range listed {
		info, err := d.Info()
		if err != nil {
			return nil, err
		}
		if info.Size() <= largest {
			all = append(all, input{filepath.Join(folder, d.Name()), info.Size()})
		}
	}
	slices.SortFunc(all, func(a, b input) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.path, b.path)) })
	var paths []string
	for _, in := range all {
		paths = append(paths, in.path)
	}
	return paths, nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// reach runs the target with one input of its corpus, and adds the blocks of code that it comes to.
func (b *binary) reach(ctx context.Context, t target, input string, reached map[string]bool) error {
	profile := filepath.Join(filepath.Dir(b.path), "profile")
	cmd := exec.CommandContext(ctx, b.path, "-test.run=^"+t.name+"$/^"+input+"$", "-test.coverprofile="+profile)
	cmd.Dir = b.folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("input %s: %w: %s", input, err, bytes.TrimSpace(out))
	}
	f, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if block, zero := strings.CutSuffix(lines.Text(), " 0"); !zero {
			reached[block] = true
		}
	}
	return lines.Err()
}
