package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/accept"
	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
	"shoal/wire/wiretest"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Whatever is done to a server that nobody may do ends that connection and nothing else.
func TestHostileInitiators(t *testing.T) {
	script.Start(func(t *testing.T, over identity.Transport, l net.Listener) {
		h := newHost(over)
		ctx, cancel := context.WithCancel(context.Background())
		var lobby sync.WaitGroup
		lobby.Go(func() {
			must(t, accept.NewLobby(identity.HandshakeTimeout).Serve(ctx, l, h.Log, func(ctx context.Context, g *accept.Guest) {
				proving, end := g.Deadline(ctx)
				s, err := h.Accept(proving, g)
				g.Leave()
				end()
				if err == nil {
					_ = s.Run(ctx)
				}
			}))
		})
		t.Cleanup(func() {
			cancel()
			lobby.Wait()
		})
	}).Withstand(t, wire.ServiceServer)
}

// A body of a megabyte that nobody will read does not keep the BYE from arriving, over real TCP.
func TestByeArrives(t *testing.T) {
	for _, over := range []identity.Transport{overPlaintext, {Security: wire.TLS}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		nc, err := net.Dial("tcp", l.Addr().String())
		must(t, err)
		served, err := l.Accept()
		must(t, err)
		c := join(t, identity.NewKey(), over, nc, serve(t.Context(), newHost(over), served))
		c.Send(append([]byte{0, 16, 0, 0, 0, 20, 0, 0, 0, 0, 0, 9}, make([]byte, 1<<20)...))
		c.wantBye(shoal.BadRequest, "rule F1")
	}
}

// CANCEL comes too late for a request that was answered at once, which is no offence (rule P9).
func TestCancelIsIgnored(t *testing.T) {
	c := connect(t, newHost(overPlaintext))
	c.Send(wire.AppendEvent(nil, wire.KindCancel, &wire.Cancel{ID: 1}))
	must(t, c.Call(wire.KindPing, &wire.Empty{}, &wire.Empty{}))
}

// Requests may follow each other without waiting; all are answered, in order here.
func TestPipelining(t *testing.T) {
	c := connect(t, newHost(overPlaintext))
	var b []byte
	const n = 2000
	for i := range uint32(n) {
		if i%2 == 0 {
			b = wire.AppendRequest(b, wire.KindPing, 100+i, &wire.Empty{})
		} else {
			b = wire.AppendRequest(b, wire.KindLookup, 100+i, &wire.Lookup{Group: shoal.Public, Name: "a"})
		}
	}
	c.Send(b)
	for i := range uint32(n) {
		if i%2 == 0 {
			must(t, c.Answer(100+i, wire.KindPing, &wire.Empty{}))
		} else {
			want(t, c.Answer(100+i, wire.KindLookup, &wire.LookupReply{}), shoal.NotFound, "")
		}
	}
}

// ahead is a connection that sends more along with the second write, which is AUTH.
type ahead struct {
	net.Conn
	more   []byte
	writes int
}

func (a *ahead) Write(p []byte) (int, error) {
	if a.writes++; a.writes != 2 {
		return a.Conn.Write(p)
	}
	_, err := a.Conn.Write(append(bytes.Clone(p), a.more...))
	return len(p), err
}

// Requests that follow AUTH without waiting are served after it, in order (rule H2).
func TestRequestsBehindAuth(t *testing.T) {
	h := newHost(overPlaintext)
	a, b := wiretest.Pipe()
	more := wire.AppendRequest(nil, wire.KindPing, 3, &wire.Empty{})
	more = wire.AppendRequest(more, wire.KindLookup, 4, &wire.Lookup{Group: shoal.Public, Name: "a"})
	c := join(t, identity.NewKey(), overPlaintext, &ahead{Conn: a, more: more}, serve(t.Context(), h, b))
	must(t, c.Answer(3, wire.KindPing, &wire.Empty{}))
	want(t, c.Answer(4, wire.KindLookup, &wire.LookupReply{}), shoal.Denied, "not logged in")
}

