// Package tracker is a client's session with its server: it connects, reconnects, answers questions from the server, and
// keeps the server told what this process serves. Who it is that serves the server is checked at every connection.
package tracker

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/link"
	"shoal/identity"
	"shoal/wire"
)

const (
	dialTimeout   = 10 * time.Second
	callTimeout   = 20 * time.Second // for a call whose context has no deadline, reconnecting included
	retryFirst    = 100 * time.Millisecond
	retryMost     = 5 * time.Second
	candidateLife = time.Hour // how long a signed list of addresses holds; it is renewed at half of that
)

// Config is what a Tracker needs.
type Config struct {
	Server    string // HOST:PORT
	Key       *identity.Key
	Transport identity.Transport
	Dial      link.Dialer // nil for TCP
	// Accept decides whether the server is of the realm to be trusted.
	Accept func(*wire.HelloReply) error
	// Addresses gives where this process accepts connections, given its address as the server sees it; nil when it
	// serves nothing.
	Addresses func(observed netip.Addr) []identity.Candidate
	// Sequence numbers this device's mutations, each higher than all before, but for one that is asked for again; nil for
	// the time, which processes of a device can share.
	Sequence func() uint64
	Events   Events
	Log      zerolog.Logger
}

// Tracker is one process's conversation with its server. Its methods may be called from any goroutine, and wait for a
// connection if there is none, as long as Run runs.
type Tracker struct {
	config Config
	clock  identity.Clock // the server's time, as each connection tells it

	mu        sync.Mutex // guards the rest
	link      *link.Link // nil while there is no connection
	since     time.Time  // when link came up
	up        chan struct{}
	lost      chan struct{} // closed when link ends
	fatal     error         // why no connection will ever come
	observed  netip.Addr    // this process's address, as a server saw it last
	signed    []byte        // where it accepts connections; nil before the first statement
	signedAt  time.Time     // in the server's time
	sequence  uint64
	published map[label]publication
	offers    map[shoal.Swarm]wire.Offer
	changed   map[shoal.Swarm]struct{} // offers that the server has not been told of
	told      chan struct{}            // closed when changed has become empty; nil when nobody waits for that
	wake      chan struct{}            // capacity 1: changed is not empty, or somebody waits for told
}

type label struct {
	group shoal.Group
	name  shoal.Name
}

// publication is what a name is to stand for.
type publication struct {
	object shoal.Object
	sample Sample
}

// Sample returns the first object.HeadSize() bytes of a published file, or nothing where they cannot be had. It is called
// whenever the file is published, so that they need not be kept. A nil Sample withholds them.
type Sample func() []byte

// of is the sample as PUBLISH may carry it (rule S8).
func (s Sample) of(o shoal.Object) []byte {
	if s == nil {
		return nil
	}
	head := s()
	if len(head) != o.HeadSize() {
		return nil
	}
	return head
}

// New makes a Tracker that is not connected yet.
func New(config Config) *Tracker {
	if config.Dial == nil {
		config.Dial = link.TCP(config.Transport)
	}
	return &Tracker{
		config: config, up: make(chan struct{}), published: map[label]publication{},
		offers: map[shoal.Swarm]wire.Offer{}, changed: map[shoal.Swarm]struct{}{}, wake: make(chan struct{}, 1),
	}
}

// Connect opens the first connection, so that a command fails at once where no server can be reached or trusted. Run
// goes on with it.
func (t *Tracker) Connect(ctx context.Context) error {
	l, err := t.dial(ctx)
	if err == nil {
		t.setLink(l)
	}
	return err
}

