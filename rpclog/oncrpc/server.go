package oncrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal/accept"
)

const (
	defaultRecord      = 1 << 20 // bytes
	defaultConnections = 1024

	idleTime      = 15 * time.Minute // between two calls of a connection
	recordTime    = time.Minute      // from a record's beginning to its end
	writeTime     = 30 * time.Second // until a peer has taken what it asked for
	handshakeTime = 10 * time.Second
	farewellTime  = time.Second // for the last replies, once the server is to end
)

// Handler carries out a call and appends the results in XDR to out. Any error but ErrProcUnavail and ErrGarbageArgs is
// answered with SYSTEM_ERR and logged; its text is not sent. Calls of one connection come one after the other, those of
// several and those over UDP at the same time. NULL, procedure 0, is answered by the Server.
type Handler func(ctx context.Context, call *Call, out []byte) ([]byte, error)

// Program is what a Server serves: all versions of one program from Low to High.
type Program struct {
	Number, Low, High uint32
	Handle            Handler
}

// Server serves one program. It must not be changed once it serves. Serve and ServePacket may run at the same time, on
// any number of listeners, each with limits of its own.
type Server struct {
	Program        Program
	MaxRecord      int         // bytes of a record over all fragments; 0 for 1 MiB
	MaxConnections int         // of a listener; 0 for 1,024. Where there are more, who called last longest ago has to go, who has Proven something last
	TLS            *tls.Config // offered as RFC 9289 says; nil: not
	RequireTLS     bool        // plaintext calls but NULL are denied with AUTH_TOOWEAK
	Refused        func()      // if not nil, called for each call that does not reach Handle because it is malformed, over a limit or denied; concurrently
	Log            zerolog.Logger
}

func (s *Server) refused() {
	if s.Refused != nil {
		s.Refused()
	}
}

// Serve serves the connections of l until ctx ends, and closes l. It returns when all its goroutines have ended: each
// carries out the call that it is at, which sees ctx end. The error says why accepting ended by itself; the end of ctx is
// none.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	conns := newConnSet(s.MaxConnections)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	return accept.Loop(ctx, l, s.Log, func(nc net.Conn) {
		if c := s.newConn(nc); conns.enter(c) {
			running.Go(func() {
				defer conns.leave(c)
				c.run(ctx)
			})
		} else {
			s.Log.Warn().Stringer("address", nc.RemoteAddr()).Msg("refused an RPC connection: there are too many, and all are busy")
			nc.Close()
		}
	})
}

// answer appends the reply to a record, in full. With upgrade, TLS is to begin after the reply. The error is errNotCall.
func (s *Server) answer(ctx context.Context, call *Call, record, out []byte) (_ []byte, upgrade bool, err error) {
	start := len(out)
	if err = parseCall(record, call); errors.Is(err, errNotCall) {
		s.refused()
		return out, false, err
	}
	if err == nil {
		err = s.admit(call)
	}
	if err != nil {
		s.refused()
		return appendError(out, call.XID, err), false, nil
	}
	if call.Credential.Flavor == AuthTLS {
		return appendSuccess(out, call.XID, startTLS), true, nil
	}
	out = appendSuccess(out, call.XID, "")
	if call.Procedure == 0 {
		return out, false, nil
	}
	results, err := s.Program.Handle(ctx, call, out)
	if err == nil {
		return results, false, nil
	}
	if _, known := errors.AsType[*AcceptError](err); !known {
		s.Log.Error().Err(err).Stringer("address", call.Remote).Uint32("procedure", call.Procedure).Msg("an RPC failed")
	}
	return appendError(out[:start], call.XID, err), false, nil
}

// admit checks everything about a call that the transport can know. The error is what to answer.
func (s *Server) admit(call *Call) error {
	p := &s.Program
	isProbe := call.Credential.Flavor == AuthTLS
	_, datagram := call.Remote.(*net.UDPAddr)
	switch {
	case isProbe && (s.TLS == nil || call.Secure || datagram || call.Procedure != 0):
		return badAuth(AuthBadCred)
	case s.RequireTLS && !call.Secure && call.Procedure != 0:
		return badAuth(AuthTooWeak)
	case call.Program != p.Number:
		return &AcceptError{Stat: ProgUnavail}
	case call.Version < p.Low || call.Version > p.High:
		return &AcceptError{Stat: ProgMismatch, Low: p.Low, High: p.High}
	}
	return nil
}

func (s *Server) maxRecord() int {
	if s.MaxRecord > 0 {
		return s.MaxRecord
	}
	return defaultRecord
}
