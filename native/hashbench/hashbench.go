// Package hashbench measures how fast package native hashes, next to the standard library, lukechampine.com/blake3 and
// the program b3sum. On a shared machine only ratios within one run mean something: contenders take turns, round by
// round, and each figure is the median of the rounds' own ratios.
package hashbench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"shoal/native"
)

// Options says how to measure; the zero value will do.
type Options struct {
	Rounds int           // how many rounds; 0 means 9
	Slice  time.Duration // how long each contender runs in a round; 0 means 5 ms
	Rivals *Rivals       // what else to measure, for the figures; nil leaves them out
}

const (
	defaultRounds = 9
	defaultSlice  = 5 * time.Millisecond
)

// Report is the outcome of Run.
type Report struct {
	CPU     string   `json:"cpu"`
	Threads int      `json:"threads"`
	Buffer  int      `json:"buffer"` // bytes hashed in one call
	Level   string   `json:"level"`  // the level in use
	Rates   []Rate   `json:"rates"`
	Figures []Figure `json:"figures,omitempty"`
	Missing []string `json:"missing,omitempty"` // figures that this machine or build cannot have
}

// Rate is the median speed of one contender.
type Rate struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	GBps    float64 `json:"gb_per_s"` // 10^9 bytes a second
}

// Run measures. It takes some seconds, and the machine should have nothing else to do.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Rounds == 0 {
		o.Rounds = defaultRounds
	}
	if o.Slice == 0 {
		o.Slice = defaultSlice
	}
	list := contenders()
	if o.Rivals != nil {
		rivals, remove, err := o.Rivals.contenders()
		if err != nil {
			return nil, err
		}
		defer remove()
		list = append(list, rivals...)
	}
	m, err := measure(ctx, list, o)
	if err != nil {
		return nil, err
	}
	r := &Report{CPU: cpuName(), Threads: runtime.GOMAXPROCS(0), Buffer: bufferSize, Level: native.Level()}
	for _, c := range list {
		if c.name != callName { // it hashes nothing
			r.Rates = append(r.Rates, Rate{c.name, c.threads, median(m[c.key()])})
		}
	}
	if o.Rivals != nil {
		r.Figures, r.Missing = m.figures(r.Threads)
	}
	return r, nil
}

// measure lets the contenders take turns. The first round only warms up.
func measure(ctx context.Context, list []contender, o Options) (measurements, error) {
	m := make(measurements)
	for round := -1; round < o.Rounds; round++ {
		for _, c := range list {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			rate, err := c.run(ctx, o.Slice)
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", c.name, err)
			}
			if round >= 0 {
				m[c.key()] = append(m[c.key()], rate)
			}
		}
	}
	return m, nil
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

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
