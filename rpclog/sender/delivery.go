package sender

import (
	"errors"
	"math/rand/v2"
	"time"
)

// send has the first batch of the queue sent, if nothing is under way and no failure is to be waited out.
func (p *pump) send() {
	if p.sending || p.tried || time.Now().Before(p.retryAt) {
		return
	}
	if p.head == nil {
		p.head, p.strikes = p.queue.head(), 0
	}
	if p.head == nil {
		return
	}
	b := p.head
	if p.strikes >= patience {
		b = b.withoutEntries(time.Now())
	}
	p.sending = true
	p.courier.jobs <- b // it waits for one
}

// settle takes note of how sending head ended.
func (p *pump) settle(o outcome) {
	p.sending = false
	if o.err != nil {
		p.fail(o.err)
		return
	}
	p.tell.back(o.verified)
	p.failures, p.retryAt = 0, time.Time{}
	b := p.head
	p.head = nil
	p.queue.done(b)
	p.recycle(b)
	switch {
	case b.sender != p.sender:
	case p.strikes >= patience:
		p.total.Lost += b.lines // what took their place tells of them
	default:
		p.total.Stored += b.lines
	}
}

// fail keeps what there is where it is safe, and has it sent again later. What the service calls malformed is sent a few
// times; then an entry takes its place that says how many were lost. If that is refused as well, it is not the entries
// but the service that is wrong, and it counts as away.
func (p *pump) fail(err error) {
	if errors.Is(err, errRefused) && p.strikes < patience {
		if p.strikes++; p.strikes == patience {
			p.tell.refused(p.head.lines)
			p.retryAt = time.Time{}
			return
		}
	}
	if p.failures++; !p.tried {
		p.tell.away(err)
	}
	p.queue.spill()
	p.retryAt = time.Now().Add(backoff(p.failures))
	p.tried = p.tried || p.closing && p.queue.spool != nil
}

// backoff returns how long to wait after that many failures in a row, with jitter, so that many senders do not come back
// at once.
func backoff(failures int) time.Duration {
	pause := min(firstPause<<min(failures-1, 10), lastPause)
	return pause/2 + rand.N(pause)
}

// gone is for what the spool could not give back.
func (p *pump) gone(what tally, earlier bool, why error) {
	if p.tell.unreadable(what, why); earlier {
		p.gap += what.lines + what.lost
		return
	}
	p.lose(what.lines, what.lines+what.lost)
}

// beginClosing reads the ring for the last time.
func (p *pump) beginClosing() {
	p.closing = true
	p.drain(true)
	p.drainAt, p.retryAt = time.Time{}, time.Time{}
	p.flush()
}

// finished tells whether all is done that Close waits for.
func (p *pump) finished() bool {
	return p.closing && !p.sending && (p.tried || p.queue.empty())
}

// end leaves to the spool what could not be sent. Where that takes no more, it leaves word of how many were lost: with the
// number of the last of them, for the service may have stored them although it did not say so.
func (p *pump) end() {
	p.flush()
	p.queue.spill()
	for i, b := range p.queue.memory {
		p.total.Lost += b.lines
		p.tell.lost(b.lines)
		p.queue.memory[i] = b.withoutEntries(p.now)
	}
	if p.fillGap(); p.open.count > 0 {
		p.queue.memory = append(p.queue.memory, p.open)
	}
	p.queue.spill()
	for _, b := range p.queue.memory {
		p.untold += b.lost
	}
	p.publish()
	p.tell.end(p.untold, p.total.Spooled)
	if p.queue.spool != nil {
		if err := p.queue.spool.close(); err != nil {
			p.tell.spool(err)
		}
	}
}

// publish lets others read the counts.
func (p *pump) publish() {
	var own, earlier tally
	if p.queue.spool != nil {
		own, earlier = p.queue.spool.counts()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total.Spooled, p.total.Earlier = own.lines, earlier.lines
	p.public = p.total
}

// counts may be called by anybody.
func (p *pump) counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.public
}
