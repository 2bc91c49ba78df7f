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

// tries is how often a measurement is repeated that other programs disturbed.
const tries = 3

// undisturbed has each of the threads call f, which handles n bytes, for the time d, and returns their rate together in
// GB/s. When the kernel gave a processor to another program meanwhile it measures again, some times: what is to be
// known is how fast the machine hashes, not how busy it is. (Waiting for each other is no reason to measure again.)
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
			before, errBefore := preemptions()
			start := time.Now()
			calls := 0
			var took time.Duration
			for !stop.Load() {
				f(thread)
				calls++
				if took = time.Since(start); took >= d {
					stop.Store(true)
				}
			}
			after, errAfter := preemptions()
			mu.Lock()
			defer mu.Unlock()
			rate += float64(calls) * float64(n) / 1e9 / took.Seconds()
			disturbed = disturbed || after != before
			err = errors.Join(err, errBefore, errAfter)
		})
	}
	workers.Wait()
	return rate, disturbed, err
}

// preemptions returns how often the kernel has taken the processor from this thread for another.
func preemptions() (int64, error) {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &use); err != nil {
		return 0, fmt.Errorf("asking how often this thread was interrupted: %w", err)
	}
	return int64(use.Nivcsw), nil
}