// Run keeps a connection up until the context ends. It returns early only with an error that trying again cannot mend:
// a server that is not to be trusted, or speaks another protocol.
func (t *Tracker) Run(ctx context.Context) error {
	backoff := retryFirst
	for {
		l := t.current()
		if l == nil {
			var err error
			if l, err = t.dial(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				if code := shoal.CodeOf(err); code == shoal.Untrusted || code == shoal.Unsupported || code == shoal.Denied {
					t.fail(err)
					return err
				}
				t.config.Log.Warn().Err(err).Dur("retry_in", backoff).Msg("no connection to the server")
			} else {
				t.setLink(l)
			}
		}
		if l != nil {
			up := time.Now()
			err := t.serve(ctx, l)
			if time.Since(up) > retryMost { // a server that hangs up at once is no reason to hurry
				backoff = retryFirst
			}
			if ctx.Err() != nil {
				return nil
			}
			t.config.Log.Warn().Err(err).Msg("lost the connection to the server")
		}
		select {
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		case <-ctx.Done():
			return nil
		}
		backoff = min(2*backoff, retryMost)
	}
}

func (t *Tracker) dial(ctx context.Context) (*link.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := t.config.Dial(ctx, t.config.Server)
	if err != nil {
		return nil, shoal.Errorf(shoal.CodeOf(err), "connecting to the server at %s: %w", t.config.Server, err)
	}
	e, err := identity.Initiator{
		Key: t.config.Key, Wanted: wire.ServiceServer, Transport: t.config.Transport, Accept: t.config.Accept,
	}.Open(ctx, nc)
	if err != nil {
		code := shoal.CodeOf(err)
		if code == shoal.Internal { // the network's
			code = shoal.Unreachable
		}
		return nil, shoal.Errorf(code, "connecting to the server at %s: %w", t.config.Server, err)
	}
	return link.New(e), nil
}

// serve runs one connection to its end.
func (t *Tracker) serve(ctx context.Context, l *link.Link) error {
	ctx, cancel := context.WithCancel(ctx)
	var told sync.WaitGroup
	told.Go(func() {
		if err := t.keepTold(ctx, l); err != nil && ctx.Err() == nil {
			l.Close(err)
		}
	})
	err := l.Run(ctx, t.event)
	t.setLink(nil)
	cancel()
	told.Wait()
	return err
}

func (t *Tracker) current() *link.Link {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.link
}

func (t *Tracker) setLink(l *link.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.link = l
	if l == nil {
		t.up = make(chan struct{})
		close(t.lost)
		return
	}
	t.lost = make(chan struct{})
	t.since, t.observed = time.Now(), l.Observed
	t.clock.Learn(l.Ahead)
	close(t.up)
}

// fail tells everybody who waits for a connection that none will come.
func (t *Tracker) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fatal = err
	close(t.up)
}

// Now is the server's time, as far as it is known.
func (t *Tracker) Now() time.Time { return t.clock.Now() }

// Reachable reports whether there has been a connection to the server for a while: for as long as others, who lost
// theirs at the same time, need to be back and to have renewed what expired meanwhile.
func (t *Tracker) Reachable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.link != nil && time.Since(t.since) > 2*retryMost
}

// Reconnect ends the connection, so that the next one tells the server everything again: what this device may do has
// changed.
func (t *Tracker) Reconnect() {
	if l := t.current(); l != nil {
		l.Close(shoal.Errorf(shoal.Unreachable, "connecting again"))
	}
}

// call asks the server, over as many connections as it takes until the context's deadline.
func (t *Tracker) call(ctx context.Context, kind wire.Kind, m, reply wire.Message) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, callTimeout,
			shoal.Errorf(shoal.Unreachable, "the server at %s did not answer within %v; is it running?", t.config.Server, callTimeout))
		defer cancel()
	}
	for {
		l, err := t.wait(ctx)
		if err != nil {
			return err
		}
		err = t.begin(l, kind, m).Wait(ctx, reply)
		var lost *link.LostError
		if !errors.As(err, &lost) || errors.Is(err, shoal.BadRequest) && !lost.Unsent || ctx.Err() != nil {
			return err
		}
		// The connection went away. A mutation may have been carried out: its sequence number makes asking again safe.
		select {
		case <-time.After(retryFirst):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wait returns the connection, once there is one.
func (t *Tracker) wait(ctx context.Context) (*link.Link, error) {
	for {
		t.mu.Lock()
		l, up, fatal := t.link, t.up, t.fatal
		t.mu.Unlock()
		if l != nil || fatal != nil {
			return l, fatal
		}
		select {
		case <-up:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
