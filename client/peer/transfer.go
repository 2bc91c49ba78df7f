package peer

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/mirror"
	"shoal/client/store"
	"shoal/client/swarm"
	"shoal/client/tickets"
	"shoal/client/tracker"
)

// Tracker is what a transfer needs of the session with a server.
type Tracker interface {
	LookupFile(ctx context.Context, group shoal.Group, file shoal.FileID) (*tracker.Found, error)
	// KeptManifest is what proves the swarm's object, verified, as the server keeps it for what has mirrors.
	KeptManifest(ctx context.Context, swarm shoal.Swarm) (*shoal.Manifest, error)
	Offer(swarm shoal.Swarm, has shoal.Bitfield)
	Withdraw(swarm shoal.Swarm)
	Report(ctx context.Context, group shoal.Group, file shoal.FileID, device shoal.DeviceID) error
}

// Transfer is the download of one object from all its sources at once: to a file (Run), of a range to a file (RunRange),
// or in order to a reader (Stream).
type Transfer struct {
	Swarm shoal.Swarm
	// Range is what is wanted, as Range.In gives it, for RunRange and Stream.
	Range shoal.Range
	// Dir is the folder for the file, and for what has come while it is not whole.
	Dir     string
	Name    shoal.Name
	Sources []tracker.Source // those known at the start
	// From, if not nil, is the only device to fetch from.
	From *shoal.DeviceID
	// Timeout is how long to go on when nothing comes; 0 is for ever.
	Timeout time.Duration
	// Retried says that whoever runs it tries again by itself: errors need not tell to do so.
	Retried bool
	// Report, if not nil, is called with the state of things several times a second, never concurrently.
	Report func(Status)

	Pool    *Pool
	Tracker Tracker
	Tickets *tickets.Keeper // nil to show none
	// Exchange is what sources are told, and asked, of others that are there; nil for nothing.
	Exchange *Exchange
	// Shelf serves the pieces that are there while the others come; nil to serve nothing.
	Shelf *Shelf
	Log   zerolog.Logger
}

// transfer is a Transfer that runs. Its goroutine owns everything but what is marked.
type transfer struct {
	Transfer
	ctx     context.Context
	engine  *swarm.Engine
	begin   time.Time
	actions []swarm.Action
	sources map[swarm.PeerID]*source
	order   []*source
	status  Status
	copies  uint32 // of each piece, at least, when a server was asked last
	offered int    // pieces the server was told of last
	toldAt  time.Time
	opening bool // the part is being opened, or is open
	asking  bool // the server for the manifest
	shelved bool // what is there is served
	result  error
	ended   bool
	lease   *tickets.Lease
	limits  *Limits              // the swarm's
	ready   chan struct{}        // closed when lease has had news
	bad     map[int][]shoal.Hash // of bad pieces: what the values of their blocks were
	learned int                  // sources that were found by their records
	meetAt  time.Duration        // when to look for more of them
	goal    goal
	picky   bool    // not all pieces are wanted, or not in any order
	stream  *stream // who waits for the pieces in order; nil for nobody

	inbox   inbox         // for concurrent use
	pieces  assemblies    // for concurrent use
	part    destination   // set once, before the engine hears that it is open
	waiting atomic.Bool   // for the goroutine that looks for sources
	kick    chan struct{} // capacity 1: look now
	helpers sync.WaitGroup
}

// source is what the transfer knows of one source.
type source struct {
	tracker.Source
	mirror *mirror.Source     // nil for a peer
	joined supplier           // nil unless connected
	cancel context.CancelFunc // ends an attempt to connect; nil unless there is one
	why    shoal.Code         // what status.Reason is about
	status SourceStatus
}

// run downloads what the config wants of the object, to what the goal says.
func (t Transfer) run(outer context.Context, config swarm.Config, g goal, s *stream) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	config.Object, config.Timeout, config.Seed = t.Swarm.Object, t.Timeout, rand.Uint64()
	limits := t.limitsOf()
	config.Peers = peersFor(t.Pool.Down, &limits.Down)
	r := &transfer{
		Transfer: t, ctx: ctx, begin: time.Now(), sources: map[swarm.PeerID]*source{}, kick: make(chan struct{}, 1),
		engine: swarm.New(config), goal: g, stream: s,
		status: Status{Size: wantedBytes(config)}, lease: t.lease(), ready: make(chan struct{}), bad: map[int][]shoal.Hash{},
		limits: limits, picky: config.InOrder || config.Count > 0,
	}
	r.pieces = assemblies{object: t.Swarm.Object, buffers: t.Pool.buffers, pieces: map[int]*assembly{}}
	defer r.lease.Close()
	if t.Exchange != nil {
		t.Exchange.Use(t.Swarm.Group)
	}
	r.inbox.wake = make(chan struct{}, 1)
	r.found(t.Sources)
	r.helpers.Go(r.look)
	r.helpers.Go(r.awaitTickets)
	r.loop()
	cancel()
	r.hangUp()
	r.helpers.Wait()
	return r.conclude(outer)
}

