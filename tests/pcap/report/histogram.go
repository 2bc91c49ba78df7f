package report

import (
	"encoding/json"
	"math/bits"
	"time"
)

// Duration is written to JSON in microseconds.
type Duration time.Duration

// MarshalJSON writes whole microseconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Microseconds())
}

// histogram counts durations. What it gives back is right to 3 percent, which takes no more memory for many of them.
type histogram struct {
	counts map[int]int // by bucket
	total  int
	most   time.Duration
}

// fine is how many bits below the highest one tell durations apart.
const fine = 5

// bucket is where a duration is counted: its length in bits, and the bits after the first.
func bucket(d time.Duration) int {
	n := uint64(max(0, d))
	length := bits.Len64(n)
	if length <= fine+1 {
		return int(n)
	}
	return (length-fine)<<fine + int(n>>(length-fine-1))&(1<<fine-1)
}

// longest is the longest duration that is counted in a bucket.
func longest(b int) time.Duration {
	if b < 1<<(fine+1) {
		return time.Duration(b)
	}
	shift := b>>fine - 1
	return time.Duration((uint64(b&(1<<fine-1)+1<<fine)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	if h.counts == nil {
		h.counts = map[int]int{}
	}
	h.counts[bucket(d)]++
	h.total++
	h.most = max(h.most, d)
}

// quantile is the duration that a share q of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(q*float64(h.total) + 0.999999)
	for b := range (64 - fine + 1) << fine {
		if rank -= h.counts[b]; rank <= 0 {
			return min(longest(b), h.most)
		}
	}
	return h.most
}
