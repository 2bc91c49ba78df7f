package check

import (
	"slices"
	"testing"
)

// gaps are what a capture may have lost of a frame.
var gaps = map[string]func(s step) []step{
	"all of it": func(s step) []step { return []step{s.loss(len(s.frame))} },
	"who knows how much": func(s step) []step {
		return []step{s.loss(-1)}
	},
	"its beginning": func(s step) []step { return []step{s.loss(5), s.part(5, len(s.frame))} },
	"its header":    func(s step) []step { return []step{s.loss(12), s.part(12, len(s.frame))} },
	"its end":       func(s step) []step { n := len(s.frame); return []step{s.part(0, n-4), s.loss(4)} },
	"its middle": func(s step) []step {
		n := len(s.frame)
		return []step{s.part(0, n/2), s.loss((n - n/2) / 2), s.part(n/2+(n-n/2)/2, n)}
	},
	"its body, and who knows what": func(s step) []step { return []step{s.part(0, 12), s.loss(-1)} },
}

func (s step) loss(n int) step { s.frame, s.lost = nil, int64(n); return s }

func (s step) part(from, to int) step { s.frame = s.frame[from:to]; return s }

// What the capture lost is never taken for a violation, and what follows is read again.
func TestGaps(t *testing.T) {
	for _, script := range []func(*book){serveEverything, fetchEverything} {
		b := newBook()
		script(b)
		whole := 0
		checkSteps(b.steps, func(*Frame) { whole++ })
		for i, is := range b.steps {
			if is.frame == nil {
				continue
			}
			for what, gap := range gaps {
				told := 0
				steps := slices.Concat(b.steps[:i], gap(is), b.steps[i+1:])
				for _, v := range checkSteps(steps, func(*Frame) { told++ }) {
					t.Errorf("%s of step %d, %s, was lost: %v", what, i, nameOf(is.frame), v)
				}
				if told < whole-2 {
					t.Errorf("%s of step %d, %s, was lost: %d of %d frames are told", what, i, nameOf(is.frame), told, whole)
				}
			}
		}
	}
}

// A capture that begins in the middle of a conversation, and of a frame, is none of a violation.
func TestMiddle(t *testing.T) {
	for _, script := range []func(*book){serveEverything, fetchEverything} {
		b := newBook()
		script(b)
		for i, is := range b.steps {
			if is.frame == nil {
				continue
			}
			for _, from := range []int{0, 1, len(is.frame) / 2} {
				trace, told := New(), 0
				trace.OnViolation = func(v Violation) { t.Errorf("from step %d, byte %d on: %v", i, from, v) }
				trace.OnFrame = func(*Frame) { told++ }
				conns := map[int]*Conn{}
				for j, s := range b.steps[i:] {
					c := conns[s.conn]
					if c == nil {
						conns[s.conn] = trace.Open(*b.steps[0].open, *b.steps[0].open, s.at, false)
						c = conns[s.conn]
					}
					if j == 0 {
						s.frame = s.frame[from:]
					}
					switch {
					case s.close:
						c.Close(s.from, s.at, true)
					case s.open == nil:
						c.Data(s.from, s.at, s.frame)
					}
				}
				trace.Finish()
				if left := frames(b.steps[i+1:]); told < left-1 { // nothing begins with a long frame
					t.Errorf("from step %d, byte %d on: %d of %d frames are told", i, from, told, left)
				}
			}
		}
	}
}

func frames(steps []step) (n int) {
	for _, s := range steps {
		if s.frame != nil {
			n++
		}
	}
	return n
}
