package server

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// largeState is the size of a database, in bytes, from which on it matters how the garbage collector goes about it.
	largeState = 32 << 20
	// leastRoom is how many bytes of garbage there may be before they are collected, however little is in use: etcd leaves
	// a lot for each change, and Go on its own would collect it every few hundred changes. enoughRoom is how many there may
	// be where more than that is in use.
	leastRoom, enoughRoom = 128 << 20, 256 << 20
	// leastPercent and mostPercent bound GOGC. Where a large state stays in use, half as much again is room enough.
	leastPercent, mostPercent = 50, 800
	// tendEvery is how often GOGC is set anew.
	tendEvery = time.Second
	// heapPerDatabase is how much larger than the database the heap may be before there is any collection while it is
	// loaded. What stays of it is about twice as large as the database.
	heapPerDatabase = 2.75
	// heapWatch is how often there is a look at the heap meanwhile.
	heapWatch = 50 * time.Millisecond
)

// spareCollections keeps the garbage collector from going through a growing heap again and again while a database of so
// many bytes is loaded: nearly all of what it would look at stays. done must be called afterwards. What the environment
// says (GOGC) goes before.
func spareCollections(database int64) (done func()) {
	if database < largeState || os.Getenv("GOGC") != "" {
		return func() {}
	}
	limit := int64(heapPerDatabase * float64(database))
	before := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(before, limit))
	debug.SetGCPercent(-1)
	// Where more stays than was thought, collecting at the limit would never end.
	settle := sync.OnceFunc(func() {
		debug.SetGCPercent(percentOf(liveHeap()))
		debug.SetMemoryLimit(before)
	})
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(heapWatch)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if liveHeap() > limit/10*9 {
				settle()
				return
			}
		}
	})
	return func() {
		close(stop)
		watching.Wait()
		settle()
	}
}

// liveHeap is how many bytes the last collection found in use.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

// percentOf is the GOGC that leaves room for garbage beside so many bytes in use.
func percentOf(live int64) int {
	room := min(max(live, leastRoom), enoughRoom)
	return int(min(max(100*room/max(live, 1), leastPercent), mostPercent))
}

// tendHeap sets GOGC by how much is in use, until ctx ends; unless the environment does.
func tendHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	is := percentOf(liveHeap())
	defer debug.SetGCPercent(debug.SetGCPercent(is))
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if want := percentOf(liveHeap()); want != is {
			debug.SetGCPercent(want)
			is = want
		}
	}
}
