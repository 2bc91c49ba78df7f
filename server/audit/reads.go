package audit

import (
	"sync"
	"sync/atomic"
	"time"

	"shoal"
)

// maxEnded is how many devices are remembered that have read and gone within a minute. What further ones have read is
// told for all of them together.
const maxEnded = 65_536

// count is what a device has read.
type count struct{ lists, lookups, logs, others, failed uint64 }

func (c *count) add(more count) {
	c.lists += more.lists
	c.lookups += more.lookups
	c.logs += more.logs
	c.others += more.others
	c.failed += more.failed
}

// reads counts what is read: each session for itself, so that none waits for another.
type reads struct {
	mu       sync.Mutex // guards what is below
	since    time.Time
	sessions map[*Reader]struct{}
	ended    map[shoal.DeviceID]count // of sessions that have ended since
}

func newReads() reads {
	return reads{since: time.Now(), sessions: make(map[*Reader]struct{}), ended: make(map[shoal.DeviceID]count)}
}

// Reader counts what one session reads. The methods are for one goroutine.
type Reader struct {
	log                                  *Log
	device                               shoal.DeviceID
	lists, lookups, logs, others, failed atomic.Uint64
}

// Begin counts the reads of a session from now on; End must be called.
func (l *Log) Begin(device shoal.DeviceID) *Reader {
	r := &Reader{log: l, device: device}
	if l != nil {
		l.reads.mu.Lock()
		defer l.reads.mu.Unlock()
		l.reads.sessions[r] = struct{}{}
	}
	return r
}

// List counts one LIST.
func (r *Reader) List(err error) { r.count(&r.lists, err) }

// Lookup counts one LOOKUP.
func (r *Reader) Lookup(err error) { r.count(&r.lookups, err) }

// Log counts one LOG. If it was recorded as an event, whoever follows the log would make it grow.
func (r *Reader) Log(err error) { r.count(&r.logs, err) }

// Other counts one question about users or groups.
func (r *Reader) Other(err error) { r.count(&r.others, err) }

func (r *Reader) count(of *atomic.Uint64, err error) {
	of.Add(1)
	if err != nil {
		r.failed.Add(1)
	}
}

// End ends the counting; what has been counted is told with the next minute.
func (r *Reader) End() {
	if r.log == nil {
		return
	}
	all := &r.log.reads
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.sessions, r)
	all.put(all.ended, r)
}

// take returns what has been counted since it was taken last.
func (r *Reader) take() count {
	return count{r.lists.Swap(0), r.lookups.Swap(0), r.logs.Swap(0), r.others.Swap(0), r.failed.Swap(0)}
}

// put adds what a session has read to sums. mu is held.
func (a *reads) put(sums map[shoal.DeviceID]count, r *Reader) {
	read := r.take()
	if read == (count{}) {
		return
	}
	device := r.device
	if _, known := sums[device]; !known && len(sums) >= maxEnded {
		device = shoal.DeviceID{}
	}
	sum := sums[device]
	sum.add(read)
	sums[device] = sum
}

// collect returns a line for each device that has read since the last time.
func (a *reads) collect(now time.Time) []line {
	a.mu.Lock()
	sums, since := a.ended, a.since
	for r := range a.sessions {
		a.put(sums, r)
	}
	a.ended, a.since = make(map[shoal.DeviceID]count), now
	a.mu.Unlock()
	lines := make([]line, 0, len(sums))
	for device, read := range sums {
		lines = append(lines, line{
			event: Event{Device: device, Operation: "read", Begin: since, Duration: now.Sub(since)}, read: &read,
		})
	}
	return lines
}
