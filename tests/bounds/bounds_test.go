package bounds

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a test that notes what it is failed for.
type failing struct {
	testing.TB
	why []string
}

func (f *failing) Errorf(format string, args ...any) {
	f.why = append(f.why, fmt.Sprintf(format, args...))
}

var sink []byte

func TestHold(t *testing.T) {
	allocate := func(n int) func() { return func() { sink = make([]byte, n) } }
	small := func() {
		for range 3 * slack << 10 {
			sink = make([]byte, 1<<10)
		}
	}
	for _, c := range []struct {
		what string
		size int
		work func()
		good bool
	}{
		{"nothing", 0, func() {}, true},
		{"less than the floor", 0, allocate(Floor / 2), true},
		{"more than the floor", 0, allocate(slack*Floor + 1<<19), false},
		{"what the input is worth", 1 << 20, allocate(PerByte << 20), true},
		{"more than it is worth", 1 << 20, allocate(slack*(PerByte<<20+Floor) + 1<<19), false},
		{"many small objects", 1, small, false},
		{"many small objects for much", 48 << 10, small, true},
		{"too long", 0, func() {
			for began := processorTime(t); processorTime(t)-began <= Time; {
			}
		}, false},
	} {
		f := &failing{TB: t}
		if Hold(f, c.size, c.work); (len(f.why) == 0) != c.good {
			t.Errorf("%s: %v", c.what, f.why)
		}
	}
}

func TestHoldWhatSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{TB: t}
		if Hold(f, 0, func() { time.Sleep(Wait + 1) }); len(f.why) == 0 {
			t.Error("an input may sleep for as long as it likes")
		}
	})
}

func TestAllocated(t *testing.T) {
	if got := Allocated(func() { sink = make([]byte, 1<<20) }); got < 1<<20 || got > 1<<20+1<<14 {
		t.Errorf("%d bytes instead of 1 MiB", got)
	}
}

func BenchmarkHold(b *testing.B) {
	for b.Loop() {
		Hold(b, 0, func() {})
	}
}
