package peer

import (
	"sync/atomic"
	"time"
)

const (
	// maxSending is how many blocks are being sent at a time, on all connections together.
	maxSending = 64
	// slowAfter is how long a block may hold one of those places: who takes longer to read it keeps no others waiting.
	slowAfter = 500 * time.Millisecond
)

// places are the blocks being sent: there is an element for each.
type places chan struct{}

// turn is how the blocks of one connection get to be sent: when the limits let their first bytes pass, and one of the
// process's places is free. The sender's writing goroutine owns it.
type turn struct {
	up     *Limit // the process's; may be nil
	places places
	gate   gate
	next   *block // that waits at the gate
	ready  int64  // bytes that have passed the gate and were not sent

	holds atomic.Bool // it has one of the places
	slow  *time.Timer // gives it back; nil before the first block
}

// wait waits until the block may be sent. It returns false if it was interrupted; the next call goes on from there.
func (t *turn) wait(b *block, interrupt <-chan struct{}) bool {
	if t.next == nil || t.next.id != b.id || t.next.member != b.member {
		t.gate.forget()
		t.gate.limits = [2]*Limit{&b.member.item.limits.Up, t.up}
		t.next, t.ready = b, 0
	}
	if t.ready == 0 {
		n := t.gate.unit(int64(b.length))
		if !t.gate.wait(n, interrupt) {
			return false
		}
		t.ready = n
	}
	select {
	case t.places <- struct{}{}:
	case <-interrupt:
		return false
	}
	t.holds.Store(true)
	if t.slow == nil {
		t.slow = time.AfterFunc(slowAfter, t.giveBack)
	} else {
		t.slow.Reset(slowAfter)
	}
	return true
}

// more waits until some of the bytes left may be sent, and returns how many; 0 if it was interrupted.
func (t *turn) more(left int64, interrupt <-chan struct{}) int64 {
	n := t.ready
	if t.ready = 0; n > 0 {
		return n
	}
	if n = t.gate.unit(left); !t.gate.wait(n, interrupt) {
		return 0
	}
	return n
}

// end makes room for another block.
func (t *turn) end() {
	t.slow.Stop()
	t.giveBack()
	t.next = nil
}

func (t *turn) giveBack() {
	if t.holds.CompareAndSwap(true, false) {
		<-t.places
	}
}
