package wiretest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBothWriteFirst(t *testing.T) {
	a, b := Pipe()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, c := range []net.Conn{a, b} {
		if n, err := c.Write(big); n != len(big) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	for _, c := range []net.Conn{a, b} {
		got := make([]byte, len(big))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, big) {
			t.Fatalf("read something else, %v", err)
		}
	}
}

func TestBoundedWriteWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := PipeSize(4)
		var wrote bool
		go func() {
			if n, err := a.Write([]byte("0123456789")); n != 10 || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			wrote = true
			a.Close()
		}()
		synctest.Wait()
		if wrote {
			t.Fatal("ten bytes went into a buffer of four")
		}
		if got, err := io.ReadAll(b); string(got) != "0123456789" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// Writes that wait for room are not mixed with each other.
func TestConcurrentWrites(t *testing.T) {
	a, b := PipeSize(3)
	var writers sync.WaitGroup
	for _, letter := range []byte("abcdefgh") {
		writers.Go(func() {
			if _, err := a.Write(bytes.Repeat([]byte{letter}, 100)); err != nil {
				t.Error(err)
			}
		})
	}
	got := make([]byte, 800)
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	for i := 0; i < len(got); i += 100 {
		if !bytes.Equal(got[i:i+100], bytes.Repeat(got[i:i+1], 100)) {
			t.Errorf("a write was cut: %s", got[i:i+100])
		}
	}
}

func TestClose(t *testing.T) {
	a, b := Pipe()
	if _, err := a.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("own read: %v", err)
	}
	if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("own write: %v", err)
	}
	if err := a.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("own deadline: %v", err)
	}
	if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
		t.Errorf("the other side read %q, %v", got, err)
	}
	if _, err := b.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the other side's write: %v", err)
	}
}

func TestCloseWrite(t *testing.T) {
	a, b := Pipe()
	if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	if _, err := b.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestCloseWakes(t *testing.T) {
	for name, call := range map[string]struct {
		under func(a, b net.Conn) (int, error)
		want  error
	}{
		"one's own read":         {func(a, b net.Conn) (int, error) { return a.Read(make([]byte, 1)) }, net.ErrClosed},
		"one's own write":        {func(a, b net.Conn) (int, error) { return a.Write([]byte("two")) }, net.ErrClosed},
		"the other side's read":  {func(a, b net.Conn) (int, error) { return b.Read(make([]byte, 1)) }, io.EOF},
		"the other side's write": {func(a, b net.Conn) (int, error) { return b.Write([]byte("two")) }, syscall.EPIPE},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := PipeSize(1)
				ended := make(chan error)
				go func() {
					_, err := call.under(a, b)
					ended <- err
				}()
				synctest.Wait()
				a.Close()
				if err := <-ended; !errors.Is(err, call.want) {
					t.Errorf("got %v, want %v", err, call.want)
				}
			})
		})
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := PipeSize(1)
		start := time.Now()
		elapsed := func(want time.Duration) {
			t.Helper()
			if got := time.Since(start); got != want {
				t.Errorf("after %v instead of %v", got, want)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(a.SetReadDeadline(start.Add(time.Second)))
		_, err := a.Read(make([]byte, 1))
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		elapsed(time.Second)

		// It stays expired even where there is something to read, until it is set anew.
		_, err = b.Write([]byte{7})
		must(err)
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read past the deadline: %v", err)
		}
		must(a.SetReadDeadline(time.Time{}))
		got := make([]byte, 1)
		if _, err := a.Read(got); err != nil || got[0] != 7 {
			t.Errorf("read %v, %v", got, err)
		}

		must(a.SetWriteDeadline(start.Add(2 * time.Second)))
		if n, err := a.Write([]byte("two")); n != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", n, err)
		}
		elapsed(2 * time.Second)

		// A deadline in the past wakes a read that is under way, as servers do to stop one.
		go func() {
			time.Sleep(time.Second)
			must(b.SetDeadline(time.Unix(1, 0)))
		}()
		for err = error(nil); err == nil; {
			_, err = b.Read(got)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("interrupted read: %v", err)
		}
		elapsed(3 * time.Second)

		// One that is put off does not fire at its first time.
		must(b.SetReadDeadline(start.Add(4 * time.Second)))
		must(b.SetReadDeadline(start.Add(5 * time.Second)))
		if _, err := b.Read(got); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		elapsed(5 * time.Second)
	})
}

func TestListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					return
				}
				go func() {
					io.Copy(c, c)
					c.Close()
				}()
			}
		}()
		c, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.RemoteAddr().String() != l.Addr().String() {
			t.Errorf("connected to %v, not %v", c.RemoteAddr(), l.Addr())
		}
		if _, err := c.Write([]byte("echo")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "echo" {
			t.Errorf("got %q, %v", got, err)
		}
		c.Close()
		l.Close()
		if _, err := l.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling a closed listener: %v", err)
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Listen().Dial(canceled); !errors.Is(err, context.Canceled) {
			t.Errorf("dialling without patience: %v", err)
		}
	})
}

// TLS works over it, which uses every part of net.Conn.
func TestCarriesTLS(t *testing.T) {
	a, b := Pipe()
	done := make(chan error, 1)
	go func() {
		server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
		_, err := io.Copy(server, server)
		server.Close()
		done <- err
	}()
	client := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	if _, err := client.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); string(got) != "secret" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
