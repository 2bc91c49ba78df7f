// Package session is a server's side of one connection: the handshake, then frames read one by one and answered at once
// from the registry and the swarms, until either side ends it (wire/PROTOCOL.md sections 4 and 6).
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/accept"
	"shoal/identity"
	"shoal/rpclog"
	"shoal/server/audit"
	"shoal/server/enrichment"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/server/registry"
	"shoal/server/swarms"
	"shoal/wire"
)

const (
	// flushAt is how many bytes of replies are gathered at most before they are sent, and keepReplies the largest buffer
	// for them that is used again.
	flushAt     = 64 << 10
	keepReplies = 128 << 10
	// mostStrange is how many bytes of large requests are read at the same time from sessions that are no user's.
	mostStrange = 4 << 20
	// stopPatience is how long a mutation goes on that is under way when the server stops.
	stopPatience = 2 * time.Second
)

// Why a session ends without a BYE to the client, besides the end of the connection.
var (
	errBye  = errors.New("the client said goodbye")
	errDeaf = errors.New("the client does not take the answers")

	errStopping = errors.New("the server stops before it knows what became of a request")
)

// Host is what the sessions of one server share. Its fields must not change once it is in use.
type Host struct {
	Responder identity.Responder // serves wire.ServiceServer; its Admit is set by the Host
	Registry  *registry.Registry
	Swarms    *swarms.Swarms
	// Mutate carries out a mutation, as meta.Store.Apply does, and returns when Registry has what it led to.
	Mutate func(ctx context.Context, id meta.ID, m meta.Mutation) (meta.Outcome, error)
	// Barrier returns when Registry has all that any server acknowledged before the call. nil where there is one server: it
	// answers a mutation only when that is in Registry, so whoever reads after the answer finds it.
	Barrier      func(context.Context) error
	Audit        *audit.Log        // nil for none
	Facts        *enrichment.Queue // of what is published; nil where nobody can be asked
	Log          zerolog.Logger
	Passwords    *passwords.Keeper
	Registration Registration
	Tickets      Tickets
	Hub          Hub // of the sessions that Changed tells what ended

	// Manifest reads what is kept of a name's content, as meta.Store.Manifest does.
	Manifest func(context.Context, shoal.Group, shoal.Name, shoal.Object) ([]byte, error)
	// PrivateMirrors says that mirrors may be in private networks (rule W9).
	PrivateMirrors bool

	strange atomic.Int64 // bytes of large requests that are read from sessions that are no user's

	// Room is for all sessions; those of devices that are some user's are settled there. nil for no limit.
	Room *accept.Room
	// ReadLog reads the log for a device, within a bounded time. The error has code Denied where that may not; nil denies
	// all.
	ReadLog func(ctx context.Context, device shoal.DeviceID, q rpclog.Query) (rpclog.Page, error)
}

// Session is one connection after the handshake. One goroutine uses it.
type Session struct {
	host    *Host
	conn    *identity.Established
	below   *timedConn
	remote  string
	device  shoal.DeviceID
	offers  *swarms.Session
	reads   *audit.Reader
	seat    *accept.Seat // nil where the Host has no Room
	log     zerolog.Logger
	desk    *desk                // nil while there is nothing to answer
	out     []byte               // replies that are yet to be sent
	settled bool                 // it is a user's
	held    int                  // bytes that it has of host.strange
	told    map[shoal.Group]bool // whose epoch the client was told here (rule E3)
	// reportsDue is when the session has all its reports left again.
	reportsDue time.Time

	why     atomic.Pointer[error] // EndAll gave
	writing sync.Mutex            // held while frames are sent
	pushes  pushes
}

