package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
	"shoal/wire/wiretest"
)

// fake is a log service in memory that can be told to misbehave.
type fake struct {
	listener *wiretest.Listener
	key      *rpclog.Key
	run      sync.WaitGroup

	mu       sync.Mutex // guards the rest
	down     bool       // connections are refused
	dials    int
	conns    []net.Conn
	raw      func(net.Conn) // handles new connections instead
	answer   func(b *rpclog.Batch, honest func() rpclog.Result) ([]byte, error)
	marks    map[rpclog.Sender]uint64
	stored   map[rpclog.Sender][]rpclog.Entry
	order    []rpclog.Sender // of batches of which something was stored
	again    int             // entries that came again
	verified bool            // the last batch was
	secure   bool            // it came over TLS
}

// startFake runs a service until the test ends.
func startFake(t *testing.T, key *rpclog.Key) *fake {
	f := &fake{
		listener: wiretest.Listen(), key: key,
		marks: map[rpclog.Sender]uint64{}, stored: map[rpclog.Sender][]rpclog.Entry{},
	}
	s := &oncrpc.Server{
		Program:   oncrpc.Program{Number: rpclog.Program, Low: rpclog.Version, High: rpclog.Version, Handle: f.handle},
		MaxRecord: rpclog.MaxArgs + 1024,
	}
	if key != nil {
		s.TLS = key.ServerTLS()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.run.Go(func() {
		if err := s.Serve(ctx, f.listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		f.run.Wait()
	})
	return f
}

// set changes the service's behaviour.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	f.mu.Lock()
	f.dials++
	down, raw := f.down, f.raw
	f.mu.Unlock()
	switch {
	case down:
		return nil, fmt.Errorf("nobody is there")
	case raw != nil:
		a, b := wiretest.PipeSize(1 << 20)
		f.run.Go(func() { raw(b) })
		return a, nil
	}
	c, err := f.listener.Dial(ctx)
	if err == nil {
		f.set(func() { f.conns = append(f.conns, c) })
	}
	return c, err
}

// hangUp ends all connections and refuses new ones.
func (f *fake) hangUp() {
	f.set(func() {
		f.down = true
		for _, c := range f.conns {
			_ = c.Close() // may have been closed before
		}
		f.conns = nil
	})
}

func (f *fake) handle(_ context.Context, call *oncrpc.Call, out []byte) ([]byte, error) {
	b, verified, err := rpclog.Open(call.Args, f.key)
	if err != nil {
		return out, oncrpc.ErrGarbageArgs
	}
	f.mu.Lock()
	f.verified, f.secure = verified, call.Secure
	answer := f.answer
	f.mu.Unlock()
	honest := func() rpclog.Result { return f.store(b, verified) }
	if answer != nil {
		results, err := answer(b, honest)
		return append(out, results...), err
	}
	return rpclog.AppendResult(out, honest()), nil
}

// store does what a service should.
func (f *fake) store(b *rpclog.Batch, verified bool) rpclog.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := rpclog.Result{Verified: verified}
	for i, e := range b.Entries {
		if n := b.First + uint64(i); n <= f.marks[b.Sender] {
			r.Duplicates++
			f.again++
		} else {
			f.marks[b.Sender] = n
			f.stored[b.Sender] = append(f.stored[b.Sender], e)
			r.Stored++
		}
	}
	if r.Stored > 0 {
		f.order = append(f.order, b.Sender)
	}
	r.Mark = f.marks[b.Sender]
	return r
}

// received returns what is stored of a Writer.
func (f *fake) received(w *Writer) []rpclog.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stored[w.pump.sender]
}

// console is what the Writer tells.
type console struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

// told counts the messages that hold text.
func (c *console) told(text string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(c.text.String()) {
		var said struct{ Message, Error string }
		if json.Unmarshal([]byte(line), &said) == nil && strings.Contains(said.Message, text) {
			n++
		}
	}
	return n
}

func (f *fake) config(spool string, c *console) Config {
	return Config{
		Service: "127.0.0.1:7404", Key: f.key, Device: shoal.DeviceID{9}, Spool: spool, Dial: f.dial, Log: zerolog.New(c),
	}
}

func mustStart(t *testing.T, c Config) *Writer {
	t.Helper()
	w, err := Open(c)
	must(t, err)
	return w
}

// log writes lines with the numbers from up to but not with to.
func log(w *Writer, from, to int) {
	for i := from; i < to; i++ {
		fmt.Fprintf(w, `{"level":"info","n":%d}`+"\n", i)
	}
}

// checkNumbers checks that entries are the lines with the numbers from 0 up to n, in order, each once, or that an entry
// in their place says that they were lost. It returns how many were lost.
func checkNumbers(t *testing.T, entries []rpclog.Entry, n int) (lost int) {
	t.Helper()
	next := 0
	for i, e := range entries {
		if e.Lost > 0 {
			next += int(e.Lost)
			lost += int(e.Lost)
			continue
		}
		if len(e.Fields) != 1 || e.Fields[0].Value != fmt.Sprint(next) {
			t.Fatalf("entry %d is %+v where %d is due", i, e, next)
		}
		next++
	}
	if next != n {
		t.Errorf("%d lines are stored or lost, of %d", next, n)
	}
	return lost
}

// closeNow closes w with a second's time.
func closeNow(w *Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return w.Close(ctx)
}

func wantCounts(t *testing.T, w *Writer, want Counts) {
	t.Helper()
	if got := w.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}
