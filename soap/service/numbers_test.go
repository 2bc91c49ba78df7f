package service

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/soap"
)

func numbersOf(t *testing.T, folder string, now time.Time) *numbers {
	t.Helper()
	n, err := openNumbers(folder, now)
	must(t, err)
	return n
}

func TestNumbersAreUniqueAmongMany(t *testing.T) {
	n := numbersOf(t, t.TempDir(), time.Unix(0, 0))
	const takers, times = 8, 40
	firsts := make(chan uint64, takers*times)
	var all sync.WaitGroup
	for range takers {
		all.Go(func() {
			for range times {
				first, err := n.take(t.Context(), soap.MaxCount)
				if err != nil {
					t.Error(err)
				}
				firsts <- first
			}
		})
	}
	all.Wait()
	close(firsts)
	seen := make(map[uint64]bool)
	for first := range firsts {
		// As all ranges have one length and no gap is shorter than that, equal ones are the only overlaps.
		if seen[first] {
			t.Errorf("%d was given twice", first)
		}
		seen[first] = true
	}
	must(t, n.close())
}

// What is on the disk at any time is enough for another process to go on, whatever its clock says.
func TestNumbersSurviveACrashAndAClockSetBack(t *testing.T) {
	folder, crashed := t.TempDir(), t.TempDir()
	n := numbersOf(t, folder, time.Now())
	var last uint64
	for range 40 { // more than are set aside at a time
		first, err := n.take(t.Context(), soap.MaxCount)
		must(t, err)
		last = first + soap.MaxCount - 1
	}
	content, err := os.ReadFile(filepath.Join(folder, "numbers"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(crashed, "numbers"), content, 0o600))
	after := numbersOf(t, crashed, time.Now().AddDate(-10, 0, 0))
	first, err := after.take(t.Context(), 1)
	must(t, err)
	if first <= last {
		t.Errorf("%d after %d", first, last)
	}
	must(t, after.close())
	must(t, n.close())
}

func TestNumbersSurviveTheLossOfTheirFile(t *testing.T) {
	began := time.Now()
	n := numbersOf(t, t.TempDir(), began)
	before, err := n.take(t.Context(), 1000)
	must(t, err)
	must(t, n.close())
	again := numbersOf(t, t.TempDir(), began.Add(time.Second))
	after, err := again.take(t.Context(), 1)
	must(t, err)
	if after <= before+1000 {
		t.Errorf("%d after %d", after, before)
	}
	must(t, again.close())
}

func TestNumbersThatCannotBeReadAreRefused(t *testing.T) {
	for _, content := range []string{"", "torn", "-1", "18446744073709551616"} {
		folder := t.TempDir()
		must(t, os.WriteFile(filepath.Join(folder, "numbers"), []byte(content), 0o600))
		_, err := openNumbers(folder, time.Now())
		wantCode(t, err, shoal.Corrupt)
	}
}

func TestNumbersThatCannotBeSetAsideAreNotGiven(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	n := numbersOf(t, folder, time.Now())
	must(t, os.RemoveAll(folder))
	given := 0
	for range 2 * reserve / soap.MaxCount {
		if _, err := n.take(t.Context(), soap.MaxCount); err == nil {
			given++
		}
	}
	if given != reserve/soap.MaxCount {
		t.Errorf("%d ranges were given, and %d set aside", given, reserve/soap.MaxCount)
	}
	must(t, os.MkdirAll(folder, 0o700))
	if _, err := n.take(t.Context(), 1); err != nil {
		t.Errorf("it does not recover: %v", err)
	}
	must(t, n.close())
}

func TestTakingEndsWithItsContext(t *testing.T) {
	n := &numbers{wanted: make(chan wanted)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.take(ctx, 1)
	wantCode(t, err, shoal.Canceled)
}
