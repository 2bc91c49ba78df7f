package passwords

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// humble is the nice value (setpriority(2)) of the thread that makes a hash: others of this machine that want to run go
// first, and between them it still has its share.
const humble = 10

// aside runs f, which only computes, out of the way of everything else in the process. Go runs as many goroutines at once
// as there are cores and leaves each alone for ten milliseconds: on two cores a hash would make whoever waits behind it,
// and behind the other core's work, wait that long. So while f runs there is a place for one goroutine more, and the system
// shares out the cores, by priority. One call at a time.
func aside(f func()) {
	before := runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	defer runtime.GOMAXPROCS(before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread ends with the goroutine, because its priority cannot be raised again.
		runtime.LockOSThread()
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), humble) // without it f is only less out of the way
		f()
	}()
	<-done
}
