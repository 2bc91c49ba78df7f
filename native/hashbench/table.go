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

// Print writes the report for people: a table of the rates, and a line for each figure.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "%s, %d threads, level %s, buffers of %d KiB\n\n", r.CPU, r.Threads, r.Level, r.Buffer>>10)
	_, _ = fmt.Fprintln(t, "hash\tthreads\tGB/s")
	for _, rate := range r.Rates {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.2f\n", rate.Name, rate.Threads, rate.GBps)
	}
	if len(r.Figures) > 0 {
		_, _ = fmt.Fprintln(t)
	}
	for _, f := range r.Figures {
		_, _ = fmt.Fprintln(t, f)
	}
	if len(r.Missing) > 0 {
		_, _ = fmt.Fprintf(t, "not on this machine or in this build: %s\n", strings.Join(r.Missing, ", "))
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
