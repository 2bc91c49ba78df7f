package oncrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
)

const (
	testProgram = 0x20000099
	procEcho    = 1
	procSecret  = 2 // fails with an error whose text must stay here
	procGarbage = 3
	procWho     = 4 // what the credential says
	procLarge   = 5
)

func testHandler(_ context.Context, call *Call, out []byte) ([]byte, error) {
	switch call.Procedure {
	case procEcho:
		return append(out, call.Args...), nil
	case procSecret:
		return append(out, "half a result"...), errors.New("the secret of the house")
	case procGarbage:
		return out, fmt.Errorf("at byte 3: %w", ErrGarbageArgs)
	case procWho:
		return fmt.Appendf(out, "%+v %+v", call.Credential.Flavor, call.Credential.Sys), nil
	case procLarge:
		return append(out, make([]byte, 70_000)...), nil
	}
	return nil, ErrProcUnavail
}

func testServer() *Server {
	return &Server{
		Program: Program{Number: testProgram, Low: 2, High: 3, Handle: testHandler},
		Log:     zerolog.Nop(),
	}
}

// serve runs s over TCP and UDP on loopback until the test ends.
func serve(t testing.TB, s *Server) (tcp, udp string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := s.ServePacket(ctx, pc); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l.Addr().String(), pc.LocalAddr().String()
}

func dial(t testing.TB, target Target) *Client {
	t.Helper()
	if target.Program == 0 {
		target.Program, target.Version = testProgram, 2
	}
	c, err := Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// both runs f with a client over TCP and one over UDP.
func both(t *testing.T, target Target, f func(*testing.T, *Client)) {
	tcp, udp := serve(t, testServer())
	t.Run("tcp", func(t *testing.T) {
		target.Network, target.Address = "tcp", tcp
		f(t, dial(t, target))
	})
	t.Run("udp", func(t *testing.T) {
		target.Network, target.Address = "udp", udp
		f(t, dial(t, target))
	})
}

func TestCall(t *testing.T) {
	both(t, Target{}, func(t *testing.T, c *Client) {
		for _, size := range []int{0, 4, 40, 60_000} {
			want := bytes.Repeat([]byte{7}, size)
			got, err := c.Call(t.Context(), procEcho, want)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
			}
		}
		if got, err := c.Call(t.Context(), 0, nil); err != nil || len(got) != 0 {
			t.Errorf("NULL returned %x, %v", got, err)
		}
	})
}

func TestManyInFlight(t *testing.T) {
	both(t, Target{}, func(t *testing.T, c *Client) {
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				want := fmt.Appendf(nil, "%04d", i)
				got, err := c.Call(t.Context(), procEcho, want)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s came back as %s, %v", want, got, err)
				}
			})
		}
		calls.Wait()
	})
}

// Large records take turns with the same memory, and never at the same time.
func TestLargeRecords(t *testing.T) {
	tcp, _ := serve(t, testServer())
	var clients sync.WaitGroup
	for i := range 4 {
		c := dial(t, Target{Network: "tcp", Address: tcp})
		clients.Go(func() {
			for size := 100_000; size <= 800_000; size *= 2 {
				want := bytes.Repeat([]byte{byte(i), byte(size >> 8)}, size/2)
				if got, err := c.Call(t.Context(), procEcho, want); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes came back as %d others, %v", size, len(got), err)
				}
			}
		})
	}
	clients.Wait()
}

func TestCredential(t *testing.T) {
	sys := &AuthSys{Stamp: 1, Machine: "corvo", UID: 1000, GID: 100, GIDs: []uint32{4, 20}}
	both(t, Target{Sys: sys}, func(t *testing.T, c *Client) {
		got, err := c.Call(t.Context(), procWho, nil)
		if want := "1 &{Stamp:1 Machine:corvo UID:1000 GID:100 GIDs:[4 20]}"; err != nil || string(got) != want {
			t.Errorf("the server saw %s, %v instead of %s", got, err, want)
		}
	})
	both(t, Target{}, func(t *testing.T, c *Client) {
		got, err := c.Call(t.Context(), procWho, nil)
		if err != nil || string(got) != "0 <nil>" {
			t.Errorf("the server saw %s, %v", got, err)
		}
	})
	for _, bad := range []*AuthSys{{Machine: string(make([]byte, 256))}, {GIDs: make([]uint32, 17)}} {
		if c, err := Dial(t.Context(), Target{Network: "udp", Address: "127.0.0.1:1", Sys: bad}); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%+v was taken: %v, %v", bad, c, err)
		}
	}
}

func TestErrors(t *testing.T) {
	call := func(t *testing.T, c *Client, procedure uint32, want AcceptError, code shoal.Code) {
		t.Helper()
		results, err := c.Call(t.Context(), procedure, []byte("args"))
		got, ok := errors.AsType[*AcceptError](err)
		if !ok || *got != want || shoal.CodeOf(err) != code || results != nil {
			t.Errorf("%q, %v instead of %v", results, err, &want)
		}
	}
	both(t, Target{}, func(t *testing.T, c *Client) {
		call(t, c, procSecret, AcceptError{Stat: SystemErr}, shoal.Internal)
		call(t, c, procGarbage, AcceptError{Stat: GarbageArgs}, shoal.BadRequest)
		call(t, c, 99, AcceptError{Stat: ProcUnavail}, shoal.Unsupported)
	})
	both(t, Target{Program: testProgram, Version: 4}, func(t *testing.T, c *Client) {
		call(t, c, 0, AcceptError{Stat: ProgMismatch, Low: 2, High: 3}, shoal.Unsupported)
	})
	both(t, Target{Program: testProgram + 1, Version: 2}, func(t *testing.T, c *Client) {
		call(t, c, 0, AcceptError{Stat: ProgUnavail}, shoal.Unsupported)
	})
}

// Whatever a server may say, each has a text of its own.
func TestErrorTexts(t *testing.T) {
	all := []error{&Rejected{Stat: RPCMismatch, Low: 3, High: 4}}
	for stat := AuthBadCred; stat <= AuthFailed+1; stat++ {
		all = append(all, badAuth(stat))
	}
	for stat := ProgUnavail; stat <= SystemErr; stat++ {
		all = append(all, &AcceptError{Stat: stat, Low: 5, High: 6})
	}
	seen := map[string]bool{}
	for _, err := range all {
		if seen[err.Error()] {
			t.Errorf("%q stands for several errors", err)
		}
		seen[err.Error()] = true
	}
	for _, part := range []string{"versions 3 to 4 of RPC", "versions 5 to 6 of the program", "wants TLS", "authentication error 8"} {
		if !strings.Contains(fmt.Sprint(all), part) {
			t.Errorf("no error says %q", part)
		}
	}
}
