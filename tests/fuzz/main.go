// Fuzz runs every fuzz target of the project, one after the other, and prints a line for each: its name, how many inputs it
// was given, how many of them reached something new, and ok or FOUND. What it finds lies in the testdata of the target's
// package afterwards, and how to see it again is printed. It exits with status 1 when there was a finding, 2 when it could
// not run.
//
// What the fuzzer learns stays in Go's cache for the next time. With -keep it is not run: of what it has learned, the few
// inputs that reach all that the many do are written to each target's corpus, to be committed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

func main() {
	var o options
	flag.DurationVar(&o.each, "for", 30*time.Second, "how long each target is fuzzed")
	only := flag.String("run", "", "fuzz only the targets whose name (package/FuzzName) this regular `expression` matches")
	flag.IntVar(&o.workers, "parallel", runtime.GOMAXPROCS(0), "how many processes fuzz a target")
	flag.IntVar(&o.keep, "keep", 0, "instead of fuzzing, write up to so many inputs to each target's corpus")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, ".", *only, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
	}
	switch {
	case errors.Is(err, errFound):
		os.Exit(1)
	case err != nil:
		os.Exit(2)
	}
}

// options are for all targets.
type options struct {
	each    time.Duration
	workers int
	keep    int // how many inputs the corpus of a target may have; 0 to fuzz
}

var errFound = errors.New("there are findings")

// run fuzzes the targets of the module at root whose names match, or writes their corpora.
func run(ctx context.Context, root, only string, o options) error {
	match, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("reading -run: %w", err)
	}
	all, err := targets(root)
	if err != nil {
		return fmt.Errorf("looking for targets: %w", err)
	}
	var built *binary
	defer func() { built.remove() }()
	found, ran := false, 0
	for _, t := range all {
		if !match.MatchString(t.String()) {
			continue
		}
		if built == nil || built.folder != t.folder {
			built.remove()
			if built, err = build(ctx, t.folder, o.keep > 0); err != nil {
				return err
			}
		}
		ran++
		if o.keep > 0 {
			err = built.keep(ctx, t, o.keep)
		} else {
			err = built.fuzz(ctx, t, o)
		}
		if found = found || errors.Is(err, errFound); err != nil && !errors.Is(err, errFound) {
			return fmt.Errorf("%v: %w", t, err)
		}
	}
	switch {
	case ran == 0:
		return fmt.Errorf("there is no target that matches %q", only)
	case found:
		return errFound
	}
	return nil
}
