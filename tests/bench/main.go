// Bench measures shoal against what people would use instead, on this machine, and checks the figures that must hold.
//
// It prints tables and then one line per figure: ok or short, its name, what was measured, and the bar. It exits with
// status 1 when a figure is short, 2 when it could not measure. Only ratios within one run mean something: contenders
// take turns, the first turn of each is thrown away, and medians are compared. All traffic is on loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"shoal/tests/bench/report"
)

// limit bounds the whole run.
const limit = 30 * time.Minute

// A figure is one thing measured: it prints its tables to standard output and returns its verdicts.
type figure struct {
	name    string
	measure func(context.Context, *bench) ([]report.Verdict, error)
}

var figures = []figure{
	{"small", small},
	{"memory", memory},
	{"loopback", loopback},
}

// bench is what the figures share.
type bench struct {
	shoal string // path of the program
	dir   string // a folder of its own on a disk, removed at the end
}

func main() {
	err := run()
	switch {
	case err == nil:
	case errors.Is(err, report.ErrShort):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

func run() (err error) {
	program := flag.String("shoal", "bin/shoal", "the program to measure")
	parent := flag.String("dir", "/var/tmp", "where the files go: on a disk, with 12 GiB free")
	only := flag.String("only", "", "figures to measure, separated by commas: "+names()+" (default: all)")
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(*program)
	if err != nil {
		return fmt.Errorf("finding the program to measure: %w", err)
	}
	if err := checkDisk(*parent); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(*parent, "shoal-bench-")
	if err != nil {
		return fmt.Errorf("making a folder for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %v", limit))
	defer cancel()
	return measure(ctx, chosen, &bench{shoal: path, dir: dir})
}

func measure(ctx context.Context, chosen []figure, b *bench) error {
	var verdicts []report.Verdict
	for _, f := range chosen {
		fmt.Fprintf(os.Stderr, "bench: measuring %s\n", f.name)
		got, err := f.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", f.name, err)
		}
		verdicts = append(verdicts, got...)
	}
	return report.Print(verdicts)
}

func choose(only string) ([]figure, error) {
	if only == "" {
		return figures, nil
	}
	var chosen []figure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(figures, func(f figure) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no figure %q; there are: %s", name, names())
		}
		chosen = append(chosen, figures[i])
	}
	return chosen, nil
}

func names() string {
	var list []string
	for _, f := range figures {
		list = append(list, f.name)
	}
	return strings.Join(list, ",")
}
