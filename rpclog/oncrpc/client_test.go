package oncrpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/wire/wiretest"
)

// answering dials a server in memory that answers each call with the bytes that answer makes of it; nil ends it.
func answering(t *testing.T, answer func(call []byte) []byte) func(context.Context, string, string) (net.Conn, error) {
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := wiretest.Pipe()
		running.Go(func() {
			defer far.Close()
			in := newRecordReader(&source{conn: far}, 1<<20)
			for {
				call, err := in.next(nil)
				if err != nil {
					return
				}
				reply := answer(call)
				if reply == nil {
					return
				}
				if _, err := far.Write(reply); err != nil {
					return
				}
			}
		})
		return near, nil
	}
}

// A server that lies, or does not know RPC, ends the client with a clear error, and at once.
func TestBrokenServer(t *testing.T) {
	for name, test := range map[string]struct {
		answer string // in the place of the xid, the call's
		code   shoal.Code
	}{
		"a call":                     {"00000000 00000000 00000002 20000099 00000002 00000000" + none + none, shoal.Unreachable},
		"message type 2":             {"00000000 00000002", shoal.Unreachable},
		"neither accepted nor not":   {"00000000 00000001 00000002", shoal.Unreachable},
		"an xid alone":               {"00000000", shoal.Unreachable},
		"accepted, cut short":        {"00000000 00000001 00000000 00000000 00000000", shoal.Unreachable},
		"a verifier of 4 GiB":        {"00000000 00000001 00000000 00000000 ffffffff", shoal.Unreachable},
		"acceptance 6":               {"00000000 00000001 00000000 00000000 00000000 00000006", shoal.Unreachable},
		"a mismatch of nothing":      {"00000000 00000001 00000000 00000000 00000000 00000002", shoal.Unreachable},
		"an error with more":         {"00000000 00000001 00000000 00000000 00000000 00000003 00000000", shoal.Unreachable},
		"denied for 2":               {"00000000 00000001 00000001 00000002", shoal.Unreachable},
		"denied, cut short":          {"00000000 00000001 00000001 00000001", shoal.Unreachable},
		"an unknown authentication":  {"00000000 00000001 00000001 00000001 0000000e", shoal.Denied},
		"an RPC version":             {"00000000 00000001 00000001 00000000 00000003 00000004", shoal.Unsupported},
		"a verifier, and no results": {"00000000 00000001 00000000 00000001 00000003 01020300 00000000", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, Target{Dial: answering(t, func(call []byte) []byte {
				reply := unhex(t, test.answer)
				copy(reply, call[:4])
				return fragment(reply, true)
			})})
			_, err := c.Call(t.Context(), procEcho, nil)
			if test.code == 0 && err != nil || test.code != 0 && shoal.CodeOf(err) != test.code {
				t.Errorf("%v instead of code %v", err, test.code)
			}
			if _, again := c.Call(t.Context(), procEcho, nil); shoal.CodeOf(again) != shoal.CodeOf(err) {
				t.Errorf("then %v", again)
			}
		})
	}
}

