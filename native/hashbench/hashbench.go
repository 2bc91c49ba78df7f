// Package hashbench measures how fast package native hashes, next to the standard library, lukechampine.com/blake3 and
// the program b3sum. On a shared machine only ratios within one run mean something: contenders take turns, round by
// round, and each figure is the median of the rounds' own ratios.
package hashbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"shoal/native"
)

// Options says what to measure.
type Options struct {
	Rounds int           // how many rounds; 0 means 7
	Slice  time.Duration // how long each contender runs in a round; 0 means 30 ms

	// FileSize is the size in bytes of the file that is hashed by b3sum and by Publish; 0 leaves both out. The file is
	// made in Dir (by default the system's temporary folder), stays in the page cache and is removed.
	FileSize int64
	Dir      string

	// Publish hashes the file and makes its manifest, on all cores; nil leaves the figure out.
	Publish func(ctx context.Context, f *os.File, size int64) error

	// SoftSHA256 holds the arguments that make this program call PrintSHA256; nil leaves the figure out. The program is
	// started with them and with the processor's SHA instructions turned off.
	SoftSHA256 []string
}

// Report is the outcome of Run.
type Report struct {
	CPU     string   `json:"cpu"`
	Threads int      `json:"threads"`
	Level   string   `json:"level"` // the level in use
	Rates   []Rate   `json:"rates"`
	Figures []Figure `json:"figures"`
	Missing []string `json:"missing,omitempty"` // what could not be measured, and why
}

// Rate is the median speed of one contender.
type Rate struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	GBps    float64 `json:"gb_per_s"` // 10^9 bytes a second
}

// Figure is a ratio with the bound that it has to keep.
type Figure struct {
	Name  string  `json:"name"`
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Bound float64 `json:"bound"`
	Most  bool    `json:"at_most"` // whether Bound is the largest value allowed, or else the smallest
}

// Holds tells whether the figure keeps its bound.
func (f Figure) Holds() bool {
	if f.Most {
		return f.Value <= f.Bound
	}
	return f.Value >= f.Bound
}

// Run measures. It takes some seconds, and the machine should have nothing else to do.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Rounds == 0 {
		o.Rounds = 7
	}
	if o.Slice == 0 {
		o.Slice = 30 * time.Millisecond
	}
	r := &Report{CPU: cpuName(), Threads: runtime.GOMAXPROCS(0), Level: native.Level()}
	list := contenders()
	if o.SoftSHA256 != nil {
		list = append(list, contender{softSHA256, 1, func(ctx context.Context, _ time.Duration) (float64, error) {
			return runSoftSHA256(ctx, o.SoftSHA256)
		}})
	} else {
		r.Missing = append(r.Missing, "std-sha256-soft: no command given")
	}
	if o.FileSize > 0 {
		f, err := makeFile(o.Dir, o.FileSize)
		if err != nil {
			return nil, err
		}
		defer func() {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}()
		list = append(list, fileContenders(f, o)...)
	}
	m := make(measurements)
	for round := -1; round < o.Rounds; round++ { // the first round only warms up
		for _, c := range list {
			rate, err := c.run(ctx, o.Slice)
			switch {
			case errors.Is(err, exec.ErrNotFound):
				if round < 0 {
					r.Missing = append(r.Missing, fmt.Sprintf("%s: %v", c.name, err))
				}
			case err != nil:
				return nil, fmt.Errorf("measuring %s: %w", c.name, err)
			case round >= 0:
				m[c.key()] = append(m[c.key()], rate)
			}
		}
	}
	for _, c := range list {
		if rates := m[c.key()]; rates != nil {
			r.Rates = append(r.Rates, Rate{c.name, c.threads, median(rates)})
		}
	}
	r.Figures = m.figures(r.Threads)
	return r, nil
}

// key identifies a contender.
type key struct {
	name    string
	threads int
}

// measurements holds the rates of each round.
type measurements map[key][]float64

// ratio returns the median over the rounds of a's rate divided by the best of the others', and whether there is one.
func (m measurements) ratio(a key, others ...key) (float64, bool) {
	var ratios []float64
	for i, rate := range m[a] {
		best := 0.0
		for _, o := range others {
			if i < len(m[o]) {
				best = max(best, m[o][i])
			}
		}
		if best > 0 {
			ratios = append(ratios, rate/best)
		}
	}
	if ratios == nil {
		return 0, false
	}
	return median(ratios), true
}

// figures returns those figures whose contenders were measured. Where b3sum or a level is missing, so is the figure.
func (m measurements) figures(threads int) []Figure {
	var list []Figure
	add := func(f Figure, a key, others ...key) {
		var ok bool
		if f.Value, ok = m.ratio(a, others...); ok {
			list = append(list, f)
		}
	}
	ours := key{native.Level(), 1}
	add(Figure{Name: "b3sum-1t", What: "our rate / b3sum's, one thread", Bound: 1.25}, ours, key{b3sumName, 1})
	add(Figure{Name: "go-twin", What: "our rate / lukechampine.com/blake3's", Bound: 2.3}, ours, key{"go", 1}, key{lukechampine, 1})
	add(Figure{Name: "std-best", What: "our rate / the fastest standard cryptographic hash's", Bound: 2.8}, ours,
		key{"SHA-256", 1}, key{"SHA-1", 1}, key{"SHA-512", 1})
	add(Figure{Name: "std-md5", What: "our rate / MD5's", Bound: 6.5}, ours, key{"MD5", 1})
	add(Figure{Name: "std-sha256-soft", What: "our rate / SHA-256's without SHA instructions", Bound: 10}, ours, key{softSHA256, 1})
	add(Figure{Name: "avx2", What: "AVX2's rate / SSE4.1's", Bound: 1.5}, key{"avx2", 1}, key{"sse41", 1})
	add(Figure{Name: "two-threads", What: "our rate for pieces on two threads / on one", Bound: 1.9}, key{piecesName, 2}, key{piecesName, 1})
	if native.Level() != "go" {
		add(Figure{Name: "cgo", What: "a call's cost / time to hash 64 KiB", Bound: 0.01, Most: true}, key{hash64K, 1}, key{callName, 1})
	}
	add(Figure{Name: "publish", What: "time for hash and manifest / b3sum's, all threads", Bound: 1.15, Most: true},
		key{b3sumName, threads}, key{publishName, threads})
	return list
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