// Accept does the handshake on a fresh connection, which it takes over: on an error it is closed. It takes no longer than
// identity.HandshakeTimeout. Run must be called then.
func (h *Host) Accept(ctx context.Context, nc net.Conn) (s *Session, err error) {
	event := audit.Event{Operation: "connect", Remote: nc.RemoteAddr().String(), Begin: time.Now()}
	defer func() { h.auditConnect(event, s, err) }()
	below := &timedConn{Conn: nc}
	var seat *accept.Seat
	responder := h.Responder
	if h.Room != nil {
		responder.Admit = func() (err error) {
			seat, err = h.Room.Enter(nc)
			return err
		}
	}
	e, err := responder.Accept(ctx, below)
	if err != nil {
		seat.Leave()
		return nil, err
	}
	device := shoal.DeviceID(e.Remote)
	s = &Session{
		host: h, conn: e, below: below, remote: event.Remote, device: device, seat: seat,
		offers: h.Swarms.Begin(e.Session, device), reads: h.Audit.Begin(device),
		log: h.Log.With().Uint64("session", e.Session).Stringer("device", device).Logger(),
	}
	s.conn.Large = s.large
	if who, _ := h.Registry.Who(device); who.User != "" {
		s.settle()
	}
	s.pushes.sending = true // until Run has told what comes first
	h.Hub.add(s)
	return s, nil
}

// large reports whether a large request is to be read. Nobody's device has no use for one, so there is little room for these.
func (s *Session) large(bytes int) bool {
	if s.settled {
		return true
	}
	if s.host.strange.Add(int64(bytes)) > mostStrange {
		s.host.strange.Add(-int64(bytes))
		return false
	}
	s.held = bytes
	return true
}

// settle keeps the session however many others come.
func (s *Session) settle() {
	s.settled = true
	s.seat.Settle(true)
}

// Run answers requests until the connection ends, or ctx does, and returns why. Then the connection is closed, and
// nothing is left of the session.
func (s *Session) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(stopped)
		s.below.stop()
	})
	defer func() {
		if !cancel() {
			<-stopped
		}
	}()
	defer s.seat.Leave()
	defer s.below.Close()

	err := s.begin()
	if err == nil {
		err = s.serve(ctx)
	} else {
		err = fmt.Errorf("%w: %w", errDeaf, err)
	}
	s.host.Hub.remove(s)
	s.endPushes()
	s.offers.End()
	s.reads.End()
	if reason := s.reason(err); reason != nil {
		err = reason
		if errors.Is(reason, shoal.BadRequest) {
			s.audit("disconnect", "", shoal.Object{}, time.Now(), reason)
		}
		s.goodbye(reason)
	}
	s.log.Debug().AnErr("reason", err).Msg("disconnected")
	return err
}

// serve reads and answers frames. It returns what ended that, never nil.
func (s *Session) serve(ctx context.Context) error {
	for {
		if s.conn.Buffered() == 0 || len(s.out) > flushAt {
			if err := s.flush(); err != nil {
				return fmt.Errorf("%w: %w", errDeaf, err)
			}
		}
		f, err := s.conn.ReadFrame()
		if err != nil {
			s.host.strange.Add(-int64(s.held))
			return err
		}
		err = s.handle(ctx, f)
		s.host.strange.Add(-int64(s.held))
		s.held = 0
		if err != nil {
			return err
		}
	}
}

// reason is what to tell the client about the end of the connection; nil where it cannot be told or ended it itself.
func (s *Session) reason(err error) error {
	why := s.why.Load()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errBye), errors.Is(err, errDeaf):
		return nil
	case why != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return *why
	case errors.Is(err, errStopping), errors.Is(err, os.ErrDeadlineExceeded) && s.below.stopping.Load():
		return shoal.Errorf(shoal.Busy, "the server is stopping; try again later, or another one")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return shoal.Errorf(shoal.Unreachable, "nothing was heard from this device for %v (rule H9); send PING to stay", idleTimeout)
	case errors.Is(err, shoal.BadRequest):
		return err
	}
	return nil
}

// goodbye sends what is left to send and a BYE, as far as that is possible.
func (s *Session) goodbye(reason error) {
	s.out = wire.AppendEvent(s.out, wire.KindBye, wire.NewBye(reason))
	if s.flush() != nil {
		return
	}
	if half, ok := s.conn.Conn.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // in TLS, what says that nothing was cut off
	}
	s.below.linger()
}

func (s *Session) flush() error {
	defer s.rise()
	if len(s.out) == 0 {
		return nil
	}
	return s.write(s.out)
}
