package report

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
)

// A Bench is what the figures of one program share.
type Bench struct {
	Shoal string // path of the program that is measured
	Dir   string // a folder of its own, removed at the end
}

// A Figure is one thing measured: it prints its tables to standard output and returns its verdicts.
type Figure struct {
	Name    string
	Measure func(context.Context, *Bench) ([]Verdict, error)
}

// A Program is a program that measures figures.
type Program struct {
	Name    string // as make knows it
	Limit   time.Duration
	Disk    string             // what the folder for the files must be, for the help
	Check   func(string) error // refuses a folder that is not; may be nil
	Figures []Figure
}

// Main measures what the command line asks for, prints the verdicts and ends the process: with status 0, with 1 when a
// figure is short, with 2 when it could not measure.
func (p Program) Main() {
	err := p.run()
	switch {
	case err == nil:
	case errors.Is(err, ErrShort):
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		os.Exit(2)
	}
}

func (p Program) run() (err error) {
	program := flag.String("shoal", "bin/shoal", "the program to measure")
	parent := flag.String("dir", "/var/tmp", "where the files go: "+p.Disk)
	only := flag.String("only", "", "figures to measure, separated by commas: "+p.names()+" (default: all)")
	flag.Parse()
	chosen, err := p.choose(*only)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(*program)
	if err != nil {
		return fmt.Errorf("finding the program to measure: %w", err)
	}
	if p.Check != nil {
		if err := p.Check(*parent); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(*parent, "shoal-"+p.Name+"-")
	if err != nil {
		return fmt.Errorf("making a folder for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, p.Limit, fmt.Errorf("not finished after %v", p.Limit))
	defer cancel()
	return p.measure(ctx, chosen, &Bench{Shoal: path, Dir: dir})
}

func (p Program) measure(ctx context.Context, chosen []Figure, b *Bench) error {
	var verdicts []Verdict
	for _, f := range chosen {
		fmt.Fprintf(os.Stderr, "%s: measuring %s\n", p.Name, f.Name)
		got, err := f.Measure(ctx, b)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", f.Name, err)
		}
		verdicts = append(verdicts, got...)
	}
	return Print(verdicts)
}

// choose returns the figures named in only; all when it is empty.
func (p Program) choose(only string) ([]Figure, error) {
	if only == "" {
		return p.Figures, nil
	}
	var chosen []Figure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(p.Figures, func(f Figure) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no figure %q; there are: %s", name, p.names())
		}
		chosen = append(chosen, p.Figures[i])
	}
	return chosen, nil
}

func (p Program) names() string {
	var list []string
	for _, f := range p.Figures {
		list = append(list, f.Name)
	}
	return strings.Join(list, ",")
}