// Whoever is silent for 120 seconds is told goodbye, and no earlier (rule H9).
func TestIdle(t *testing.T) {
	for name, over := range map[string]identity.Transport{"plaintext": overPlaintext, "TLS": {Security: wire.TLS}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := connect(t, newHost(over))
				for range 3 {
					time.Sleep(120*time.Second - time.Millisecond)
					must(t, c.Call(wire.KindPing, &wire.Empty{}, &wire.Empty{}))
				}
				start := time.Now()
				c.wantBye(shoal.Unreachable, "rule H9")
				if took := time.Since(start); took != 120*time.Second {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

// A frame that comes a byte at a time is not silence.
func TestSlowFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, newHost(overPlaintext))
		for _, b := range wire.AppendRequest(nil, wire.KindPing, 9, &wire.Empty{}) {
			time.Sleep(119 * time.Second)
			c.Send([]byte{b})
		}
		must(t, c.Answer(9, wire.KindPing, &wire.Empty{}))
		c.Send([]byte{0, 0})
		start := time.Now()
		c.wantBye(shoal.Unreachable, "rule H9")
		if took := time.Since(start); took != 120*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// Whoever connects and says nothing is dropped after 10 seconds (rule H2).
func TestSilent(t *testing.T) {
	for name, over := range map[string]identity.Transport{"plaintext": overPlaintext, "TLS": {Security: wire.TLS}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := wiretest.Pipe()
				defer a.Close()
				start := time.Now()
				err := <-serve(t.Context(), newHost(over), b)
				want(t, err, shoal.Unreachable, "")
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("after %v", took)
				}
				if _, err := io.ReadAll(a); err != nil {
					t.Errorf("the connection is still there: %v", err)
				}
			})
		})
	}
}

// A client that asks on and on and does not read the answers is dropped, and costs no memory until then.
func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(overPlaintext)
		a, b := wiretest.PipeSize(32 << 10)
		c := join(t, identity.NewKey(), overPlaintext, a, serve(t.Context(), h, b))
		start := time.Now()
		var err error
		for ask := wire.AppendRequest(nil, wire.KindLookup, 9, &wire.Lookup{Group: shoal.Public, Name: "a"}); err == nil; {
			_, err = c.conn.Write(ask)
		}
		if took := time.Since(start); took != writeTimeout {
			t.Errorf("dropped after %v", took)
		}
		if err := <-c.ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ended by %v", err)
		}
	})
}

// A server that stops says so, also to those who are silent, and waits for nobody who does not listen.
func TestStop(t *testing.T) {
	for name, over := range map[string]identity.Transport{"plaintext": overPlaintext, "TLS": {Security: wire.TLS}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(over)
				ctx, cancel := context.WithCancel(t.Context())
				a, b := wiretest.Pipe()
				c := join(t, identity.NewKey(), over, a, serve(ctx, h, b))
				must(t, c.Call(wire.KindPing, &wire.Empty{}, &wire.Empty{}))

				a, b = wiretest.PipeSize(4 << 10)
				deaf := join(t, identity.NewKey(), over, a, serve(ctx, h, b))
				go func() {
					ask := wire.AppendRequest(nil, wire.KindLookup, 9, &wire.Lookup{Group: shoal.Public, Name: "a"})
					for err := error(nil); err == nil; {
						_, err = deaf.conn.Write(ask)
					}
				}()
				synctest.Wait()
				start := time.Now()
				cancel()
				c.wantBye(shoal.Busy, "stopping")
				<-deaf.ended
				if took := time.Since(start); took > stopTimeout+lingerTimeout {
					t.Errorf("it took %v", took)
				}
				deaf.nc.Close()
			})
		})
	}
}

