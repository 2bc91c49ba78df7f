package hashbench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// Print writes the report as tables for people.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "%s, %d threads, level %s\n\n", r.CPU, r.Threads, r.Level)
	_, _ = fmt.Fprintln(t, "hash\tthreads\tGB/s")
	for _, rate := range r.Rates {
		if rate.Name != callName {
			_, _ = fmt.Fprintf(t, "%s\t%d\t%.2f\n", rate.Name, rate.Threads, rate.GBps)
		}
	}
	_, _ = fmt.Fprintln(t, "\nfigure\tvalue\tbound\t\twhat")
	for _, f := range r.Figures {
		sign, verdict := "≥", "holds"
		if f.Most {
			sign = "≤"
		}
		if !f.Holds() {
			verdict = "MISSED"
		}
		_, _ = fmt.Fprintf(t, "%s\t%.4g\t%s %g\t%s\t%s\n", f.Name, f.Value, sign, f.Bound, verdict, f.What)
	}
	for _, m := range r.Missing {
		_, _ = fmt.Fprintf(t, "not measured: %s\n", m)
	}
	return t.Flush()
}

// cpuName returns what Linux calls the processor, elsewhere its architecture.
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
