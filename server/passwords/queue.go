package passwords

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"shoal"
)

const (
	maxWaiting    = 256 // attempts that wait, in all
	maxPerNetwork = 16  // of one network
)

// errBusy is for those who are turned away.
var errBusy = shoal.Errorf(shoal.Busy, "too many logins at a time; try again in a few seconds")

// queue lets one attempt through at a time. Each network has a line of its own, and the lines are served in turn; so a
// network with many attempts delays its own. Where all places are taken, a newcomer gets that of the last attempt in the
// longest line, unless its own would then be as long.
type queue struct {
	mu      sync.Mutex // guards what is below
	busy    bool
	waiting int
	lines   map[netip.Prefix]*line
	turns   []*line // those where somebody waits, the next first
}

type line struct {
	of      netip.Prefix
	waiters []chan error // each of one buffered element: nil when it is its turn, or why there will be none
}

func newQueue() *queue { return &queue{lines: map[netip.Prefix]*line{}} }

func (q *queue) waiters() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// acquire waits until it is from's turn, which release ends. The error has code Busy, or is ctx's; then release must not
// be called.
func (q *queue) acquire(ctx context.Context, from netip.Prefix) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn, err := q.join(from)
	if err != nil || turn == nil {
		return err
	}
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
		if !q.leave(from, turn) && <-turn == nil { // it was its turn at the same moment
			q.release()
		}
		return ctx.Err()
	}
}

// join stands in line. The channel is nil when there is nobody to wait for.
func (q *queue) join(from netip.Prefix) (turn chan error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.busy {
		q.busy = true
		return nil, nil
	}
	l := q.lines[from]
	own := 0
	if l != nil {
		own = len(l.waiters)
	}
	if own >= maxPerNetwork || q.waiting >= maxWaiting && !q.makeRoom(own) {
		return nil, errBusy
	}
	if l == nil {
		l = &line{of: from}
		q.lines[from] = l
		q.turns = append(q.turns, l)
	}
	turn = make(chan error, 1)
	l.waiters = append(l.waiters, turn)
	q.waiting++
	return turn, nil
}

// makeRoom turns away the last of the longest line, if that is worth it for one whose line has own waiters.
func (q *queue) makeRoom(own int) bool {
	longest := slices.MaxFunc(q.turns, func(a, b *line) int { return len(a.waiters) - len(b.waiters) })
	last := len(longest.waiters) - 1
	if last <= own {
		return false
	}
	longest.waiters[last] <- errBusy
	q.remove(longest, last)
	return true
}

// leave reports whether turn was still waiting; then it does not any more.
func (q *queue) leave(from netip.Prefix, turn chan error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[from]
	if l == nil {
		return false
	}
	i := slices.Index(l.waiters, turn)
	if i < 0 {
		return false
	}
	q.remove(l, i)
	return true
}

// remove takes a waiter out of its line. The caller holds the lock.
func (q *queue) remove(l *line, i int) {
	l.waiters = slices.Delete(l.waiters, i, i+1)
	q.waiting--
	if len(l.waiters) == 0 {
		delete(q.lines, l.of)
		q.turns = slices.DeleteFunc(q.turns, func(other *line) bool { return other == l })
	}
}

// release ends a turn and begins the next.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.turns) == 0 {
		q.busy = false
		return
	}
	l := q.turns[0]
	q.turns = append(q.turns[1:], l) // to the end, if somebody is left in it
	l.waiters[0] <- nil
	q.remove(l, 0)
}
