package swarms

import (
	"time"

	"shoal"
	"shoal/wire"
)

// mostHalvings is how often the chance of a reported device is halved at most: neither few users who lie can keep a device
// from serving, nor many (rule R5).
const mostHalvings = 4

// choose is what Sources does where not all sources are as good, or there are too many. in are the devices that are reported
// in the group: the others come first. The caller holds mu, for reading at least.
func (s *Session) choose(useful []wire.Source, w *swarm, in map[shoal.DeviceID]*reported, now time.Time) []wire.Source {
	var back []int // places of those that come last
	lots := lots{in: in, now: now, random: s.all.random}
	for at := range s.all.permutation(len(w.sources)) {
		from := &w.sources[at]
		if lots.putBack(from.session.device) {
			back = append(back, at)
		} else if useful = s.appendUseful(useful, from, now); len(useful) == wire.MaxSources {
			return useful
		}
	}
	for _, at := range back {
		if useful = s.appendUseful(useful, &w.sources[at], now); len(useful) == wire.MaxSources {
			break
		}
	}
	return useful
}

// lots decide, for one answer, which of the reported devices come behind others.
type lots struct {
	in     map[shoal.DeviceID]*reported
	now    time.Time
	random func(n int) int
	drawn  map[shoal.DeviceID]bool // so that a device with many sessions has one lot
}

// putBack reports whether a device comes behind others. The Swarms' mu is held, for reading at least.
func (l *lots) putBack(device shoal.DeviceID) bool {
	e := l.in[device]
	if e == nil {
		return false
	}
	back, known := l.drawn[device]
	if !known {
		back = l.random(1<<e.halvings(l.now)) > 0
		if l.drawn == nil {
			l.drawn = make(map[shoal.DeviceID]bool)
		}
		l.drawn[device] = back
	}
	return back
}

// halvings is how often the device's chance is halved: once for each user who has reported it.
func (e *reported) halvings(now time.Time) (n int) {
	for i := 0; i < len(e.by) && n < mostHalvings; i++ {
		if e.by[i].holds(now) {
			n++
		}
	}
	return n
}

// permutation yields 0 to n-1 in a random order, each order as likely as any other. It costs no more than what is taken
// of it: the shuffle of Fisher and Yates (Knuth, The Art of Computer Programming, algorithm 3.4.2P), with only those
// places stored that no longer hold their own number.
func (s *Swarms) permutation(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		moved := make(map[int]int, min(n, wire.MaxSources))
		at := func(i int) int {
			if v, ok := moved[i]; ok {
				return v
			}
			return i
		}
		for i := range n {
			j := i + s.random(n-i)
			v := at(j)
			moved[j] = at(i)
			if !yield(v) {
				return
			}
		}
	}
}
