package passwords

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// nice returns the calling thread's nice value; the system call gives 20 less it.
func nice(t *testing.T) int {
	t.Helper()
	n, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	must(t, err)
	return 20 - n
}

// What is computed aside has a place and a priority of its own, and leaves no trace of either.
func TestAside(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	places, priority := runtime.GOMAXPROCS(0), nice(t)
	aside(func() {
		if got := runtime.GOMAXPROCS(0); got != places+1 {
			t.Errorf("%d places aside, %d elsewhere", got, places)
		}
		if got := nice(t); got != max(priority, humble) {
			t.Errorf("nice %d aside, %d elsewhere", got, priority)
		}
	})
	if got := runtime.GOMAXPROCS(0); got != places {
		t.Errorf("%d places afterwards, %d before", got, places)
	}
	if got := nice(t); got != priority {
		t.Errorf("nice %d afterwards, %d before", got, priority)
	}
}
