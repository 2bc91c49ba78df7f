package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/identity"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	firstUser = "bench"
	password  = "correct horse battery staple"
)

// server is `shoal server` as a process.
type server struct {
	*proc.Daemon
	event struct { // what it said when it listened
		Address, Realm string
		FirstUserCode  string `json:"first_user_code"`
	}
	realm shoal.RealmKey
}

// startServer starts a server with the state folder b.Dir/NAME, and waits until it listens. args are further flags. The
// caller must call Stop.
func startServer(ctx context.Context, b *report.Bench, name string, args ...string) (*server, error) {
	lines := proc.NewLines()
	s := new(server)
	var err error
	s.Daemon, err = proc.Start(ctx, b.Dir, name, proc.Command{Args: append([]string{
		b.Shoal, "server", "--listen", "127.0.0.1:0", "--state", filepath.Join(b.Dir, name), "--json",
	}, args...)}, lines)
	if err != nil {
		return nil, err
	}
	if err := s.Ready(ctx, lines, &s.event); err != nil {
		return nil, err
	}
	if s.realm, err = shoal.ParseRealmKey(s.event.Realm); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// client is one connection to a server. It is for one goroutine.
type client struct {
	*identity.Established
	device   *identity.Key
	sequence uint64 // of the last mutation
	id       uint32 // of the last request
}

// connect opens a connection as a device.
func (s *server) connect(ctx context.Context, device *identity.Key) (*client, error) {
	return s.connectBy(ctx, new(net.Dialer), device)
}

func (s *server) connectBy(ctx context.Context, dialer *net.Dialer, device *identity.Key) (*client, error) {
	nc, err := dialer.DialContext(ctx, "tcp", s.event.Address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server: %w", err)
	}
	e, err := identity.Initiator{
		Key: device, Wanted: wire.ServiceServer, Transport: identity.Transport{Security: wire.TLS},
		Accept: func(r *wire.HelloReply) error {
			return identity.VerifyServer(r.Certificate, s.realm, r.Identity, time.Now())
		},
	}.Open(ctx, nc)
	if err != nil {
		return nil, err
	}
	return &client{Established: e, device: device, sequence: uint64(time.Now().UnixNano()), id: 2}, nil
}

// connectFirst connects a new device, and makes the first user of the server with it.
func (s *server) connectFirst(ctx context.Context) (*client, error) {
	c, err := s.connect(ctx, identity.NewKey())
	if err != nil {
		return nil, err
	}
	return c, c.ask(wire.KindRegister, &wire.Register{
		Sequence: c.next(), User: firstUser, Password: []byte(password), Code: []byte(s.event.FirstUserCode),
	}, new(wire.RegisterReply))
}

// connectMore connects a new device, and logs it in as the first user's.
func (s *server) connectMore(ctx context.Context) (*client, error) {
	c, err := s.connect(ctx, identity.NewKey())
	if err != nil {
		return nil, err
	}
	return c, c.ask(wire.KindLogin, &wire.Login{Sequence: c.next(), User: firstUser, Password: []byte(password)}, new(wire.MutationReply))
}

// next returns the sequence number of the next mutation.
func (c *client) next() uint64 {
	c.sequence++
	return c.sequence
}

// ask sends a request and waits for the reply, which it decodes. The error is the server's where that answered one. What
// is decoded is good until the next request.
func (c *client) ask(kind wire.Kind, m, reply wire.Message) error {
	c.id++
	if _, err := c.Write(wire.AppendRequest(nil, kind, c.id, m)); err != nil {
		return fmt.Errorf("sending %v: %w", kind, err)
	}
	for {
		f, err := c.ReadFrame()
		switch {
		case err != nil:
			return fmt.Errorf("waiting for the reply to %v: %w", kind, err)
		case f.ID == 0 && f.Kind != wire.KindBye: // an event
			continue
		case f.Kind != kind || f.ID != c.id || !f.IsReply():
			return fmt.Errorf("%v in place of the reply to %v %d", f.Header, kind, c.id)
		case f.Flags&wire.FlagError != 0:
			var failed wire.ErrorReply
			if err := wire.Decode(f.Body, &failed); err != nil {
				return err
			}
			return fmt.Errorf("%v: %w", kind, failed.Err())
		}
		return wire.Decode(f.Body, reply)
	}
}

// hangUp closes connections without waiting for anything.
func hangUp(clients []*client) {
	for _, c := range clients {
		link.Cut(c.Conn.Conn)
	}
}
