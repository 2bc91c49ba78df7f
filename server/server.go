// Package server is the Shoal server: it knows who published what and who has it, and tells those who ask. It never
// carries pieces. A connection's frames are read and answered by package session, out of packages registry (users, groups
// and names) and swarms (who has what). What must not be lost is kept by package meta, which feeds the registry.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal"
	"shoal/accept"
	"shoal/identity"
	"shoal/ownsocket"
	"shoal/server/passwords"
	"shoal/server/registry"
	"shoal/server/session"
	"shoal/server/swarms"
	"shoal/soap"
	"shoal/wire"
)

// defaultConnections is how many sessions there can be at once.
const defaultConnections = 10_000

// Config is what a server needs to know.
type Config struct {
	Listen         string             // the TCP address HOST:PORT to listen on; port 0 for any free one
	State          string             // the folder for keys and all that must not be lost, made if it is not there
	Etcd           Etcd               // where that is instead
	Transport      identity.Transport // its Buffer is not used: a server carries no pieces
	MaxConnections int                // sessions at once; 0 for 10,000
	Registration   session.Registration
	Soap           string           // the URL of the enrichment service; "" for none
	LogSocket      string           // the log service's unix socket, for those who may read the log through the server; "" for none
	LogReaders     []shoal.DeviceID // who they are
	// PrivateMirrors lets clients fetch from mirrors in private networks.
	PrivateMirrors bool
	Logger         zerolog.Logger
}

// Server listens from New until Run returns.
type Server struct {
	state     *state
	keeper    *keeper
	time      *timekeeper // nil in tests of what is in memory
	listener  net.Listener
	lobby     *accept.Lobby
	host      *session.Host
	control   *ownsocket.Server // nil in tests of what is in memory
	firstCode identity.Code     // of the first user; "" where there is one
	keys      chan struct{}     // capacity 1: the realm's keys changed
	beside    background
	log       zerolog.Logger
}

// New opens the state, reads it and begins to listen; Run must be called then, and ends both. The error's code is Busy
// where another server has the folder or the port, Denied for plaintext where that is not allowed, Unsupported for a
// state of another version, and Unreachable where etcd is. It is ctx's if that ends first.
func New(ctx context.Context, c Config) (*Server, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, shoal.Errorf(shoal.BadRequest, "the address to listen on must be HOST:PORT or :PORT: %w", err)
	}
	if err := c.Transport.CheckAddress(host); err != nil {
		return nil, err
	}
	var enricher *soap.Client
	if c.Soap != "" {
		if enricher, err = soap.NewClient(c.Soap, nil); err != nil {
			return nil, err
		}
	}
	reader, err := newLogReader(c.LogSocket, c.LogReaders, c.Logger)
	if err != nil {
		return nil, err
	}
	st, err := openState(c.State)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		err = fmt.Errorf("listening on %s: %w", c.Listen, err)
		if errors.Is(err, unix.EADDRINUSE) {
			err = shoal.Errorf(shoal.Busy, "%w; stop what listens there, or choose another port with --listen", err)
		}
		return nil, errors.Join(err, st.close())
	}
	s := newServer(c, st, listener)
	s.host.ReadLog = reader.read
	s.attach(enricher)
	k, err := openKeeper(ctx, c.State, c.Etcd, s.host.Registry, c.Logger)
	if err != nil {
		return nil, errors.Join(err, listener.Close(), st.close())
	}
	s.keeper = k
	if s.firstCode, err = st.settle(ctx, k, s.host.Registry, c.Logger); err != nil {
		k.close()
		return nil, errors.Join(err, listener.Close(), st.close())
	}
	s.host.Responder.Key = st.server // it may have replaced it
	if s.time, err = s.openTimekeeper(ctx, c.State); err != nil {
		k.close()
		return nil, errors.Join(err, listener.Close(), st.close())
	}
	if s.control, err = ownsocket.Listen(c.State, controlSocket); err != nil {
		k.close()
		return nil, errors.Join(err, listener.Close(), st.close())
	}
	s.host.Tickets = session.Tickets{Sign: st.signTicket, Confirmed: k.feed.Confirmed, Clock: s.time.clock.Check}
	s.host.Mutate, s.host.Barrier, s.host.Manifest = s.keeper.apply, s.keeper.barrier(), k.store.Manifest
	return s, nil
}

