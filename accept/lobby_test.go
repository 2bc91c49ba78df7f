package accept

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// receive runs a Lobby on a listener in memory for as long as the test.
func receive(t *testing.T, y *Lobby, l net.Listener, serve func(context.Context, *Guest)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- y.Serve(ctx, l, zerolog.Nop(), serve) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
}

// greeting is what serves a guest that has to say n bytes, and is answered by one.
func greeting(n int) func(context.Context, *Guest) {
	return func(_ context.Context, g *Guest) {
		defer g.Close()
		for b := make([]byte, n); len(b) > 0; {
			n, err := g.Read(b)
			if err != nil {
				return
			}
			b = b[n:]
		}
		g.Leave()
		_, _ = g.Write([]byte{'!'})
	}
}

// Silence ends after the patience, and takes no place from who comes.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, y := wiretest.Listen(), NewLobby(10*time.Second)
		receive(t, y, l, greeting(2))
		begin := time.Now()
		var last net.Conn
		for range 2 * LobbyPlaces {
			nc, err := l.Dial(t.Context())
			must(t, err)
			defer nc.Close()
			last = nc
		}
		nc, err := l.Dial(t.Context())
		must(t, err)
		defer nc.Close()
		_, err = nc.Write([]byte("hi"))
		must(t, err)
		_, err = nc.Read(make([]byte, 1))
		must(t, err)
		if took := time.Since(begin); took > 0 {
			t.Errorf("answered after %v", took)
		}
		_, _ = last.Read(make([]byte, 1))
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("silence was borne for %v", took)
		}
	})
}

// Who is slow has as long in all, and who holds the only turn does not keep others from theirs while waiting.
func TestTrickle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, y := wiretest.Listen(), NewLobby(10*time.Second)
		y.turns = newTurns(1)
		receive(t, y, l, func(ctx context.Context, g *Guest) {
			proving, end := g.Deadline(ctx)
			defer end()
			defer context.AfterFunc(proving, func() { g.Close() })()
			greeting(100)(ctx, g)
		})
		begin := time.Now()
		slow, err := l.Dial(t.Context())
		must(t, err)
		defer slow.Close()
		for i := 0; err == nil; i++ {
			_, err = slow.Write([]byte{1})
			time.Sleep(500 * time.Millisecond)
			if i == 3 {
				quick, err := l.Dial(t.Context())
				must(t, err)
				_, err = quick.Write(make([]byte, 100))
				must(t, err)
				_, err = quick.Read(make([]byte, 1))
				must(t, err)
				must(t, quick.Close())
				if took := time.Since(begin); took != 2*time.Second {
					t.Errorf("answered after %v", took)
				}
			}
		}
		if took := time.Since(begin); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it was borne for %v", took)
		}
	})
}

// While many guests wait for their turns, nobody has to go, however many come.
func TestNobodyGoesForOurDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, y := wiretest.Listen(), NewLobby(10*time.Second)
		y.turns, y.proving = newTurns(1), NewRoom(6, 0)
		receive(t, y, l, func(ctx context.Context, g *Guest) {
			defer g.Close()
			_, _ = g.Read(make([]byte, 1))
			_, _ = g.Read(make([]byte, 1))
			time.Sleep(time.Second) // what a proof takes
			g.Leave()
			_, _ = g.Write([]byte{'!'})
		})
		begin := time.Now()
		answered := make(chan time.Duration)
		for range 12 {
			go func() {
				nc, err := l.Dial(t.Context())
				if err == nil {
					defer nc.Close()
					_, err = nc.Write([]byte("hi"))
				}
				if err == nil {
					_, err = nc.Read(make([]byte, 1))
				}
				if err != nil {
					t.Error(err)
				}
				answered <- time.Since(begin)
			}()
		}
		for i := range 12 {
			if at, want := <-answered, time.Duration(i+1)*time.Second; at != want {
				t.Errorf("number %d is answered after %v", i, at)
			}
		}
	})
}

// Turns go to those who have had one, then round among the addresses that wait.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		turns.take(Origin(from("192.0.2.9")), false)
		var got []string
		for i := range 6 {
			name := "crowd"
			origin := Origin(from("192.0.2.1"))
			if i > 3 {
				name = fmt.Sprint(i)
				origin = Origin(from(fmt.Sprintf("192.0.2.%d", i)))
			}
			go func() {
				turns.take(origin, name == "5")
				got = append(got, name)
				turns.give()
			}()
			synctest.Wait()
		}
		turns.give()
		synctest.Wait()
		if want := []string{"5", "crowd", "4", "crowd", "crowd", "crowd"}; !slices.Equal(got, want) {
			t.Errorf("the order is %q", got)
		}
		if l := turns.first; turns.free != 1 || len(l.waiting)+len(l.order) > 0 {
			t.Errorf("left: %+v", turns)
		}
	})
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
		receive(t, NewLobby(10*time.Second), l, greeting(1))
		begin := time.Now()
		nc, err := l.Dial(t.Context())
		must(t, err)
		defer nc.Close()
		// 5, 10, 20 … 640 ms, and four times a second.
		if took, sum := time.Since(begin), 1275*time.Millisecond+4*time.Second; took != sum {
			t.Errorf("accepting again after %v, want %v", took, sum)
		}
	})
}
