package peer

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/accept"
	"shoal/client/tickets"
	"shoal/identity"
	"shoal/wire"
)

const (
	// maxConnections is how many there are at once. Where there are more, those go that have joined nothing.
	maxConnections = 512
	hashedAtOnce   = 256 << 10 // bytes of a piece that are read at a time for HASHES
)

// Server serves what is on a shelf to the peers that connect.
type Server struct {
	Key       *identity.Key
	Transport identity.Transport
	Shelf     *Shelf
	// Realm says who may fetch in which group, and for how long; nil lets everybody.
	Realm *tickets.Realm
	// Alone reports whether no other device is known to have all of an object. It is called, from any goroutine, when the
	// first device joins what is whole here: then each piece is given out once, for them to pass on. nil for never.
	Alone func(context.Context, shoal.Swarm) bool
	// Changed is called, from any goroutine, when an object turned out to be no longer what was published. It has been
	// withdrawn already.
	Changed func(shoal.Swarm, error)
	Up      *Limit // of all that is served together; nil for none
	// Exchange is what others are told of who else is there; nil for nothing.
	Exchange *Exchange
	Log      zerolog.Logger

	begin    sync.Once
	sending  places
	room     *accept.Room  // of all connections; those that have joined something are settled there
	accepted atomic.Uint64 // connections, which numbers them

	hashing sync.Mutex // held while a piece is read for HASHES, as pieces may be long; guards hashed
	hashed  []byte     // what of it is read at a time; nil before the first
}

// Run accepts connections until the context ends; it returns when all of them are closed. It owns l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	defer cancel()
	sweeping.Go(func() { s.sweep(ctx) })
	return accept.NewLobby(identity.HandshakeTimeout).Serve(ctx, l, s.Log, func(ctx context.Context, g *accept.Guest) {
		proving, end := g.Deadline(ctx)
		c, err := s.welcome(proving, g)
		g.Leave()
		end()
		if err == nil {
			s.serve(ctx, g, c)
		}
	})
}

// welcome does the handshake, and finds the connection a place. On an error it is closed.
func (s *Server) welcome(ctx context.Context, nc net.Conn) (*served, error) {
	s.begin.Do(func() { s.sending, s.room = make(places, maxSending), accept.NewRoom(maxConnections, 0) })
	var seat *accept.Seat
	e, err := identity.Responder{Key: s.Key, Serves: wire.ServicePeer, Transport: s.Transport, Admit: func() (err error) {
		seat, err = s.room.Enter(nc)
		return err
	}}.Accept(ctx, &idleConn{nc})
	if err != nil {
		seat.Leave()
		s.Log.Debug().Err(err).Stringer("from", nc.RemoteAddr()).Msg("a peer's handshake failed")
		return nil, err
	}
	return &served{
		server: s, Established: e, seat: seat, number: s.accepted.Add(1), members: map[uint32]*member{}, exchanged: map[shoal.Swarm]time.Time{},
	}, nil
}

// serve answers what comes over a connection until that ends.
func (s *Server) serve(ctx context.Context, nc net.Conn, c *served) {
	defer c.seat.Leave()
	alive, end := context.WithCancel(ctx)
	defer end()
	c.ctx = alive
	e := c.Established
	c.out = newSender(e.Conn, newBacklog(nc), c.check, s.Up, s.sending)
	c.helpers.Go(c.out.run)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	err := c.read()
	switch {
	case errors.Is(err, shoal.BadRequest):
		c.out.bye(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.out.bye(shoal.Errorf(shoal.Unreachable, "nothing was heard from this device for %v (rule H9)", idleLimit))
	case !errors.Is(err, io.EOF): // after which the other side may still read
		nc.Close()
	}
	for _, m := range c.members {
		m.item.leave(m)
	}
	c.out.end()
	end()
	c.helpers.Wait()
	linger(nc)
	s.Log.Debug().Err(err).Stringer("device", shoal.DeviceID(e.Remote)).Msg("a peer has gone")
}

// served is one connection that another peer opened. Its reading goroutine owns members and what follows.
type served struct {
	*identity.Established
	server  *Server
	ctx     context.Context // ends with the connection
	helpers sync.WaitGroup
	number  uint64
	seat    *accept.Seat
	settled bool
	out     *sender
	members map[uint32]*member // by handle
	handles uint32             // the last handle given

	exchanged map[shoal.Swarm]time.Time // when there was an EXCHANGE last
}

func (c *served) read() error {
	for {
		c.out.waitForRoom()
		f, err := c.ReadFrame()
		if err != nil {
			return err
		}
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

// handle answers one frame. Only a broken rule is an error: it ends the connection.
func (c *served) handle(f wire.Frame) error {
	if f.IsReply() {
		return shoal.Errorf(shoal.BadRequest, "%v to a peer that asked for nothing (rule F5)", f.Header)
	}
	if _, open := c.out.find(f.ID); open {
		return shoal.Errorf(shoal.BadRequest, "%v, whose id is open already (rule F3)", f.Header)
	}
	switch f.Kind {
	case wire.KindPing:
		c.out.reply(f.Kind, f.ID, &wire.Empty{})
	case wire.KindBye:
		var reason wire.Bye
		if err := wire.Decode(f.Body, &reason); err != nil {
			return err
		}
		return shoal.Errorf(shoal.Unreachable, "the other side ended the connection: %w", reason.Err())
	case wire.KindJoin:
		defer c.settle()
		return c.join(f)
	case wire.KindRenew:
		return answer(c, f, c.renew)
	case wire.KindLeave:
		defer c.settle()
		return answer(c, f, c.leave)
	case wire.KindManifest:
		return answer(c, f, c.manifest)
	case wire.KindHashes:
		return answer(c, f, c.hashes)
	case wire.KindExchange:
		return answer(c, f, c.exchange)
	case wire.KindRequest:
		return c.request(f)
	case wire.KindCancel:
		var m wire.Cancel
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		if b, open := c.out.find(m.ID); open {
			b.member.cancel(b)
		}
	case wire.KindHave:
		var m wire.Have
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		return c.have(&m)
	default:
		return wire.Unserved(f.Header, "a peer")
	}
	return nil
}

// settle keeps the connection, however many others come, while it has joined something.
func (c *served) settle() {
	if joined := len(c.members) > 0; joined != c.settled {
		c.settled = joined
		c.seat.Settle(joined)
	}
}

// answer decodes a request, lets handle carry it out, and sends its reply or error.
func answer[M any, P interface {
	*M
	wire.Message
}](c *served, f wire.Frame, handle func(P) (wire.Message, error)) error {
	m := P(new(M))
	if err := wire.Decode(f.Body, m); err != nil {
		return err
	}
	reply, err := handle(m)
	if err != nil {
		c.out.refuse(f.Kind, f.ID, err)
		return nil
	}
	c.out.reply(f.Kind, f.ID, reply)
	return nil
}