// newServer makes a server without services beside it, and without state.
func newServer(c Config, st *state, listener net.Listener) *Server {
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultConnections
	}
	c.Transport.Buffer = 0
	// Session numbers go on from the time, so that those of a server's earlier life do not come back.
	var sessions atomic.Uint64
	sessions.Store(uint64(time.Now().UnixMicro()))
	warnOfFewFiles(c)
	s := &Server{
		state: st, keeper: new(keeper), listener: listener, lobby: accept.NewLobby(identity.HandshakeTimeout), log: c.Logger, keys: make(chan struct{}, 1),
		host: &session.Host{
			Responder: identity.Responder{
				Key: st.server, Serves: wire.ServiceServer, Transport: c.Transport,
				Certificate: st.certify,
				NextSession: func() uint64 { return sessions.Add(1) },
			},
			Registry: registry.New(),
			Swarms:   swarms.New(),
			Log:      c.Logger,
			Room:     accept.NewRoom(c.MaxConnections, max(1, c.MaxConnections/4)),

			Passwords: passwords.New(), Registration: c.Registration, PrivateMirrors: c.PrivateMirrors,
		},
	}
	s.host.Registry.Changed = func(changes []registry.Change) {
		s.host.Changed(changes)
		s.keysChanged(changes)
	}
	s.attach(nil)
	return s
}

// warnOfFewFiles tells whoever runs the server that the system allows it fewer connections than it could hold.
func warnOfFewFiles(c Config) {
	var files unix.Rlimit
	if need := uint64(c.MaxConnections + accept.LobbyPlaces + 64); unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < need {
		c.Logger.Warn().Uint64("allowed", files.Cur).Uint64("needed", need).
			Msg("the system allows few open files; for all connections raise it with ulimit -n or LimitNOFILE=")
	}
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Realm is the key that clients pin.
func (s *Server) Realm() shoal.RealmKey { return s.state.public }

// FirstCode is the code that makes the first user, good until the server starts again; "" where there is one.
func (s *Server) FirstCode() string { return string(s.firstCode) }

// Run serves until ctx ends, and returns when every connection is closed and the state folder released. The error says
// what went wrong then, or that listening ended by itself; the end of ctx is none.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	var err error
	watching.Go(func() {
		select {
		case <-s.keeper.failed:
			cancel()
		case <-ctx.Done():
		}
	})
	watching.Go(func() { s.serveHolder(ctx) })
	watching.Go(func() { tendHeap(ctx) })
	var revoked error
	watching.Go(func() {
		if revoked = s.followKeys(ctx); revoked != nil {
			cancel()
		}
	})
	watching.Go(func() { s.time.run(ctx) })
	s.beside.run(ctx, func() {
		err = s.lobby.Serve(ctx, s.listener, s.log, s.serve)
		cancel()
	})
	watching.Wait()
	s.keeper.close()
	return errors.Join(err, revoked, s.keeper.err, s.state.close())
}

// serveHolder does what whoever holds the state folder asks for.
func (s *Server) serveHolder(ctx context.Context) {
	if s.control == nil {
		return
	}
	defer s.control.Close()
	err := s.control.Serve(ctx, &control{
		keeper: s.keeper, passwords: s.host.Passwords, state: s.state, registry: s.host.Registry, runs: true, audit: s.beside.audit,
	})
	if err != nil {
		s.log.Error().Err(err).Msg("the socket for whoever holds the state folder ended")
	}
}

// serve does everything for one connection.
func (s *Server) serve(ctx context.Context, g *accept.Guest) {
	proving, end := g.Deadline(ctx)
	accepted, err := s.host.Accept(proving, g)
	g.Leave()
	end()
	if err != nil {
		return // it has been logged
	}
	_ = accepted.Run(ctx) // as well
}
