package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a service until its test ends, or stop.
type running struct {
	*testing.T
	*Service
	stop func()
}

// start runs a service, in a state folder of its own and on loopback unless c says otherwise.
func start(t *testing.T, c Config) *running {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.State == "" {
		c.State = t.TempDir()
	}
	c.Log = zerolog.New(zerolog.NewTestWriter(t))
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	r := &running{t, s, func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}}
	t.Cleanup(r.stop)
	return r
}

// read returns what a query finds, over all pages.
func (r *running) read(q rpclog.Query) (lines []string) {
	r.Helper()
	for {
		p, err := Read(r.Context(), r.Socket(), q)
		if err != nil {
			r.Fatal(err)
		}
		for _, l := range p.Lines {
			lines = append(lines, string(l))
		}
		if q.After = p.Next; !p.More {
			return lines
		}
	}
}

func (r *running) target(network string) oncrpc.Target {
	return oncrpc.Target{Network: network, Address: r.Addr().String(), Program: rpclog.Program, Version: rpclog.Version}
}

// call calls the service over a connection of its own.
func (r *running) call(target oncrpc.Target, procedure uint32, args []byte) ([]byte, error) {
	r.Helper()
	c, err := oncrpc.Dial(r.Context(), target)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	return c.Call(ctx, procedure, args)
}

// append sends entries of process 1 and returns the answer.
func (r *running) append(target oncrpc.Target, key *rpclog.Key, first uint64, messages ...string) (rpclog.Result, error) {
	r.Helper()
	var entries []byte
	for i, m := range messages {
		entries = rpclog.AppendEntry(entries, &rpclog.Entry{Time: time.Unix(int64(i), 0), Message: m})
	}
	results, err := r.call(target, rpclog.ProcAppend, rpclog.Seal(rpclog.Sender{Process: 1}, first, true, len(messages), entries, key))
	if err != nil {
		return rpclog.Result{}, err
	}
	return rpclog.DecodeResult(results)
}

// TestRestart goes on where the last service in the folder ended.
func TestRestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new", strings.Repeat("a long name ", 10)) // longer than a socket's path may be
	s := start(t, Config{State: state})
	if want := (rpclog.Result{Verified: true, Stored: 2, Mark: 2}); must(s.append(s.target("tcp"), s.key, 1, "a", "b")) != want {
		t.Error("not stored")
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", State: state}); !errors.Is(err, shoal.Busy) {
		t.Errorf("a second service in the folder: %v", err)
	}
	if _, err := New(Config{Listen: s.Addr().String(), State: t.TempDir()}); !errors.Is(err, shoal.Busy) {
		t.Errorf("a second service at the address: %v", err)
	}
	for path, mode := range map[string]os.FileMode{s.KeyFile(): 0o600, s.Socket(): 0o600 | os.ModeSocket, state: 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	s.stop()
	if _, err := os.Stat(s.Socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if _, err := Read(t.Context(), s.Socket(), rpclog.Query{}); !errors.Is(err, shoal.Unreachable) {
		t.Errorf("nobody answers: %v", err)
	}
	again := start(t, Config{State: state})
	if r := must(again.append(again.target("udp"), s.key, 2, "b", "c")); r.Stored != 1 || r.Duplicates != 1 {
		t.Errorf("%+v", r)
	}
	if got := again.read(rpclog.Query{Grep: `"message":"[a-c]"`}); len(got) != 3 {
		t.Errorf("stored: %q", got)
	}
}

func must(r rpclog.Result, err error) rpclog.Result {
	if err != nil {
		panic(err)
	}
	return r
}

// TestBeyondLoopback wants TLS for everything but NULL, and has no UDP.
func TestBeyondLoopback(t *testing.T) {
	s := start(t, Config{Listen: "0.0.0.0:0"})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	target := s.target("tcp")
	target.Address = net.JoinHostPort("127.0.0.1", port)
	if _, err := s.call(target, rpclog.ProcNull, nil); err != nil {
		t.Errorf("NULL: %v", err)
	}
	var weak *oncrpc.Rejected
	if _, err := s.append(target, s.key, 1, "a"); !errors.As(err, &weak) || weak.Auth != oncrpc.AuthTooWeak {
		t.Errorf("in plaintext: %v", err)
	}
	target.TLS = s.key.ClientTLS()
	if r, err := s.append(target, s.key, 1, "a"); err != nil || !r.Verified {
		t.Errorf("over TLS: %+v, %v", r, err)
	}
	if r, err := s.append(target, nil, 1, "a"); err != nil || r.Verified || r.Stored != 1 {
		t.Errorf("over TLS without a key: %+v, %v", r, err)
	}
	target.TLS = (&rpclog.Key{1}).ClientTLS()
	if _, err := s.append(target, s.key, 1, "a"); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("another key: %v", err)
	}
	udp, err := net.ListenPacket("udp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatalf("something serves UDP: %v", err)
	}
	udp.Close()
}

// TestStrangersBusy turns unverified batches away while as many as there may be are being stored, and no others.
func TestStrangersBusy(t *testing.T) {
	s := start(t, Config{})
	for range maxStrangers {
		s.strangers <- struct{}{}
	}
	if r, err := s.append(s.target("tcp"), nil, 1, "a"); err != nil || r != (rpclog.Result{Status: rpclog.Busy}) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.append(s.target("tcp"), s.key, 1, "a"); err != nil || r.Stored != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	<-s.strangers
	if r, err := s.append(s.target("tcp"), nil, 1, "a"); err != nil || r.Stored != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if n := s.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
}

// TestRefused counts what is over a limit or no call at all, and serves on.
func TestRefused(t *testing.T) {
	s := start(t, Config{})
	for i, record := range [][]byte{
		{0x80, 0, 0, 4, 'o', 'h', 'n', 'o'}, // one fragment, of four bytes
		binary.BigEndian.AppendUint32(nil, 1<<31|(maxRecord+1)),
		bytes.Repeat([]byte{0, 0, 0, 0}, 5000), // fragments without end
	} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(record); err != nil {
			t.Error(err)
		}
		if answer, _ := io.ReadAll(c); len(answer) > 0 { // until the service closes the connection
			t.Errorf("answered: %x", answer)
		}
		c.Close()
		if n := s.Stats().Refused; n != uint64(i+1) {
			t.Errorf("%d refused, want %d", n, i+1)
		}
	}
	if r, err := s.append(s.target("tcp"), s.key, 1, "a"); err != nil || r.Stored != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCannotStore tells a sender that its batch is not stored, and goes on.
func TestCannotStore(t *testing.T) {
	s := start(t, Config{})
	if err := os.Remove(filepath.Join(s.state.logs)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.append(s.target("tcp"), s.key, 1, "a"); err != nil || r != (rpclog.Result{Status: rpclog.IO}) {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.Mkdir(s.state.logs, 0o700); err != nil {
		t.Fatal(err)
	}
	if r, err := s.append(s.target("tcp"), s.key, 1, "a"); err != nil || r.Stored != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestBadConfig refuses what cannot be.
func TestBadConfig(t *testing.T) {
	for _, listen := range []string{"", "127.0.0.1", "1:2:3"} {
		if _, err := New(Config{Listen: listen, State: t.TempDir()}); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%q: %v", listen, err)
		}
	}
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "log.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first leaves nothing behind
		if _, err := New(Config{Listen: "127.0.0.1:0", State: state}); !errors.Is(err, shoal.BadRequest) {
			t.Errorf("a bad key: %v", err)
		}
	}
}
