package main

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