// Where there is no room a connection hears so, and each place is given back once: by who leaves, and by who does not prove
// its key. A user's session stays, a stranger's makes room.
func TestRoom(t *testing.T) {
	h := newHost(overPlaintext)
	h.Room = accept.NewRoom(1, 0)
	refused := func() {
		t.Helper()
		a, b := wiretest.Pipe()
		ended := serve(t.Context(), h, b)
		_, err := identity.Initiator{
			Key: identity.NewKey(), Wanted: wire.ServiceServer, Transport: overPlaintext, Accept: func(*wire.HelloReply) error { return nil },
		}.Open(t.Context(), a)
		want(t, err, shoal.Busy, "1 connections")
		want(t, <-ended, shoal.Busy, "1 connections")
	}
	settled := func() *client {
		c := connect(t, h)
		_, err := c.list("", 1)
		must(t, err)
		return c
	}
	c := settled()
	refused()
	refused()
	c.close()
	c = settled()
	refused()
	c.close()
	// One that is admitted and then does not prove its key gives its place back.
	a, b := wiretest.Pipe()
	ended := serve(t.Context(), h, b)
	_, err := identity.Initiator{
		Key: identity.NewKey(), Wanted: wire.ServiceServer, Transport: overPlaintext,
		Accept: func(*wire.HelloReply) error { return shoal.Errorf(shoal.Untrusted, "another realm") },
	}.Open(t.Context(), a)
	want(t, err, shoal.Untrusted, "another realm")
	want(t, <-ended, shoal.Untrusted, "another realm")
	stranger := identity.NewKey()
	a, b = wiretest.Pipe()
	gone := join(t, stranger, overPlaintext, a, serve(t.Context(), h, b))
	c = settled()
	gone.wantEnd()
	refused()
	c.close()
	// One that becomes a user's stays from its next request on.
	a, b = wiretest.Pipe()
	known := join(t, stranger, overPlaintext, a, serve(t.Context(), h, b))
	enrol(t, h, stranger)
	_, err = known.list("", 1)
	must(t, err)
	refused()
	known.close()
}

// Large requests of strangers have little room together; who is a user is not limited.
func TestLargeRequestsOfStrangers(t *testing.T) {
	h := newHost(overPlaintext)
	a, b := wiretest.Pipe()
	stranger := join(t, identity.NewKey(), overPlaintext, a, serve(t.Context(), h, b))
	user := connect(t, h)
	large := &wire.Announce{Offers: make([]wire.Offer, 80)}
	for i := range large.Offers {
		large.Offers[i] = offerOf(byte(i), 4)
	}
	h.strange.Add(mostStrange - 4097)
	want(t, stranger.Call(wire.KindAnnounce, large, &wire.Empty{}), shoal.Busy, "log in")
	must(t, user.Call(wire.KindAnnounce, large, &wire.Empty{}))
	h.strange.Add(4097 - mostStrange)
	want(t, stranger.Call(wire.KindAnnounce, large, &wire.Empty{}), shoal.Denied, "log in")
	stranger.close()
	user.close()
	if n := h.strange.Load(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}

// One LOOKUP with 50 of 200 sources, through the registry, the swarms and the session, without the network.
func BenchmarkLookup(b *testing.B) {
	h := newHost(overPlaintext)
	fill(h.Registry, []shoal.Name{"a"}, func(int) shoal.Object { return objectOf(1) })
	for range 200 {
		c := connect(b, h)
		must(b, c.announce(c.candidates(time.Hour), offerOf(1, 4)))
	}
	c := connect(b, h)
	s := &Session{host: h, device: c.key.Device(), offers: h.Swarms.Begin(1<<40, c.key.Device()), reads: h.Audit.Begin(c.key.Device()), log: h.Log}
	ask := wire.AppendRequest(nil, wire.KindLookup, 9, &wire.Lookup{Group: shoal.Public, Name: "a"})
	f := wire.Frame{Header: wire.Header{Kind: wire.KindLookup, ID: 9}, Body: ask[wire.HeaderSize:]}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.handle(b.Context(), f); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(s.out)))
		s.out = s.out[:0]
	}
}

// One LIST of a page of 1,000 names out of 10,000, through the registry, the swarms and the session, without the network.
func BenchmarkList(b *testing.B) {
	h := newHost(overPlaintext)
	c := connect(b, h)
	var names []shoal.Name
	for i := range 10_000 {
		names = append(names, shoal.Name(fmt.Sprintf("a file of a group %05d.dat", i)))
	}
	fill(h.Registry, names, func(i int) shoal.Object { return objectOf(byte(i)) })
	s := &Session{host: h, device: c.key.Device(), offers: h.Swarms.Begin(1<<40, c.key.Device()), reads: h.Audit.Begin(c.key.Device()), log: h.Log}
	ask := wire.AppendRequest(nil, wire.KindList, 9, &wire.List{Group: shoal.Public, Limit: 1000})
	f := wire.Frame{Header: wire.Header{Kind: wire.KindList, ID: 9}, Body: ask[wire.HeaderSize:]}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.handle(b.Context(), f); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(s.out)))
		s.out = s.out[:0]
	}
}
