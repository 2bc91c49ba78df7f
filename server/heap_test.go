package server

import "testing"

// The room for garbage is no less than some, as much as is in use, and no more than half of that where that is a lot.
func TestPercentOf(t *testing.T) {
	for live, want := range map[int64]int{
		0: mostPercent, 1 << 20: mostPercent, 32 << 20: 400, 128 << 20: 100, 200 << 20: 100, 256 << 20: 100, 400 << 20: 64,
		512 << 20: leastPercent, 4 << 30: leastPercent,
	} {
		if got := percentOf(live); got != want {
			t.Errorf("with %d MiB in use GOGC is %d, want %d", live>>20, got, want)
		}
	}
}
