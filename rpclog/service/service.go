// Package service is the log service: the ONC RPC program of log.x, on top of a journal. Whoever runs it reads the log
// through a unix socket in its state folder; nobody does by RPC.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/journal"
	"shoal/rpclog/oncrpc"
)

// Config is what the service needs to know.
type Config struct {
	Listen   string         // HOST:PORT for TCP and, on loopback, for UDP; port 0 for any that is free for both
	State    string         // the folder for the key and the log, made if it is not there
	Limits   journal.Limits // on what lies on disk
	Register bool           // with rpcbind, if there is one
	KeyLog   io.Writer      // for the keys of TLS sessions, as identity.Transport has it; nil: nowhere
	Log      zerolog.Logger // for what concerns the service itself
}

// Service listens from New until Run returns.
type Service struct {
	state    *state
	key      *rpclog.Key
	keyLog   io.Writer
	journal  *journal.Journal
	listener net.Listener
	packets  net.PacketConn // nil beyond loopback: there is no TLS over UDP
	socket   *socket
	register bool
	log      zerolog.Logger
	failures zerolog.Logger // log, but not for each of the many calls that a full disk refuses

	refused   atomic.Uint64
	appending chan struct{} // holds a token for each batch that is in memory
	strangers chan struct{} // one for each of those that is unverified
}

// How many batches are stored at the same time, each of which takes a few MiB while it is; and how many of them may be
// unverified. A flood of those is answered BUSY, and leaves the others their places.
const (
	maxAppending = 16
	maxStrangers = 4
)

// maxRecord is what a call takes at most: its header, with the longest credential and verifier, and the arguments.
const maxRecord = rpclog.MaxArgs + 6*4 + 2*(8+400)

// New opens the state folder and begins to listen; Run must be called then, and ends both. The error's code is Busy where
// another service has the folder or the port.
func New(c Config) (*Service, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, shoal.Errorf(shoal.BadRequest, "the address to listen on must be HOST:PORT or :PORT: %w", err)
	}
	s := &Service{
		register: c.Register, keyLog: c.KeyLog, log: c.Log,
		failures:  c.Log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Second}),
		appending: make(chan struct{}, maxAppending), strangers: make(chan struct{}, maxStrangers),
	}
	if s.state, err = openState(c.State); err != nil {
		return nil, err
	}
	if err := s.open(c, shoal.IsLoopback(host)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Service) open(c Config, loopback bool) (err error) {
	if s.key, err = rpclog.OpenKey(s.KeyFile()); err != nil {
		return err
	}
	if s.listener, s.packets, err = listen(c.Listen, loopback); err != nil {
		return err
	}
	if s.journal, err = journal.Open(s.state.logs, c.Limits, c.Log); err != nil {
		return err
	}
	s.socket, err = listenSocket(s.state.dir)
	return err
}

// close ends what open has begun.
func (s *Service) close() error {
	var err error
	if s.socket != nil {
		s.socket.Close()
	}
	if s.listener != nil {
		s.listener.Close() // which Serve has done, if it ran
	}
	if s.packets != nil {
		s.packets.Close()
	}
	if s.journal != nil {
		err = s.journal.Close()
	}
	return errors.Join(err, s.state.close())
}

// Addr is the address that the service listens on.
func (s *Service) Addr() net.Addr { return s.listener.Addr() }

// KeyFile is the file with the key that senders need.
func (s *Service) KeyFile() string { return filepath.Join(s.state.dir, "log.key") }

// Socket is the path for Read.
func (s *Service) Socket() string { return SocketIn(s.state.dir) }