// loop is the life of the transfer: events in, actions out.
func (t *transfer) loop() {
	ticker := time.NewTicker(swarm.TickEvery)
	defer ticker.Stop()
	for !t.ended {
		select {
		case <-t.inbox.wake:
			for _, e := range t.inbox.take() {
				t.handle(e)
			}
		case <-ticker.C:
			t.tick()
		case <-t.ctx.Done():
			t.fail(t.stopped(context.Cause(t.ctx)))
		}
	}
}

// step tells the engine of an event and does what it says.
func (t *transfer) step(e swarm.Event) {
	if t.ended {
		return
	}
	e.Now = time.Since(t.begin)
	t.actions = t.engine.Step(e, t.actions[:0])
	for _, a := range t.actions {
		t.do(a)
	}
}

func (t *transfer) do(a swarm.Action) {
	s := t.sources[a.Peer]
	switch a.Kind {
	case swarm.Connect:
		t.connect(s)
	case swarm.FetchManifest:
		t.setWaiting(false)
		t.fetchManifest(s)
	case swarm.Request:
		t.setWaiting(false)
		s.joined.fetch(a.Piece, a.Begin, a.Length)
	case swarm.Cancel:
		s.joined.cancel(a.Piece, a.Begin, a.Length)
	case swarm.Verify:
		t.verify(a.Piece)
	case swarm.Discard:
		t.pieces.discard(a.Piece)
	case swarm.FetchHashes:
		t.fetchHashes(s, a.Piece)
	case swarm.Drop:
		t.drop(s, a.Code)
	case swarm.Ban:
		t.accuse(s)
	case swarm.Wait:
		t.setWaiting(true)
	case swarm.Done:
		if t.ended = t.stream == nil; !t.ended { // its reader is not done
			t.hangUp()
		}
	case swarm.GiveUp:
		t.fail(t.unfinished())
	case swarm.Fail:
		t.fail(t.hopeless(a.Piece))
	}
}

func (t *transfer) setWaiting(waiting bool) {
	if t.status.Waiting == waiting {
		return
	}
	t.status.Waiting, t.status.Missing = waiting, nil
	t.waiting.Store(waiting)
	if waiting {
		t.report()
		select {
		case t.kick <- struct{}{}:
		default:
		}
	}
}

func (t *transfer) fail(err error) {
	if !t.ended {
		t.ended, t.result = true, err
	}
}

// offerEvery is how often a server is told which pieces are here. Peers that are connected hear of each at once.
const offerEvery = 2 * time.Second

// tick passes on the time and the signs of life, and tells the world how far things are.
func (t *transfer) tick() {
	for _, s := range t.order {
		if s.joined == nil {
			continue
		}
		from := s.joined.from()
		if now := s.joined.received(); now != from.heard || from.waiting.Load() {
			from.heard = now
			t.step(swarm.Event{Kind: swarm.Progress, Peer: s.id()})
		}
	}
	t.step(swarm.Event{Kind: swarm.Tick})
	t.exchanges()
	t.shelved = t.shelved && t.Shelf.serves(t.Swarm, t.part) // it may have been withdrawn for good, or be there from elsewhere
	if t.shelved && t.part.Held() != t.offered && !t.ended && (t.offered == 0 || time.Since(t.toldAt) >= offerEvery) {
		t.offered, t.toldAt = t.part.Held(), time.Now()
		t.Tracker.Offer(t.Swarm, t.part.Bitfield())
	}
	t.report()
}

// hangUp ends the transfer's part in every connection.
func (t *transfer) hangUp() {
	for _, s := range t.order {
		if s.joined != nil {
			t.leave(s)
		}
	}
}

// conclude reaches the goal, or keeps what is there for the next attempt.
func (t *transfer) conclude(ctx context.Context) error {
	for _, e := range t.inbox.take() { // what was being made when the transfer ended
		if e.Kind == swarm.Connected {
			e.joined.leave()
		}
		if e.Kind == swarm.Opened {
			t.part = e.part
		}
		if e.whole != nil {
			t.pieces.giveBack(e.whole)
		}
	}
	t.pieces.close()
	var whole store.Content
	if t.result == nil {
		t.report()
		whole, t.result = t.goal.finish(ctx)
	}
	t.shelved = t.shelved && t.Shelf.serves(t.Swarm, t.part)
	if t.shelved && t.result == nil && whole != nil {
		t.Shelf.Put(t.Swarm, whole)
		t.Tracker.Offer(t.Swarm, whole.Bitfield())
	} else if t.shelved && t.Shelf.withdraw(t.Swarm, t.part, shoal.Errorf(shoal.NotFound, "the download here is over")) {
		t.Tracker.Withdraw(t.Swarm)
	}
	if t.part != nil {
		if err := t.part.Close(); err != nil {
			t.Log.Warn().Err(err).Msg("closing a download")
		}
	}
	return t.result
}
