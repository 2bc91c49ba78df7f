package peer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/link"
	"shoal/client/store"
	"shoal/client/swarm"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// dialTimeout is how long one address of a peer may take to answer before the next is tried.
const dialTimeout = 2 * time.Second

// maxWriters is how many pieces are hashed and written at a time: enough to keep a disk busy with writes of 256 KiB.
const maxWriters = 8

// Pool holds the connections that this process has opened to peers: one to each, shared by all its transfers. For
// concurrent use.
type Pool struct {
	// Down limits what all transfers together receive; nil for nothing. Set before the first one.
	Down *Limit

	key       *identity.Key
	transport identity.Transport
	buffers   *store.Buffers
	writers   chan struct{} // capacity maxWriters: those at work
	log       zerolog.Logger
	dial      link.Dialer

	mu    sync.Mutex // guards conns, and the users of each
	conns map[swarm.PeerID]*conn
	run   sync.WaitGroup // the connections' goroutines
}

// NewPool makes a Pool whose connections are opened by dial, protect themselves as transport says, and assemble pieces
// in buffers.
func NewPool(key *identity.Key, transport identity.Transport, dial link.Dialer, buffers *store.Buffers, log zerolog.Logger) *Pool {
	return &Pool{
		key: key, transport: transport, dial: dial, buffers: buffers, log: log, writers: make(chan struct{}, maxWriters), conns: map[swarm.PeerID]*conn{},
	}
}

// conn is one connection to a peer.
type conn struct {
	pool  *Pool
	id    swarm.PeerID
	ready chan struct{} // closed when link or err is set
	link  *link.Link
	err   error
	users int                // transfers that hold it; the pool's mu guards it
	ctx   context.Context    // ends with the connection
	end   context.CancelFunc // ends it

	waiting atomic.Bool // it waits for a buffer that others have, and is not to blame for its silence

	mu     sync.Mutex         // guards joined
	joined map[uint32]*Joined // by handle
}

// connect returns a connection to source, opening it if there is none yet. Each call that succeeds must be matched by
// a release.
func (p *Pool) connect(ctx context.Context, source tracker.Source) (*conn, error) {
	id := swarm.PeerID{Device: source.Device, Session: source.Session}
	p.mu.Lock()
	c := p.conns[id]
	if c == nil {
		c = &conn{pool: p, id: id, ready: make(chan struct{}), joined: map[uint32]*Joined{}}
		c.ctx, c.end = context.WithCancel(context.Background())
		p.conns[id] = c
		p.run.Go(func() { c.live(source) })
	}
	c.users++
	p.mu.Unlock()
	select {
	case <-c.ready:
		if c.err == nil {
			return c, nil
		}
		p.release(c)
		return nil, c.err
	case <-ctx.Done():
		p.release(c)
		return nil, context.Cause(ctx)
	}
}

// release ends a connection that nobody uses any more.
func (p *Pool) release(c *conn) {
	p.mu.Lock()
	c.users--
	last := c.users == 0
	if last && p.conns[c.id] == c {
		delete(p.conns, c.id)
	}
	p.mu.Unlock()
	if last {
		c.end()
	}
}

// Wait returns when all connections have ended, which they do when no transfer uses them.
func (p *Pool) Wait() { p.run.Wait() }

// live is a connection's goroutine: it opens it and runs it to its end.
func (c *conn) live(source tracker.Source) {
	c.link, c.err = c.open(source)
	close(c.ready)
	if c.err == nil {
		err := c.link.Run(c.ctx, c.event)
		c.pool.log.Debug().Err(err).Stringer("device", c.id.Device).Msg("a connection to a peer ended")
		c.lose(err)
	}
	c.end()
	c.pool.mu.Lock()
	if c.pool.conns[c.id] == c {
		delete(c.pool.conns, c.id)
	}
	c.pool.mu.Unlock()
}

// open tries the source's addresses in turn.
func (c *conn) open(source tracker.Source) (*link.Link, error) {
	err := shoal.Errorf(shoal.Unreachable, "device %v has no address", source.Device)
	for _, candidate := range source.Addresses {
		var nc net.Conn
		if nc, err = c.dial(candidate); err != nil {
			continue
		}
		var e *identity.Established
		e, err = identity.Initiator{
			Key: c.pool.key, Wanted: wire.ServicePeer, Transport: c.pool.transport, Accept: c.accept,
		}.Open(c.ctx, nc)
		if err == nil {
			return link.New(e), nil
		}
	}
	return nil, err
}

func (c *conn) dial(candidate identity.Candidate) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
	defer cancel()
	return c.pool.dial(ctx, candidate.Addr.String())
}

// accept takes nobody but the device that is wanted (rule H8).
func (c *conn) accept(reply *wire.HelloReply) error {
	if reply.Identity != c.id.Device {
		return shoal.Errorf(shoal.Untrusted, "another device answers at the address of %v", c.id.Device)
	}
	return nil
}

// lose tells every transfer that uses the connection that it is gone.
func (c *conn) lose(err error) {
	c.mu.Lock()
	joined := c.joined
	c.joined = map[uint32]*Joined{}
	c.mu.Unlock()
	for _, j := range joined {
		j.sink.lost(j, err)
	}
}

// event passes on what the peer says by itself.
func (c *conn) event(f wire.Frame) error {
	switch f.Kind {
	case wire.KindHave:
		var m wire.Have
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		if j := c.find(m.Handle); j != nil {
			return j.have(m.Pieces)
		}
		return nil // it may have crossed our LEAVE
	case wire.KindChoke:
		var m wire.Choke
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		if j := c.find(m.Handle); j != nil {
			return j.choke(true)
		}
		return nil
	case wire.KindUnchoke:
		var m wire.Unchoke
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		if j := c.find(m.Handle); j != nil {
			return j.choke(false)
		}
		return nil
	case wire.KindWithdraw:
		var m wire.Withdraw
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		if j := c.find(m.Handle); j != nil && c.remove(j) {
			j.sink.lost(j, m.Err())
		}
		return nil
	}
	return shoal.Errorf(shoal.BadRequest, "%v from a peer (rule F6)", f.Header)
}

func (c *conn) find(handle uint32) *Joined {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.joined[handle]
}

// remove ends j's part in the connection, and reports whether it had one.
func (c *conn) remove(j *Joined) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joined[j.handle] != j {
		return false
	}
	delete(c.joined, j.handle)
	return true
}
