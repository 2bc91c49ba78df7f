// Package bounds holds tests to what input from others may cost: at most a second, and at most 64 times its length and 1 MiB
// of memory. Every fuzz target does its work in Hold, so that the fuzzer finds what costs more, as it finds what panics.
package bounds

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What an input may cost. Time is the process's own, user and system, as others share the processor; Wait is by the clock,
// and for what sleeps or hangs.
const (
	Time    = time.Second
	Wait    = 10 * time.Second
	PerByte = 64
	Floor   = 1 << 20
)

// Hold does the work that an input of size bytes leads to, and fails the test where it costs too much.
//
// What is counted is the whole process's, as reading that is cheap: a microsecond. So nothing else may run meanwhile, and
// the bytes are exact to some 100 KiB, as the runtime counts small objects by the span. Work that stands up something
// large for each input, such as a buffer of a fixed size, does so before it calls Hold.
func Hold(t testing.TB, size int, work func()) {
	t.Helper()
	HoldSaid(t, func() int {
		work()
		return size
	})
}

// HoldSaid is Hold for work that tells afterwards how many bytes were said to what is tested.
func HoldSaid(t testing.TB, work func() (size int)) {
	t.Helper()
	began, heap, used := time.Now(), allocated(), processorTime(t)
	size := work()
	cost, took, waited := allocated()-heap, processorTime(t)-used, time.Since(began)
	if bound := slack * Bound(size); cost > bound {
		t.Errorf("%d bytes were allocated for an input of %d, for which %d are the limit", cost, size, bound)
	}
	if took > Time || waited > Wait {
		t.Errorf("an input of %d bytes took %v of processor time and %v in all", size, took, waited)
	}
}

// Bound is how many bytes may be allocated for an input of size bytes.
func Bound(size int) uint64 { return PerByte*uint64(size) + Floor }

// Allocated is the number of bytes that work allocates, exactly. It stops the process twice, so it is not for each input of
// a fuzzer.
func Allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func processorTime(t testing.TB) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
