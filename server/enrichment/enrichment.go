// Package enrichment asks the enrichment service about what is published, and tells the registry what it said. Nobody
// waits for it: publications go into a bounded queue, which one goroutine works off for as long as the service is there.
package enrichment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/server/registry"
	"shoal/soap"
)

const (
	// callTimeout is how long one question may take.
	callTimeout = 10 * time.Second
	// maxStrikes is how often a question may fail while others are answered, until it is given up.
	maxStrikes = 3
)

// Enricher is the enrichment service. The error has code BadRequest where asking again cannot help.
type Enricher interface {
	Enrich(ctx context.Context, name shoal.Name, size int64, head []byte) (shoal.Facts, error)
}

// Queue is what is to be asked. Run must be called for anything to happen. For concurrent use; a nil Queue takes nothing.
type Queue struct {
	registry *registry.Registry
	service  Enricher
	breaker  *soap.Breaker
	log      zerolog.Logger
	wake     chan struct{} // capacity 1: there is something to do

	mu      sync.Mutex // guards waiting; the registry may be asked while it is held, never the other way round
	waiting waiting

	answered int  // questions so far; Run's
	away     bool // the last one failed; Run's
}

// New makes an empty queue, and the registry expect its answers.
func New(r *registry.Registry, service Enricher, log zerolog.Logger) *Queue {
	r.ExpectFacts()
	q := &Queue{
		registry: r, service: service, breaker: soap.NewBreaker(soap.DefaultBackoff), log: log,
		wake: make(chan struct{}, 1), waiting: newWaiting(maxJobs, maxHeads),
	}
	q.waiting.missed = true // what was published in the server's earlier lives
	return q
}

// Published notes that a name stands for content, whose beginning is head (empty where it was withheld). It does not
// wait, and keeps no reference to head.
func (q *Queue) Published(group shoal.Group, name shoal.Name, content shoal.Object, head []byte) {
	if q == nil {
		return
	}
	j := &job{key: key{group, name}, content: content, sampled: len(head) > 0 || content.Size == 0}
	q.mu.Lock()
	// Looked up under the lock, so that of two publications the one that holds comes last.
	if q.registry.WantsFacts(group, name, content, j.sampled) {
		q.waiting.put(j, head)
	}
	q.mu.Unlock()
	q.ring()
}

// Unpublished notes that a name stands for something else, or nothing.
func (q *Queue) Unpublished(group shoal.Group, name shoal.Name) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if j := q.waiting.find(key{group, name}); j != nil && !q.wanted(j) {
		q.waiting.remove(j)
	}
}

func (q *Queue) wanted(j *job) bool {
	return q.registry.WantsFacts(j.key.group, j.key.name, j.content, j.sampled)
}

func (q *Queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run asks until ctx ends.
func (q *Queue) Run(ctx context.Context) {
	for {
		// A job stays in the queue while the service is away, where it can be replaced or taken back.
		if q.breaker.Wait(ctx) != nil {
			return
		}
		if j := q.next(); j != nil {
			q.ask(ctx, j)
			continue
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
	}
}

// next takes the first job that is still wanted; nil when there is none.
func (q *Queue) next() *job {
	for {
		q.mu.Lock()
		j := q.waiting.pop()
		missed := j == nil && q.waiting.missed
		q.mu.Unlock()
		switch {
		case j != nil && q.wanted(j):
			return j
		case missed:
			q.refill()
		case j == nil:
			return nil
		}
	}
}

// refill looks in the registry for what found no room in the queue. Its heads are gone.
func (q *Queue) refill() {
	q.mu.Lock()
	q.waiting.missed = false
	q.mu.Unlock()
	for _, group := range q.registry.GroupNames() {
		for after, more := shoal.Name(""), true; more; more = after != "" {
			const page = 1000
			var found []registry.Unanswered
			found, after = q.registry.PendingFacts(group, after, page)
			if !q.readmit(found) {
				return
			}
		}
	}
}

// readmit queues names whose facts are pending, and reports false when the queue is full.
func (q *Queue) readmit(found []registry.Unanswered) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, u := range found {
		j := &job{key: key{u.Group, u.Name}, content: u.Content, sampled: u.Content.Size == 0}
		if q.wanted(j) {
			q.waiting.put(j, nil)
		}
		if q.waiting.missed {
			return false
		}
	}
	return true
}

// ask has the service answer one question, and puts it back where it does not.
func (q *Queue) ask(ctx context.Context, j *job) {
	var facts shoal.Facts
	err := q.breaker.Do(ctx, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		facts, err = q.service.Enrich(ctx, j.key.name, j.content.Size, j.head)
		return err
	})
	if err == nil {
		facts.State = shoal.Known
		if !j.sampled {
			facts.State = shoal.Withheld
		}
		if err = facts.Validate(); err != nil {
			err = shoal.Errorf(shoal.BadRequest, "the enrichment service's answer is unusable: %w", err)
		}
	}
	switch {
	case err == nil:
		q.answered++
		q.said(nil)
		q.tell(j, facts)
	case ctx.Err() != nil:
	case errors.Is(err, shoal.BadRequest), q.strike(j, err):
		q.log.Warn().Err(err).Str("group", string(j.key.group)).Str("name", string(j.key.name)).Msg("no facts")
		q.tell(j, shoal.Facts{})
	default:
		q.said(err)
		q.mu.Lock()
		q.waiting.putBack(j)
		q.mu.Unlock()
	}
}

func (q *Queue) tell(j *job, facts shoal.Facts) {
	q.registry.SetFacts(j.key.group, j.key.name, j.content, facts)
}

// strike reports whether a question has failed too often while others were answered: then it is what is wrong, and not
// the service.
func (q *Queue) strike(j *job, err error) bool {
	if errors.Is(err, soap.ErrOpen) {
		return false
	}
	if j.failed && q.answered > j.answered {
		j.strikes++
	}
	j.failed, j.answered = true, q.answered
	return j.strikes >= maxStrikes
}

// said logs that the service has gone or come back.
func (q *Queue) said(err error) {
	if away := err != nil; away != q.away {
		q.away = away
		if away {
			q.log.Warn().Err(err).Msg("the enrichment service does not answer; facts are pending until it does")
		} else {
			q.log.Info().Msg("the enrichment service answers again")
		}
	}
}