func TestBrokenStream(t *testing.T) {
	for name, stream := range map[string][]byte{
		"the end":           nil,
		"half a header":     {0x80, 0},
		"half a record":     {0x80, 0, 0, 40, 1, 2, 3},
		"a length bomb":     {0xFF, 0xFF, 0xFF, 0xFF},
		"over the limit":    {0x80, 0, 0x04, 0x01},
		"a plaintext hello": []byte("SSH-2.0-OpenSSH_9.2\r\n"),
	} {
		sent := false
		c := dial(t, Target{MaxReply: 1024, Dial: answering(t, func([]byte) []byte {
			if sent {
				return nil
			}
			sent = true
			return stream
		})})
		first := make(chan error)
		go func() {
			_, err := c.Call(t.Context(), procEcho, nil)
			first <- err
		}()
		go func() { _, _ = c.Call(t.Context(), procEcho, nil) }() // so that the server ends
		if err := <-first; !errors.Is(err, shoal.Unreachable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Replies that nobody waits for are ignored: of an unknown xid, and the same twice.
func TestStrayReplies(t *testing.T) {
	c := dial(t, Target{Dial: answering(t, func(call []byte) []byte {
		reply := unhex(t, ok+"00000000 01020304")
		copy(reply, call[:4])
		stray := bytes.Clone(reply)
		stray[0] ^= 0x80
		stray[len(stray)-1] = 99
		r, s := fragment(reply, true), fragment(stray, true)
		return bytes.Join([][]byte{s, s, r, r, r}, nil)
	})})
	for range 3 {
		if got, err := c.Call(t.Context(), procEcho, nil); err != nil || !bytes.Equal(got, []byte{1, 2, 3, 4}) {
			t.Errorf("%x, %v", got, err)
		}
	}
}

// A call that is given up leaves the others alone, and its late reply is ignored.
func TestCallGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first []byte
		c := dial(t, Target{Dial: answering(t, func(call []byte) []byte {
			reply := unhex(t, ok+"00000000")
			copy(reply, call[:4])
			if first == nil {
				first = fragment(reply, true)
				return []byte{}
			}
			return append(first, fragment(reply, true)...)
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Call(ctx, procEcho, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that is not answered: %v", err)
		}
		if _, err := c.Call(t.Context(), procEcho, nil); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if _, err := c.Call(ctx, procEcho, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call whose time is over: %v", err)
		}
		if _, err := c.Call(t.Context(), procEcho, nil); err != nil {
			t.Errorf("the one after: %v", err)
		}
	})
}

// A server that does not read holds nobody for longer than they want.
func TestServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wiretest.PipeSize(1 << 10)
		defer far.Close()
		c := dial(t, Target{Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var calls sync.WaitGroup
		for range 2 { // one writes, one waits for its turn
			calls.Go(func() {
				began := time.Now()
				_, err := c.Call(ctx, procEcho, make([]byte, 1<<20))
				if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, shoal.Unreachable) || time.Since(began) != 5*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		}
		calls.Wait()
		if _, err := c.Call(t.Context(), procEcho, nil); !errors.Is(err, shoal.Unreachable) {
			t.Errorf("after half a record: %v", err)
		}
	})
}

func TestCloseEndsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, Target{Dial: answering(t, func([]byte) []byte { return []byte{} })})
		result := make(chan error)
		go func() {
			_, err := c.Call(t.Context(), procEcho, nil)
			result <- err
		}()
		synctest.Wait()
		c.Close()
		c.Close()
		if err := <-result; !errors.Is(err, ErrClosed) || !errors.Is(err, shoal.Canceled) {
			t.Errorf("a call under way: %v", err)
		}
		if _, err := c.Call(t.Context(), procEcho, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("a call afterwards: %v", err)
		}
	})
}

// Datagrams that are lost are sent again, with the same xid.
func TestRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wiretest.Pipe() // one datagram at a time is on it
		defer far.Close()
		c := dial(t, Target{Network: "udp", Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
		began := time.Now()
		var times []time.Duration
		var calls [][]byte
		var server sync.WaitGroup
		server.Go(func() {
			buf := make([]byte, 100)
			for range 4 {
				n, err := far.Read(buf)
				if err != nil {
					t.Error(err)
					return
				}
				times = append(times, time.Since(began))
				calls = append(calls, bytes.Clone(buf[:n]))
			}
			reply := unhex(t, ok+"00000000 01020304")
			copy(reply, buf[:4])
			_, _ = far.Write([]byte("nonsense"))
			synctest.Wait()
			_, _ = far.Write(reply)
		})
		got, err := c.Call(t.Context(), procEcho, []byte("args"))
		server.Wait()
		if err != nil || !bytes.Equal(got, []byte{1, 2, 3, 4}) {
			t.Errorf("%x, %v", got, err)
		}
		for i, want := range []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second} {
			if times[i] != want || !bytes.Equal(calls[i], calls[0]) {
				t.Errorf("datagram %d came after %v, %x", i, times[i], calls[i])
			}
		}
	})
}

func TestDatagramLimits(t *testing.T) {
	_, udp := serve(t, testServer())
	c := dial(t, Target{Network: "udp", Address: udp})
	if _, err := c.Call(t.Context(), procEcho, make([]byte, 70_000)); !errors.Is(err, shoal.Limit) {
		t.Errorf("a call that does not fit: %v", err)
	}
	_, err := c.Call(t.Context(), procLarge, nil)
	if a, ok := errors.AsType[*AcceptError](err); !ok || a.Stat != SystemErr {
		t.Errorf("a reply that does not fit: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := Dial(t.Context(), Target{Network: "tcp", Address: l.Addr().String()}); !errors.Is(err, shoal.Unreachable) {
		t.Errorf("over TCP: %v", err)
	}
	c := dial(t, Target{Network: "udp", Address: l.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Call(ctx, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("over UDP: %v", err)
	}
}
