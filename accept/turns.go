package accept

import (
	"net/netip"
	"sync"
)

// turns lets so many work at a time. Of those who wait, who has worked before goes first, so that what was begun is brought to
// its end; then it is in the order of coming, but that each origin that waits has one turn before any has another.
type turns struct {
	mu   sync.Mutex // guards what is below
	free int
	// again is those who have had a turn, first those who have not.
	again, first line
}

// line is those who wait.
type line struct {
	waiting map[netip.Prefix][]chan struct{} // in the order of coming
	order   []netip.Prefix                   // those that wait, in the order of their next turns
}

func newTurns(n int) *turns {
	return &turns{free: n, again: newLine(), first: newLine()}
}

func newLine() line { return line{waiting: make(map[netip.Prefix][]chan struct{})} }

// take returns with a turn, which is to be given back before anything is waited for.
func (t *turns) take(origin netip.Prefix, again bool) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	mine, in := make(chan struct{}), &t.first
	if again {
		in = &t.again
	}
	if len(in.waiting[origin]) == 0 {
		in.order = append(in.order, origin)
	}
	in.waiting[origin] = append(in.waiting[origin], mine)
	t.mu.Unlock()
	<-mine
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.again.next() && !t.first.next() {
		t.free++
	}
}

// next lets the next one go, if there is one.
func (l *line) next() bool {
	if len(l.order) == 0 {
		return false
	}
	origin := l.order[0]
	l.order = l.order[1:]
	of := l.waiting[origin]
	close(of[0])
	if len(of) == 1 {
		delete(l.waiting, origin)
		return true
	}
	l.waiting[origin] = of[1:]
	l.order = append(l.order, origin)
	return true
}
