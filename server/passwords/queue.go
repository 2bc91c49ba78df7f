package passwords

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"shoal"
)

const (
	maxWaiting    = 128 // attempts that wait, in all: some three seconds of work
	maxPerNetwork = 8   // of one network
)

// errBusy is for those who are turned away.
var errBusy = shoal.Errorf(shoal.Busy, "too many logins at a time; try again in a few seconds")

// rank is the order in which networks are served: the unsuspected, then those where a login failed in the last minutes.
type rank int

const (
	unsuspected rank = iota
	suspected
	ranks
)

// everyFourth turn is one of the suspected while there are both: they wait longer, but not for ever.
const everyFourth = 4

// queue lets one attempt through at a time. Each network has a line of its own, and the lines of a rank are served in
// turn; so a network with many attempts delays its own. Where all places are taken, a newcomer gets that of the last
// attempt in the longest line: of the suspected, if it is not one; else unless its own line would then be as long.
type queue struct {
	mu      sync.Mutex // guards what is below
	busy    bool
	waiting int
	served  int
	lines   map[netip.Prefix]*line
	turns   [ranks][]*line // those where somebody waits, the next first
}

type line struct {
	of      netip.Prefix
	rank    rank
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
func (q *queue) acquire(ctx context.Context, from netip.Prefix, r rank) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	turn, err := q.join(from, r)
	if err != nil || turn == nil {
		return err
	}
	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
		q.giveUp(from, turn)
		return ctx.Err()
	}
}

// giveUp leaves the line; where it is its turn just now, that is passed on.
func (q *queue) giveUp(from netip.Prefix, turn chan error) {
	if !q.leave(from, turn) && <-turn == nil {
		q.release()
	}
}

// join stands in line. The channel is nil when there is nobody to wait for.
func (q *queue) join(from netip.Prefix, r rank) (turn chan error, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.busy {
		q.busy = true
		return nil, nil
	}
	l := q.lines[from]
	if l == nil {
		l = &line{of: from, rank: r}
	}
	if len(l.waiters) >= maxPerNetwork || q.waiting >= maxWaiting && !q.makeRoom(len(l.waiters), r) {
		return nil, errBusy
	}
	turn = make(chan error, 1)
	if len(l.waiters) == 0 {
		q.lines[from] = l
		q.turns[l.rank] = append(q.turns[l.rank], l)
	}
	l.waiters = append(l.waiters, turn)
	q.waiting++
	return turn, nil
}

// makeRoom turns somebody away, if that is right for one of rank r whose line has own waiters.
func (q *queue) makeRoom(own int, r rank) bool {
	among, outranks := q.turns[suspected], r == unsuspected
	if len(among) == 0 {
		among, outranks = q.turns[r], false
	}
	if len(among) == 0 {
		return false
	}
	longest := slices.MaxFunc(among, func(a, b *line) int { return len(a.waiters) - len(b.waiters) })
	last := len(longest.waiters) - 1
	if last <= own && !outranks {
		return false
	}
	longest.waiters[last] <- errBusy
	q.remove(longest, last)
	return true
}

// suspect moves those who wait at from to the suspected.
func (q *queue) suspect(from netip.Prefix) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[from]
	if l == nil || l.rank == suspected {
		return
	}
	q.dequeue(l)
	l.rank = suspected
	q.turns[suspected] = append(q.turns[suspected], l)
}

// dequeue takes a line out of its rank. The caller holds the lock.
func (q *queue) dequeue(l *line) {
	q.turns[l.rank] = slices.DeleteFunc(q.turns[l.rank], func(other *line) bool { return other == l })
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
		q.dequeue(l)
	}
}

// release ends a turn and begins the next.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == 0 {
		q.busy = false
		return
	}
	q.served++
	r := unsuspected
	if len(q.turns[r]) == 0 || q.served%everyFourth == 0 && len(q.turns[suspected]) > 0 {
		r = suspected
	}
	l := q.turns[r][0]
	q.turns[r] = append(q.turns[r][1:], l) // to the end, if somebody is left in it
	l.waiters[0] <- nil
	q.remove(l, 0)
}
