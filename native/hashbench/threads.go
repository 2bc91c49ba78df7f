package hashbench

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A measurement counts as disturbed when a thread was on a processor for less than this share of its time, because the
// kernel gave that to another; it is then repeated, up to so many times.
const (
	leastShare = 0.98
	tries      = 10
)

// undisturbed has each of the threads call f, which handles n bytes, for the time d, and returns their rate together in
// GB/s. When other programs disturbed it, it measures again: what is to be known is how fast the machine hashes, not
// how busy it is. Time that threads spend waiting for each other is never left out.
func undisturbed(threads int, d time.Duration, n int, f func(thread int)) (rate float64, err error) {
	for range tries {
		var disturbed bool
		if rate, disturbed, err = together(threads, d, n, f); err != nil || !disturbed {
			return rate, err
		}
	}
	return rate, nil
}

// together measures once: all threads begin when the last is ready, and stop when the first has had its time.
func together(threads int, d time.Duration, n int, f func(thread int)) (rate float64, disturbed bool, err error) {
	var ready atomic.Int64
	var stop atomic.Bool
	var workers sync.WaitGroup
	var mu sync.Mutex // guards the results
	for thread := range threads {
		workers.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Add(1)
			for ready.Load() < int64(threads) {
				runtime.Gosched()
			}
			before, errBefore := processor()
			start := time.Now()
			calls := 0
			var took time.Duration
			for done := false; !done; done = stop.Load() { // once at least, or there would be no rate
				f(thread)
				calls++
				if took = time.Since(start); took >= d {
					stop.Store(true)
				}
			}
			after, errAfter := processor()
			mu.Lock()
			defer mu.Unlock()
			rate += float64(calls) * float64(n) / 1e9 / took.Seconds()
			taken := after.preempted != before.preempted
			disturbed = disturbed || taken && (after.time-before.time).Seconds() < leastShare*took.Seconds()
			err = errors.Join(err, errBefore, errAfter)
		})
	}
	workers.Wait()
	return rate, disturbed, err
}

// usage is what a thread has had of processors.
type usage struct {
	time      time.Duration
	preempted int64 // how often the kernel took the processor for another thread, without being asked to
}

// processor returns the usage of this thread.
func processor() (usage, error) {
	var use unix.Rusage
	var spent unix.Timespec
	err := errors.Join(unix.Getrusage(unix.RUSAGE_THREAD, &use), unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spent))
	if err != nil {
		return usage{}, fmt.Errorf("asking for this thread's time: %w", err)
	}
	return usage{time.Duration(spent.Nano()), int64(use.Nivcsw)}, nil
}
