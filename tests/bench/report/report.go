// Package report is how benchmarks print what they measured: tables, then one line per figure with its verdict.
package report

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// ErrShort says that a figure did not reach its bar.
var ErrShort = errors.New("a figure is short")

// A Verdict is a figure against its bar. What is measured and the bar are in the same unit, which Unit names.
type Verdict struct {
	Name     string
	Measured float64
	Bar      float64
	AtLeast  bool // the bar is the least that is good enough, not the most
	Unit     string
}

// OK tells whether the bar is reached.
func (v Verdict) OK() bool {
	if v.AtLeast {
		return v.Measured >= v.Bar
	}
	return v.Measured <= v.Bar
}

func (v Verdict) String() string {
	word, sign := "ok", "<="
	if !v.OK() {
		word = "short"
	}
	if v.AtLeast {
		sign = ">="
	}
	return fmt.Sprintf("%s\t%s\t%.3g%s\t%s %.3g%s", word, v.Name, v.Measured, v.Unit, sign, v.Bar, v.Unit)
}

// Print prints the verdicts and returns ErrShort if a figure is short.
func Print(verdicts []Verdict) error {
	var lines []string
	for _, v := range verdicts {
		lines = append(lines, v.String())
	}
	if err := Table("", lines); err != nil {
		return err
	}
	if !allOK(verdicts) {
		return ErrShort
	}
	return nil
}

func allOK(verdicts []Verdict) bool {
	return !slices.ContainsFunc(verdicts, func(v Verdict) bool { return !v.OK() })
}

// Table prints rows of cells separated by tabs.
func Table(title string, rows []string) error {
	fmt.Println(title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, strings.Join(rows, "\n")); err != nil {
		return err
	}
	return w.Flush()
}

// Median returns the middle value, of an even number the lower of the two; list must not be empty.
func Median[T cmp.Ordered](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}
