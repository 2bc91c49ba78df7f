package queue

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/client/peer"
)

// run is a download that is being fetched. Queue.Run's goroutine owns it, but for what is marked.
type run struct {
	id     uint64
	ctx    context.Context // ended when it was told to end
	cancel context.CancelFunc
	begun  time.Time
	held   int64 // what the download held before

	queue  *Queue
	latest atomic.Pointer[progress] // for concurrent use
	recent []sample                 // of the goroutine that fetches
}

// progress is how far a run is.
type progress struct {
	peer.Status
	rate float64 // bytes a second
}

// sample is how much had come at a time.
type sample struct {
	at   time.Time
	came int64 // bytes, in this run
}

// rateOver is how far back the rate of a download looks.
const rateOver = 5 * time.Second

// Found tells what will be fetched, and where to. It is called once, by the goroutine that fetches.
func (r *run) Found(name shoal.Name, o shoal.Object, path string) {
	r.queue.news <- news{run: r, found: &found{name, o, path}}
}

// Report tells how far it is, several times a second. It is called by the goroutine that fetches.
func (r *run) Report(s peer.Status) {
	now := time.Now()
	r.recent = append(r.recent, sample{now, s.Held - s.Resumed})
	for len(r.recent) > 2 && now.Sub(r.recent[1].at) > rateOver {
		r.recent = append(r.recent[:0], r.recent[1:]...)
	}
	first := r.recent[0]
	p := &progress{Status: s}
	if over := now.Sub(first.at); over > 0 {
		p.rate = float64(s.Held-s.Resumed-first.came) / over.Seconds()
	}
	r.latest.Store(p)
}

// describe puts into d how far the run is.
func (r *run) describe(d *Download, now time.Time) {
	d.Took += now.Sub(r.begun)
	p := r.latest.Load()
	if p == nil {
		return
	}
	d.Size, d.Rate, d.Waiting, d.Missing = p.Size, p.rate, p.Waiting, p.Missing
	if p.Held > 0 { // else what is there has not been looked at yet
		d.Held = p.Held
	}
	shares := make([]Share, 0, len(p.Sources))
	for _, s := range p.Sources {
		if s.Bytes > 0 || s.Connected {
			shares = addShares(shares, []Share{{s.Device, s.Mirror, s.Connected, s.Bytes}})
		}
	}
	d.Shares = addShares(d.Shares, shares)
}

// settleInto puts into d what is left of the run when it has ended.
func (r *run) settleInto(d *Download, now time.Time) {
	r.describe(d, now)
	d.Rate, d.Waiting, d.Missing, d.Shares = 0, false, nil, slices.Clone(d.Shares)
	for i := range d.Shares {
		d.Shares[i].Connected = false
	}
}
