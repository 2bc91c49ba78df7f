package sender

import (
	"errors"
	"slices"
)

// maxWaiting is how many batches are kept in memory, the one under way included.
const maxWaiting = 3

// queue holds the batches that the service has not acknowledged, in order: the spool's first, then those in memory. So
// once there is something in the spool, all that comes later goes through it. Not for concurrent use.
type queue struct {
	spool  *spool // nil where there is none
	memory []*batch
	// gone is told what could not be read back from the spool, and of whom.
	gone func(what tally, earlier bool, why error)
	// spilled is told which batch is not in memory any more.
	spilled func(*batch)
	// trouble is told why the spool takes nothing, and nil when it took something.
	trouble func(error)
}

// push appends a batch, or returns false where there is no room: then nobody has seen it yet. With away set it is not
// kept in memory if the spool takes it.
func (q *queue) push(b *batch, away bool) bool {
	q.memory = append(q.memory, b)
	if away || len(q.memory) > maxWaiting || q.spool != nil && !q.spool.empty() {
		q.spill()
	}
	if len(q.memory) > maxWaiting {
		q.memory = q.memory[:len(q.memory)-1]
		return false
	}
	return true
}

// spill moves what is in memory to the spool, as far as that takes it.
func (q *queue) spill() {
	for q.spool != nil && len(q.memory) > 0 {
		err := q.spool.append(q.memory[0])
		if q.trouble(err); err != nil {
			return
		}
		q.spilled(q.memory[0])
		q.memory = slices.Delete(q.memory, 0, 1)
	}
}

// head returns the batch to send next, nil where there is none.
func (q *queue) head() *batch {
	for q.spool != nil && !q.spool.empty() {
		b, err := q.spool.peek()
		if err == nil && b != nil {
			return b
		}
		q.drop(err)
	}
	if len(q.memory) > 0 {
		return q.memory[0]
	}
	return nil
}

// done removes a batch that head returned, wherever it is by now.
func (q *queue) done(b *batch) {
	if len(q.memory) > 0 && q.memory[0].first == b.first && q.memory[0].sender == b.sender {
		q.memory = slices.Delete(q.memory, 0, 1)
		return
	}
	for q.spool != nil {
		err := q.spool.advance(b)
		if err == nil {
			return
		}
		q.drop(err)
	}
}

// drop gives up what is left of the spool's oldest file.
func (q *queue) drop(why error) {
	if q.spool.empty() {
		return
	}
	what, earlier, err := q.spool.drop()
	q.gone(what, earlier, errors.Join(why, err))
}

func (q *queue) empty() bool { return len(q.memory) == 0 && (q.spool == nil || q.spool.empty()) }
