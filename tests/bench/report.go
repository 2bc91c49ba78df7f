package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// errShort says that a figure did not reach its bar.
var errShort = errors.New("a figure is short")

// A verdict is a figure against its bar. What is measured and the bar are in the same unit, which unit names.
type verdict struct {
	name     string
	measured float64
	bar      float64
	atLeast  bool // the bar is the least that is good enough, not the most
	unit     string
}

func (v verdict) ok() bool {
	if v.atLeast {
		return v.measured >= v.bar
	}
	return v.measured <= v.bar
}

func (v verdict) String() string {
	word, sign := "ok", "<="
	if !v.ok() {
		word = "short"
	}
	if v.atLeast {
		sign = ">="
	}
	return fmt.Sprintf("%s\t%s\t%.3g%s\t%s %.3g%s", word, v.name, v.measured, v.unit, sign, v.bar, v.unit)
}

// report prints the verdicts and returns errShort if a figure is short.
func report(verdicts []verdict) error {
	var lines []string
	for _, v := range verdicts {
		lines = append(lines, v.String())
	}
	if err := table("", lines); err != nil {
		return err
	}
	if !allOK(verdicts) {
		return errShort
	}
	return nil
}

func allOK(verdicts []verdict) bool {
	return !slices.ContainsFunc(verdicts, func(v verdict) bool { return !v.ok() })
}

// table prints rows of cells separated by tabs.
func table(title string, rows []string) error {
	fmt.Println(title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, strings.Join(rows, "\n")); err != nil {
		return err
	}
	return w.Flush()
}

// median returns the middle value, of an even number the lower of the two; list must not be empty.
func median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func mibs(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/mib) }
