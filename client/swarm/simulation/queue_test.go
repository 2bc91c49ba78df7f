package simulation

import (
	"math/rand/v2"
	"testing"
	"time"
)

// What is next is what is earliest, and of two at a time what was said first, however far ahead it was.
func TestQueueIsInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q queue
	var now time.Duration
	var serial uint64
	waiting := 0
	for range 200_000 {
		if waiting == 0 || r.IntN(9) < 4 {
			ahead := time.Duration(r.Int64N(int64(time.Second) >> r.IntN(30)))
			q.push(happening{at: now + ahead})
			waiting++
			continue
		}
		h, ok := q.pop()
		if !ok || h.at < now || h.at == now && h.serial < serial {
			t.Fatalf("%v after %v", h, now)
		}
		if now, serial = h.at, h.serial; r.IntN(100) == 0 {
			q.push(happening{at: now})
			waiting++
		}
		waiting--
	}
	for ; waiting > 0; waiting-- {
		if _, ok := q.pop(); !ok {
			t.Fatal("something is lost")
		}
	}
	if _, ok := q.pop(); ok {
		t.Error("there is more than was put in")
	}
}
