package simulation

import "time"

// happening is something that will be at a time.
type happening struct {
	at     time.Duration
	serial uint64 // of two at a time the earlier made comes first
	kind   kind
	node   int32
	flow   *flow
	block  block
	flag   bool
}

type kind uint8

const (
	arrive      kind = iota // the node starts
	die                     // the node is gone
	tick                    // of the node
	lookup                  // the node asks the tracker
	reach                   // a request to join comes to the source
	joinReply               // its answer comes back
	lost                    // the flow's end has been heard of
	ask                     // a request for a block comes to the source
	takeBack                // a cancel does
	refusal                 // the answer to either comes back
	transmitted             // the node's uplink is free again
	delivered               // a block is there
	have                    // the node's neighbours hear of a piece
	told                    // the flow's peer hears of a piece
	toldAll                 // and of all
	choked
	unchoked
	manifest // the answer to a request for one
	hashes
)

type block struct{ piece, begin, length int32 }

// queue is a heap of four children a node, the earliest first.
type queue struct {
	items  []happening
	serial uint64
}

func (q *queue) before(a, b *happening) bool {
	return a.at < b.at || a.at == b.at && a.serial < b.serial
}

func (q *queue) push(h happening) {
	q.serial++
	h.serial = q.serial
	q.items = append(q.items, h)
	i := len(q.items) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !q.before(&h, &q.items[parent]) {
			break
		}
		q.items[i] = q.items[parent]
		i = parent
	}
	q.items[i] = h
}

func (q *queue) pop() happening {
	top := q.items[0]
	last := q.items[len(q.items)-1]
	q.items[len(q.items)-1] = happening{}
	q.items = q.items[:len(q.items)-1]
	n := len(q.items)
	if n == 0 {
		return top
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for c := least + 1; c < min(4*i+5, n); c++ {
			if q.before(&q.items[c], &q.items[least]) {
				least = c
			}
		}
		if !q.before(&q.items[least], &last) {
			break
		}
		q.items[i] = q.items[least]
		i = least
	}
	q.items[i] = last
	return top
}
