package hashbench

import (
	"fmt"

	"shoal/native"
)

// Figure is a ratio with the bar that it has to reach.
type Figure struct {
	Name   string  `json:"name"`
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Bar    float64 `json:"bar"`
	AtMost bool    `json:"at_most"` // whether Bar is the most that is good enough, and not the least
}

// OK tells whether the figure reaches its bar.
func (f Figure) OK() bool {
	if f.AtMost {
		return f.Value <= f.Bar
	}
	return f.Value >= f.Bar
}

// String returns the verdict: ok or short, the name, what was measured, and the bar, separated by tabs.
func (f Figure) String() string {
	word, sign := "ok", ">="
	if !f.OK() {
		word = "short"
	}
	if f.AtMost {
		sign = "<="
	}
	return fmt.Sprintf("%s\t%s\t%.3g\t%s %.3g\t%s", word, f.Name, f.Value, sign, f.Bar, f.What)
}

// figures returns those figures whose contenders were measured, and the names of the others.
func (m measurements) figures(threads int) (list []Figure, missing []string) {
	add := func(f Figure, a key, others ...key) {
		var ok bool
		if f.Value, ok = m.ratio(a, others...); ok {
			list = append(list, f)
		} else {
			missing = append(missing, f.Name)
		}
	}
	level := native.Level()
	ours := key{level, 1}
	add(Figure{Name: "b3sum-1t", What: "one thread: our rate / b3sum's as a process", Bar: 1.25}, ours, key{b3sumName, 1})
	add(Figure{Name: "go-twin", What: "one thread: our rate / lukechampine.com/blake3's", Bar: 2.3}, ours, key{lukechampine, 1})
	add(Figure{Name: "std-best", What: "one thread: our rate / the better of SHA-256's and SHA-1's", Bar: 2.8}, ours,
		key{"SHA-256", 1}, key{"SHA-1", 1})
	add(Figure{Name: "std-md5", What: "one thread: our rate / MD5's", Bar: 6.5}, ours, key{"MD5", 1})
	add(Figure{Name: "std-sha256-soft", What: "one thread: our rate / SHA-256's without SHA instructions", Bar: 10}, ours, key{softSHA256, 1})
	add(Figure{Name: "avx2", What: "one thread: AVX2's rate / SSE4.1's", Bar: 1.5}, key{"avx2", 1}, key{"sse41", 1})
	add(Figure{Name: "two-threads", What: "our rate on two threads / on one", Bar: 1.9}, key{level, 2}, ours)
	add(Figure{Name: "cgo", What: "a call's time / that of hashing 64 KiB", Bar: 0.01, AtMost: true}, key{hash64K, 1}, key{callName, 1})
	add(Figure{Name: "publish", What: "all threads: time for hash and manifest / b3sum's as a process", Bar: 1.15, AtMost: true},
		key{b3sumName, threads}, key{publishName, threads})
	return list, missing
}
