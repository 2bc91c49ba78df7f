package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
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

// Whoever fills all places for handshakes with silence keeps others out for as long as patience lasts, not for ten seconds.
func TestSilentFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen()
		open(t, Config{Transport: overPlaintext}, l)
		start := time.Now()
		var silent []net.Conn
		for range maxHandshakes {
			nc, err := l.Dial(t.Context())
			must(t, err)
			silent = append(silent, nc)
		}
		time.Sleep(patience / 2)
		for i := range 10 {
			nc, err := l.Dial(t.Context())
			must(t, err)
			if _, err := greet(t, nc); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
			defer nc.Close()
			if took := time.Since(start); took != patience {
				t.Errorf("client %d was let in after %v", i, took)
			}
		}
		// Only as many of the silent ones had to go as places were needed, the oldest first.
		gone := 0
		for i, nc := range silent {
			must(t, nc.SetReadDeadline(time.Now().Add(time.Millisecond)))
			if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				if gone++; i != gone-1 {
					t.Errorf("silent connection %d went before an older one", i)
				}
			}
			defer nc.Close()
		}
		if gone == 0 || gone > 10 {
			t.Errorf("%d of the silent had to go", gone)
		}
	})
}

// A flood of honest clients is served in the order in which they come, however many there are.
func TestHonestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen()
		open(t, Config{Transport: overPlaintext}, l)
		done := make(chan error)
		const clients = 2 * maxHandshakes
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

// A server that is stopped while a connection waits for its place stops.
func TestStopInFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := wiretest.Listen()
		open(t, Config{Transport: overPlaintext}, l)
		for range maxHandshakes + 1 {
			nc, err := l.Dial(t.Context())
			must(t, err)
			defer nc.Close()
		}
		synctest.Wait()
	})
}

// from is a connection that comes from an address.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

func connFrom(addr string) net.Conn {
	return from{addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1234))}
}

// One address, or one subscriber's network, has a quarter of all places; loopback is not limited.
func TestPerAddress(t *testing.T) {
	a := newAdmission(8)
	admit := func(addr string) (func(), error) { return a.admit(connFrom(addr)) }
	for _, addr := range []string{"192.0.2.1", "::ffff:192.0.2.1"} {
		if _, err := admit(addr); err != nil {
			t.Fatal(err)
		}
	}
	_, err := admit("192.0.2.1")
	want(t, err, shoal.Busy, "192.0.2.1/32")
	leave, err := admit("2001:db8::1")
	must(t, err)
	_, err = admit("2001:db8::ffff:2")
	must(t, err)
	_, err = admit("2001:db8::3")
	want(t, err, shoal.Busy, "2001:db8::/64")
	leave()
	_, err = admit("2001:db8::3")
	must(t, err)
	for range 4 {
		_, err = admit("127.0.0.1")
		must(t, err)
	}
	_, err = admit("198.51.100.1")
	want(t, err, shoal.Busy, "8 connections")
}

// What was admitted and left leaves nothing behind.
func TestLeave(t *testing.T) {
	a := newAdmission(1000)
	for i := range 200 {
		leave, err := a.admit(connFrom(fmt.Sprintf("192.0.2.%d", i)))
		must(t, err)
		defer func() {
			leave()
			if i == 0 && (a.sessions != 0 || len(a.byAddress) != 0) {
				t.Errorf("%d sessions of %d addresses are left", a.sessions, len(a.byAddress))
			}
		}()
	}
}

// short is a listener in a process that has too few files for a while.
type short struct {
	*wiretest.Listener
	fails int
}

func (s *short) Accept() (net.Conn, error) {
	if s.fails--; s.fails >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

// Too few files are waited for, ever longer up to a second, and then it goes on.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &short{wiretest.Listen(), 12}
		start := time.Now()
		open(t, Config{Transport: overPlaintext}, l)
		nc, err := l.Dial(t.Context())
		must(t, err)
		defer nc.Close()
		_, err = greet(t, nc)
		must(t, err)
		// 5, 10, 20 … 640 ms, and four times a second.
		if took, sum := time.Since(start), 1275*time.Millisecond+4*time.Second; took != sum {
			t.Errorf("accepting again after %v, want %v", took, sum)
		}
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

// The certificate is renewed at half its life, and always holds.
func TestCertificateIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := openState(t.TempDir())
		must(t, err)
		defer st.close()
		check := func() string {
			c := st.certify()
			must(t, identity.VerifyServer(c, st.public, st.server.Public(), time.Now()))
			return string(c)
		}
		first := check()
		time.Sleep(certificateLasts/2 - time.Second)
		if check() != first {
			t.Error("renewed too early")
		}
		time.Sleep(time.Second)
		second := check()
		if second == first {
			t.Error("not renewed")
		}
		expires, err := identity.Expires([]byte(second))
		must(t, err)
		if left := time.Until(expires); left != certificateLasts {
			t.Errorf("it holds for %v", left)
		}
		time.Sleep(10 * certificateLasts)
		check()
	})
}
