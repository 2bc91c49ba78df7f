package oncrpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/wire/wiretest"
)

// inMemory serves s in memory until the test ends.
func inMemory(t *testing.T, s *Server) *wiretest.Listener {
	t.Helper()
	l := wiretest.Listen()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l
}

func connect(t *testing.T, l *wiretest.Listener) net.Conn {
	t.Helper()
	conn, err := l.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Error(err)
	}
}

// closedAfter checks that the server closes the connection, and when.
func closedAfter(t *testing.T, conn net.Conn, want time.Duration) {
	t.Helper()
	began := time.Now()
	_, err := io.ReadAll(conn)
	if got := time.Since(began); err != nil || got != want {
		t.Errorf("closed after %v instead of %v, %v", got, want, err)
	}
}

func TestPatience(t *testing.T) {
	nullCall := func(t *testing.T) []byte { return fragment(unhex(t, callOf+null+none+none), true) }
	nullReply := func(t *testing.T) []byte { return fragment(unhex(t, ok+"00000000"), true) }
	for name, test := range map[string]func(t *testing.T, l *wiretest.Listener){
		"silent": func(t *testing.T, l *wiretest.Listener) {
			closedAfter(t, connect(t, l), idleTime)
		},
		"silent after a call": func(t *testing.T, l *wiretest.Listener) {
			conn := connect(t, l)
			time.Sleep(idleTime / 2)
			send(t, conn, nullCall(t))
			got := make([]byte, len(nullReply(t)))
			if _, err := io.ReadFull(conn, got); err != nil {
				t.Error(err)
			}
			closedAfter(t, conn, idleTime)
		},
		"a record drop by drop": func(t *testing.T, l *wiretest.Listener) {
			conn := connect(t, l)
			send(t, conn, []byte{0x80, 0, 1, 0})
			go func() {
				var err error
				for err == nil {
					time.Sleep(time.Second)
					_, err = conn.Write([]byte{0})
				}
			}()
			closedAfter(t, conn, recordTime)
			time.Sleep(2 * time.Second) // so that the writer notices
		},
		"replies that wait for half a call": func(t *testing.T, l *wiretest.Listener) {
			conn := connect(t, l)
			send(t, conn, append(nullCall(t), 0x80, 0))
			got := make([]byte, len(nullReply(t)))
			began := time.Now()
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, nullReply(t)) || time.Since(began) != 0 {
				t.Errorf("after %v: %x, %v", time.Since(began), got, err)
			}
		},
		"TLS that does not begin": func(t *testing.T, l *wiretest.Listener) {
			conn := connect(t, l)
			send(t, conn, fragment(unhex(t, probe), true))
			closedAfter(t, conn, handshakeTime)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := testServer()
				s.TLS = selfSigned(t)
				test(t, inMemory(t, s))
			})
		})
	}
}

// onceListener gives out one connection.
type onceListener struct {
	*wiretest.Listener
	conn chan net.Conn
}

func (l *onceListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	default:
		return l.Listener.Accept()
	}
}

// A peer that asks and does not read is cut off, and Serve's end does not wait for it.
func TestSlowReader(t *testing.T) {
	begin := func(t *testing.T) (conn net.Conn, stop func() time.Duration) {
		near, far := wiretest.PipeSize(1 << 10)
		l := &onceListener{wiretest.Listen(), make(chan net.Conn, 1)}
		l.conn <- far
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := testServer().Serve(ctx, l); err != nil {
				t.Error(err)
			}
		}()
		send(t, near, fragment(append(unhex(t, callOf+echo+none+none), make([]byte, 10_000)...), true))
		return near, func() time.Duration {
			began := time.Now()
			cancel()
			<-done
			near.Close()
			return time.Since(began)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		conn, stop := begin(t)
		time.Sleep(writeTime + time.Nanosecond)
		synctest.Wait()
		if _, err := conn.Write([]byte{0}); err == nil {
			t.Error("the connection is still open")
		}
		stop()
	})
	synctest.Test(t, func(t *testing.T) {
		_, stop := begin(t)
		synctest.Wait()
		if took := stop(); took != farewellTime {
			t.Errorf("Serve ended after %v", took)
		}
	})
}

// The call that is under way when the server is to end is answered still.
func TestLastReply(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		entered, release := make(chan struct{}), make(chan struct{})
		s := testServer()
		s.Program.Handle = func(ctx context.Context, call *Call, out []byte) ([]byte, error) {
			close(entered)
			<-ctx.Done()
			<-release
			return append(out, "late"...), nil
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		var address string
		if network == "tcp" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address = l.Addr().String()
			go func() { done <- s.Serve(ctx, l) }()
		} else {
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address = pc.LocalAddr().String()
			go func() { done <- s.ServePacket(ctx, pc) }()
		}
		c := dial(t, Target{Network: network, Address: address})
		go func() {
			<-entered
			cancel()
			close(release)
		}()
		if got, err := c.Call(t.Context(), procEcho, nil); err != nil || string(got) != "late" {
			t.Errorf("over %s: %q, %v", network, got, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Calls that come together are answered in order, also to who sends no more, and large replies among them.
func TestPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, inMemory(t, testServer()))
		var want []byte
		for i := range 100 {
			args := bytes.Repeat([]byte{byte(i)}, i*i/4*4)
			call := append(unhex(t, callOf+echo+none+none), args...)
			// In fragments of all sizes, some of them empty.
			for part := range slices.Chunk(call, 1+i*i) {
				send(t, conn, fragment(part, false))
			}
			send(t, conn, fragment(nil, true))
			want = append(want, fragment(append(unhex(t, ok+"00000000"), args...), true)...)
		}
		if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes of replies instead of %d, %v", len(got), len(want), err)
		}
	})
}

// Where there are too many connections, the one that called last longest ago has to go, and none that is at a call. Who has
// proven something goes last.
func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testServer()
		s.MaxConnections = 2
		release := make(chan struct{})
		s.Program.Handle = func(_ context.Context, c *Call, out []byte) ([]byte, error) {
			<-release
			c.Proven = true
			return out, nil
		}
		l := inMemory(t, s)
		call := func(conn net.Conn, procedure string) {
			t.Helper()
			send(t, conn, fragment(unhex(t, callOf+procedure+none+none), true))
			time.Sleep(time.Second)
		}
		isOpen := func(conn net.Conn) bool {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err := io.Copy(io.Discard, conn)
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
		a, b := connect(t, l), connect(t, l)
		call(b, null)
		call(a, null)
		c := connect(t, l)
		if !isOpen(a) || isOpen(b) || !isOpen(c) {
			t.Error("it was not the second one that had to go")
		}
		call(a, echo)
		call(c, echo)
		d := connect(t, l)
		if !isOpen(a) || !isOpen(c) || isOpen(d) {
			t.Error("a connection at a call had to go")
		}
		close(release)
		call(a, null)
		call(c, null)
		e := connect(t, l)
		if isOpen(a) || !isOpen(c) || !isOpen(e) {
			t.Error("it was not the first of those who have proven something that had to go")
		}
		call(e, null)
		f := connect(t, l)
		if !isOpen(c) || isOpen(e) || !isOpen(f) {
			t.Error("it was not the one that had to go who has proven nothing")
		}
	})
}

// Serve and ServePacket tell when what they serve is taken from them.
func TestServeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	pc.Close()
	if err := testServer().Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if err := testServer().ServePacket(t.Context(), pc); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServePacket: %v", err)
	}
}
