package sender

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

const (
	// flushEvery is how long a line waits for others at most before its batch is sent, once the pump has it.
	flushEvery = 200 * time.Millisecond
	// The ring is read that often: so often that it fills to an eighth in between, and less when nothing comes.
	soonestDrain = 2 * time.Millisecond
	quietDrain   = time.Second
	quietAfter   = 10 * time.Second // without a line
	wantedDrain  = wakeAt / 4       // bytes
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
	spare [][]byte     // memory of batches that are not needed any more
	gap   uint64       // lines lost that no entry tells of yet
	now   time.Time    // when the ring was read

	pace     time.Duration // from one reading of the ring to the next
	drainAt  time.Time
	linesAt  time.Time // when there last was something in it
	flushed  time.Time // when the open batch was last flushed
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
	p.queue = queue{gone: p.gone, trouble: p.tell.spool, spilled: p.recycle}
	p.open = p.newBatch(1)
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

func (p *pump) newBatch(first uint64) *batch {
	b := &batch{sender: p.sender, first: first}
	if n := len(p.spare); n > 0 {
		b.entries, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	return b
}

// recycle takes the memory of a batch that is not needed any more, unless that one is being sent.
func (p *pump) recycle(b *batch) {
	if b != p.head && len(p.spare) < maxWaiting {
		p.spare = append(p.spare, b.entries[:0])
	}
}

// run works until w is closed and what there is has been sent, or cannot be.
func (p *pump) run(w *Writer) {
	ctx, cancel := context.WithCancel(context.Background())
	var courier sync.WaitGroup
	courier.Go(func() { p.courier.run(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	closing, ended := w.closing, (<-chan struct{})(nil)
	p.now, p.flushed = time.Now(), time.Now()
	p.setPace(flushEvery)
	for !p.finished() {
		p.send()
		p.publish()
		timer.Reset(p.pause())
		select {
		case <-p.ring.signal:
			p.read()
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

// tick does what is due.
func (p *pump) tick() {
	now := time.Now()
	p.tell.tick(now)
	if !now.Before(p.drainAt) {
		p.read()
	}
}

// read reads the ring, flushes what was read if it is time, and decides when to read again.
func (p *pump) read() {
	if p.closing {
		return
	}
	before := p.now
	bytes := p.drain(false)
	if p.now.Sub(p.flushed) >= flushEvery {
		p.flush()
		p.flushed = p.now
	}
	pace := min(2*p.pace, flushEvery)
	if bytes > 0 {
		p.linesAt = p.now
		pace = max(min(pace, p.now.Sub(before)*wantedDrain/time.Duration(bytes)), soonestDrain)
	} else if p.now.Sub(p.linesAt) >= quietAfter {
		pace = quietDrain
	}
	p.setPace(pace)
}

func (p *pump) setPace(pace time.Duration) { p.pace, p.drainAt = pace, p.now.Add(pace) }

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

// drain takes what is in the ring, and returns how many bytes that were.
func (p *pump) drain(last bool) int {
	p.now = time.Now()
	return p.ring.take(last, p.line, func(n uint64) { p.lose(n, n) })
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
		p.recycle(b)
	}
	p.open = p.newBatch(next)
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