// Run serves until ctx ends, and returns when all calls have ended, what they stored is synced, and the state folder is
// released. The error says what went wrong then, or that listening ended by itself; the end of ctx is none.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	secured := s.key.ServerTLS()
	secured.KeyLogWriter = s.keyLog
	server := &oncrpc.Server{
		Program:   oncrpc.Program{Number: rpclog.Program, Low: rpclog.Version, High: rpclog.Version, Handle: s.handle},
		MaxRecord: maxRecord, TLS: secured, RequireTLS: s.packets == nil,
		Refused: func() { s.refused.Add(1) }, Log: s.log,
	}
	if s.packets == nil {
		s.log.Info().Stringer("address", s.Addr()).Msg("this address can be reached from elsewhere: calls need TLS, and there are none over UDP")
	}
	var running sync.WaitGroup
	var err, packetErr error
	if s.packets != nil {
		running.Go(func() { packetErr = server.ServePacket(ctx, s.packets); cancel() })
	}
	running.Go(func() { s.socket.run(ctx, s.journal, s.log) })
	if s.register {
		running.Go(func() { s.beRegistered(ctx) })
	}
	err = server.Serve(ctx, s.listener)
	cancel()
	running.Wait()
	return errors.Join(err, packetErr, s.close())
}

// handle carries out a call of log.x.
func (s *Service) handle(ctx context.Context, call *oncrpc.Call, out []byte) ([]byte, error) {
	switch call.Procedure {
	case rpclog.ProcAppend:
		return s.append(ctx, call, out)
	case rpclog.ProcStats:
		if len(call.Args) > 0 {
			s.refused.Add(1)
			return out, oncrpc.ErrGarbageArgs
		}
		return rpclog.AppendStats(out, s.Stats()), nil
	}
	s.refused.Add(1)
	return out, oncrpc.ErrProcUnavail
}

// Stats returns the service's counts.
func (s *Service) Stats() rpclog.Stats {
	stats := s.journal.Stats()
	stats.Refused = s.refused.Load()
	return stats
}

func (s *Service) append(ctx context.Context, call *oncrpc.Call, out []byte) ([]byte, error) {
	select {
	case s.appending <- struct{}{}:
		defer func() { <-s.appending }()
	case <-ctx.Done():
		return out, ctx.Err()
	}
	batch, verified, err := rpclog.Open(call.Args, s.key)
	if err != nil {
		s.refused.Add(1)
		s.log.Debug().Err(err).Stringer("address", call.Remote).Msg("refused a batch")
		return out, oncrpc.ErrGarbageArgs
	}
	if verified {
		call.Proven = true
	} else {
		select {
		case s.strangers <- struct{}{}:
			defer func() { <-s.strangers }()
		default:
			s.refused.Add(1)
			return rpclog.AppendResult(out, rpclog.Result{Status: rpclog.Busy}), nil
		}
	}
	result, err := s.journal.Append(batch, verified, origin(call))
	if err != nil {
		s.failures.Error().Err(err).Stringer("address", call.Remote).Msg("a batch could not be stored")
	}
	return rpclog.AppendResult(out, result), nil
}

// origin is what a call shows of who sent it, and what it claims.
func origin(call *oncrpc.Call) journal.Origin {
	from := journal.Origin{Address: call.Remote.String()}
	if sys := call.Credential.Sys; sys != nil {
		from.System = &journal.System{Machine: sys.Machine, UID: sys.UID, GID: sys.GID}
	}
	return from
}

// listen listens for TCP and, if it is wanted, for UDP on the same port. packets is nil otherwise.
func listen(address string, udp bool) (l net.Listener, packets net.PacketConn, err error) {
	const attempts = 16 // to find a port that is free for both, where any will do
	for range attempts {
		if l, err = net.Listen("tcp", address); err != nil {
			break
		}
		if !udp {
			return l, nil, nil
		}
		if packets, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, packets, nil
		}
		l.Close()
	}
	err = fmt.Errorf("listening on %s: %w", address, err)
	if errors.Is(err, unix.EADDRINUSE) {
		err = shoal.Errorf(shoal.Busy, "%w; stop what listens there, or choose another port with --listen", err)
	}
	return nil, nil, err
}
