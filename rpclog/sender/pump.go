package sender

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

const (
	// flushEvery is how long a line waits for others at most before its batch is sent.
	flushEvery = 200 * time.Millisecond
	// patience is how often a batch is sent that the service calls malformed.
	patience = 3

	firstPause = 100 * time.Millisecond // after a failure, doubled with each that follows, and jittered
	lastPause  = 10 * time.Second
)

// pump makes entries and batches of lines, and has them sent. It is one goroutine, which owns all but public.
type pump struct {
	ring    *ring
	courier *courier
	queue   queue
	sender  rpclog.Sender
	tell    *teller

	entry rpclog.Entry // of the line at hand
	open  *batch       // what is to be flushed; nothing of it is numbered for good
	gap   uint64       // lines lost that no entry tells of yet
	now   time.Time    // when the ring was read

	taken    uint64    // tickets drawn when the ring was read
	drainAt  time.Time // when to read it again; zero while the ring is idle
	head     *batch    // what is sent until the service has it
	strikes  int       // how often the service called head malformed
	sending  bool
	failures int // in a row
	retryAt  time.Time

	closing bool
	tried   bool   // the service turned out to be away since closing began
	untold  uint64 // lines lost at the end without an entry that tells of it; valid when run has returned

	total  Counts
	mu     sync.Mutex // guards public
	public Counts     // total, for others
}

func newPump(c Config, courier *courier, r *ring) (*pump, error) {
	p := &pump{
		ring: r, courier: courier, tell: newTeller(c),
		sender: rpclog.Sender{Device: c.Device, Process: newProcess()},
	}
	p.queue = queue{gone: p.gone, trouble: p.tell.spool}
	p.open = p.newBatch(1, 0)
	if c.Spool != "" {
		s, torn, err := openSpool(c.Spool, c.SpoolLimit)
		if err = p.tell.opened(torn, err); err != nil {
			return nil, err
		}
		p.queue.spool = s
	}
	p.publish()
	return p, nil
}

func (p *pump) newBatch(first uint64, size int) *batch {
	return &batch{sender: p.sender, first: first, entries: make([]byte, 0, size)}
}

// run works until w is closed and what there is has been sent, or cannot be.
func (p *pump) run(w *Writer) {
	ctx, cancel := context.WithCancel(context.Background())
	var courier sync.WaitGroup
	courier.Go(func() { p.courier.run(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	closing, ended := w.closing, (<-chan struct{})(nil)
	p.drainAt = time.Now() // lines may be there already, which woke nobody
	for !p.finished() {
		p.send()
		p.publish()
		timer.Reset(p.pause())
		select {
		case <-p.ring.signal:
			p.woken()
		case <-timer.C:
			p.tick()
		case o := <-p.courier.outcomes:
			p.settle(o)
		case <-closing:
			closing, ended = nil, w.ctx.Done()
			p.beginClosing()
		case <-ended:
			ended = nil
			p.tried = true
			cancel()
		}
	}
	cancel()
	close(p.courier.jobs)
	courier.Wait()
	p.end()
}

// woken is for a ring that has its first line after some idle time, or is half full.
func (p *pump) woken() {
	if p.closing {
		return
	}
	if p.ring.waiting.Load() >= wakeAt {
		p.drain(false)
	}
	if p.drainAt.IsZero() {
		p.drainAt = time.Now().Add(flushEvery)
	}
}

// tick does what is due.
func (p *pump) tick() {
	now := time.Now()
	p.tell.tick(now)
	if p.drainAt.IsZero() || now.Before(p.drainAt) {
		return
	}
	before := p.taken
	p.drain(false)
	p.flush()
	p.drainAt = now.Add(flushEvery)
	if p.taken == before && p.ring.sleep(p.taken) {
		p.drainAt = time.Time{}
	}
}

// pause returns how long there is nothing to do by itself.
func (p *pump) pause() time.Duration {
	next := time.Now().Add(time.Hour)
	for _, at := range []time.Time{p.drainAt, p.tell.next()} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	if !p.sending && p.retryAt.Before(next) && !p.queue.empty() {
		next = p.retryAt
	}
	return time.Until(next)
}

// drain reads the ring.
func (p *pump) drain(last bool) {
	p.now = time.Now()
	p.taken = p.ring.take(last, p.line, func(n uint64) { p.lose(n, n) })
}

func (p *pump) line(level zerolog.Level, text []byte) {
	parse(&p.entry, level, text, p.now)
	for {
		p.fillGap()
		if p.gap == 0 && p.open.add(&p.entry) {
			return
		}
		p.seal() // it is full
	}
}

// lose counts lines that are lost, and what is to be told by an entry: that many more where such entries are lost, too.
func (p *pump) lose(lines, told uint64) {
	p.gap += told
	p.total.Lost += lines
	p.tell.lost(lines)
}

// fillGap puts an entry in the place of what was lost, if the open batch takes one more.
func (p *pump) fillGap() {
	if p.gap > 0 && p.open.add(gap(p.gap, p.now)) {
		p.gap = 0
	}
}

// seal ends the open batch and queues it. Where there is no room for it, its lines are lost, and its numbers free.
func (p *pump) seal() {
	b := p.open
	if b.count == 0 {
		return
	}
	next := b.last() + 1
	if !p.queue.push(b, p.failures > 0) {
		next = b.first
		p.lose(b.lines, b.lines+b.lost)
	}
	p.open = p.newBatch(next, len(b.entries)+len(b.entries)/8)
}

// flush queues what there is. That lines were lost is told with the next line, or when the queue is empty: it must not
// fill what the lines found full.
func (p *pump) flush() {
	if p.open.count == 0 && !p.closing && !(p.failures == 0 && p.queue.empty()) {
		return
	}
	p.fillGap()
	p.seal()
}
