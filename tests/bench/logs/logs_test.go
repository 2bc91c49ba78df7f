package main

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseBusy(t *testing.T) {
	const stat = "cpu  100 20 30 99999 88888 4 5 6 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	if busy, err := parseBusy([]byte(stat)); err != nil || busy != 1650*time.Millisecond {
		t.Errorf("busy for %v, %v", busy, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3 4 5 6 7\n", "cpu  100 20 x 99999 88888 4 5 6\n", "intr 1 2 3 4 5 6 7 8 9\n"} {
		if busy, err := parseBusy([]byte(bad)); err == nil {
			t.Errorf("%q: busy for %v", bad, busy)
		}
	}
}

func TestOthersLeaveOutThisProcess(t *testing.T) {
	l := load{at: time.Now().Add(-time.Second), all: time.Second, ours: 400 * time.Millisecond}
	now := load{at: l.at.Add(2 * time.Second), all: 4 * time.Second, ours: 1400 * time.Millisecond}
	if got := now.othersSince(&l); got != 1 {
		t.Errorf("%v cores, want 1", got)
	}
	if got := l.othersSince(&load{at: l.at.Add(-time.Second), all: time.Second}); got != 0 {
		t.Errorf("%v cores where a tick is missing, want 0", got)
	}
}

func TestCalmestRoundsCount(t *testing.T) {
	r := new(result)
	for i := range rounds {
		r.rounds = append(r.rounds, round{others: float64((i * 7) % rounds), p999: time.Duration((i * 7) % rounds)})
	}
	for i, calm := range r.calmest() {
		if int(calm.others) != i || int(calm.p999) != i {
			t.Errorf("round %d of those that count is %+v", i, calm)
		}
	}
}

func TestOnOneCore(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, inside, after unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	err := onOneCore(func() error { return unix.SchedGetaffinity(0, &inside) })
	if err != nil || inside.Count() != 1 {
		t.Errorf("%d cores inside, %v", inside.Count(), err)
	}
	if err := unix.SchedGetaffinity(0, &after); err != nil || before != after {
		t.Errorf("%d cores afterwards, %d before, %v", after.Count(), before.Count(), err)
	}
}
