package server

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal/identity"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// open makes a server on a listener in memory, and runs it for as long as the test.
func open(t *testing.T, c Config, l net.Listener) *Server {
	t.Helper()
	st, err := openState(t.TempDir())
	must(t, err)
	c.Logger = zerolog.Nop()
	s := newServer(c, st, l)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// greet does a client's handshake.
func greet(t *testing.T, nc net.Conn) (*identity.Established, error) {
	return identity.Initiator{
		Key: identity.NewKey(), Wanted: wire.ServiceServer, Transport: overPlaintext, Accept: func(*wire.HelloReply) error { return nil },
	}.Open(t.Context(), nc)
}

// However many say nothing, or stay as strangers, who comes is let in at once.
func TestFloods(t *testing.T) {
	for name, c := range map[string]struct {
		count   int
		hostile func(*testing.T, net.Conn)
	}{
		"silence": {5000, func(*testing.T, net.Conn) {}},
		"half a greeting": {1500, func(t *testing.T, nc net.Conn) {
			_, err := nc.Write(wire.AppendRequest(nil, wire.KindHello, 1, &wire.Hello{})[:20])
			must(t, err)
		}},
		"strangers": {200, func(t *testing.T, nc net.Conn) {
			_, err := greet(t, nc)
			must(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := wiretest.Listen()
				open(t, Config{Transport: overPlaintext, MaxConnections: 100}, l)
				begin := time.Now()
				for range c.count {
					nc, err := l.Dial(t.Context())
					must(t, err)
					defer nc.Close()
					c.hostile(t, nc)
				}
				for range 10 {
					nc, err := l.Dial(t.Context())
					must(t, err)
					defer nc.Close()
					_, err = greet(t, nc)
					must(t, err)
				}
				if took := time.Since(begin); took > 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A flood of honest clients is let in, however many there are.
func TestHonestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen()
		open(t, Config{Transport: overPlaintext}, l)
		done := make(chan error)
		const clients = 600
		for range clients {
			go func() {
				nc, err := l.Dial(t.Context())
				if err == nil {
					defer nc.Close()
					_, err = greet(t, nc)
				}
				done <- err
			}()
		}
		for range clients {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A server that is stopped while many connections say nothing stops.
func TestStopInFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen()
		open(t, Config{Transport: overPlaintext}, l)
		for range 2000 {
			nc, err := l.Dial(t.Context())
			must(t, err)
			defer nc.Close()
		}
		synctest.Wait()
	})
}

// A listener that is closed by something else ends the server with an error.
func TestListenerClosed(t *testing.T) {
	st, err := openState(t.TempDir())
	must(t, err)
	l := wiretest.Listen()
	s := newServer(Config{Transport: overPlaintext, Logger: zerolog.Nop()}, st, l)
	l.Close()
	if err := s.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// One address has a quarter of all places: its strangers go when it has more.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen() // all come from one address
		open(t, Config{Transport: overPlaintext, MaxConnections: 8}, l)
		var all []*identity.Established
		for range 5 {
			nc, err := l.Dial(t.Context())
			must(t, err)
			defer nc.Close()
			c, err := greet(t, nc)
			must(t, err)
			all = append(all, c)
		}
		synctest.Wait()
		for i, c := range all {
			must(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
			_, err := c.Read(make([]byte, 1))
			if here := errors.Is(err, os.ErrDeadlineExceeded); here != (i >= 3) {
				t.Errorf("connection %d: %v", i, err)
			}
		}
	})
}
