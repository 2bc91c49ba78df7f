package simulation

import (
	"cmp"
	"slices"
	"time"
)

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
	have                    // the node's neighbours hear of its news
	told                    // the flow's peer hears of a piece
	toldAll                 // and of all
	choked
	unchoked
	manifest // the answer to a request for one
	hashes
)

type block struct{ piece, begin, length int32 }

const (
	// dayLength is how much time a day of the queue has: a few hundred happenings of a swarm of ten thousand.
	dayLength = 64 * time.Microsecond
	// days are in a year, which is how far ahead most happenings are.
	days = 1 << 10
)

// queue is a calendar (Brown, Calendar Queues: A Fast O(1) Priority Queue Implementation for the Simulation Event Set
// Problem, 1988): what will be goes to the end of its day's page, and a page is put in order when its day comes. A heap of
// as many as ten thousand peers make would look at memory far apart for each of them.
type queue struct {
	pages  [days][]happening // of this year
	today  int64             // since the beginning
	next   int               // on today's page
	ahead  int               // on the pages, and not yet
	later  []happening       // after this year
	serial uint64
}

func (h *happening) day() int64 { return int64(h.at / dayLength) }

func (q *queue) push(h happening) {
	q.serial++
	h.serial = q.serial
	q.put(h)
}

func (q *queue) put(h happening) {
	day := h.day()
	if day/days > q.today/days {
		q.later = append(q.later, h)
		return
	}
	q.ahead++
	page := &q.pages[day%days]
	if day > q.today {
		*page = append(*page, h)
		return
	}
	k, _ := slices.BinarySearchFunc((*page)[q.next:], h, earlier)
	*page = slices.Insert(*page, q.next+k, h)
}

// pop takes what is next; ok is false when nothing is.
func (q *queue) pop() (h happening, ok bool) {
	for q.ahead > 0 || len(q.later) > 0 {
		if page := q.pages[q.today%days]; q.next < len(page) {
			h = page[q.next]
			q.next++
			q.ahead--
			return h, true
		}
		q.pages[q.today%days] = q.pages[q.today%days][:0]
		q.next = 0
		if q.ahead > 0 {
			q.today++
		} else {
			q.turn()
		}
		slices.SortFunc(q.pages[q.today%days], earlier)
	}
	return h, false
}

// peek is what is next, as far as it is known in order: up to so many, and none at the end of a day.
func (q *queue) peek(most int) []happening {
	page := q.pages[q.today%days][q.next:]
	return page[:min(len(page), most)]
}

// turn begins the next year in which something will be.
func (q *queue) turn() {
	first := slices.MinFunc(q.later, earlier)
	q.today = first.day() / days * days
	all := q.later
	q.later = q.later[:0]
	for _, h := range all { // those that are later still go no further than they have been
		q.put(h)
	}
}

func earlier(a, b happening) int {
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	return cmp.Compare(a.serial, b.serial)
}
