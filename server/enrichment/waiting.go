package enrichment

import (
	"bytes"
	"container/list"

	"shoal"
)

const (
	// maxJobs is how many questions wait at most. What finds no room is found in the registry later.
	maxJobs = 65_536
	// maxHeads is how many bytes their heads take at most. Beyond that a question is asked without a head, which is
	// less than could be known; until the file is published again.
	maxHeads = 32 << 20
)

type key struct {
	group shoal.Group
	name  shoal.Name
}

// job is one question.
type job struct {
	key      key
	content  shoal.Object
	sampled  bool // head is the content's beginning, or the content is empty
	head     []byte
	failed   bool
	answered int // questions when it failed
	strikes  int
	place    *list.Element // in the order; nil when it does not wait
}

// waiting is the questions that wait, one for a name, in order. Its owner's mutex guards it.
type waiting struct {
	jobs      map[key]*job
	order     *list.List
	heads     int  // bytes
	missed    bool // something found no room
	jobLimit  int
	headLimit int
}

func newWaiting(jobs, heads int) waiting {
	return waiting{jobs: make(map[key]*job), order: list.New(), jobLimit: jobs, headLimit: heads}
}

func (w *waiting) find(k key) *job { return w.jobs[k] }

// put adds a question, with a copy of head as far as there is room. One about the same name is replaced in its place,
// unless it is about the same content and knows more.
func (w *waiting) put(j *job, head []byte) {
	old := w.jobs[j.key]
	switch {
	case old != nil && old.content == j.content && old.sampled:
		return
	case old == nil && len(w.jobs) >= w.jobLimit:
		w.missed = true
		return
	case old != nil:
		j.place = w.order.InsertBefore(j, old.place)
		w.remove(old)
	default:
		j.place = w.order.PushBack(j)
	}
	w.jobs[j.key] = j
	if len(head) > 0 && w.heads+len(head) > w.headLimit {
		j.sampled = false
		return
	}
	j.head = bytes.Clone(head)
	w.heads += len(head)
}

// putBack adds a question again that has been taken out, behind all others, unless there is a newer one.
func (w *waiting) putBack(j *job) {
	if w.jobs[j.key] == nil {
		j.place = w.order.PushBack(j)
		w.jobs[j.key] = j
		w.heads += len(j.head)
	}
}

// pop takes the first question out; nil when there is none.
func (w *waiting) pop() *job {
	first := w.order.Front()
	if first == nil {
		return nil
	}
	j := first.Value.(*job)
	w.remove(j)
	return j
}

// remove takes a question out that waits.
func (w *waiting) remove(j *job) {
	w.order.Remove(j.place)
	j.place = nil
	if w.jobs[j.key] == j {
		delete(w.jobs, j.key)
	}
	w.heads -= len(j.head)
}
