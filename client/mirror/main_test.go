package mirror

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shoal"
	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func objectOf(content []byte) shoal.Object {
	return shoal.Object{ID: shoal.FileID{1}, Size: int64(len(content))}
}

// site is a web server with one file, which tells what it was asked.
type site struct {
	*httptest.Server
	content []byte
	answer  func(w http.ResponseWriter, r *http.Request) bool // reports whether it did

	mu   sync.Mutex // guards asks
	asks []*http.Request
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asks = append(s.asks, r)
	s.mu.Unlock()
	if s.answer != nil && s.answer(w, r) {
		return
	}
	http.ServeContent(w, r, "file", time.Unix(1_700_000_000, 0), bytes.NewReader(s.content))
}

func (s *site) asked() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asks
}

func newSite(t testing.TB, content []byte, answer func(http.ResponseWriter, *http.Request) bool) *site {
	s := &site{content: content, answer: answer}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *site) source() *Source {
	return &Source{URL: shoal.Mirror(s.URL + "/file"), Object: objectOf(s.content), Private: true}
}

// inMemory serves a handler without a network, which is of use in bubbles of virtual time.
func inMemory(t testing.TB, content []byte, h http.Handler) *Source {
	l := wiretest.Listen()
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Hour}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return &Source{
		URL: "http://example.com/file", Object: objectOf(content),
		dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
	}
}

// taker takes blocks, into a copy of the file.
type taker struct {
	mu     sync.Mutex // guards the rest
	got    []byte
	blocks map[extent]int
	errs   []error
	left   int
	done   chan struct{} // closed when left is 0, or all is lost
	closed bool
	wants  func(extent) error // whether a block is read; nil for always
}

func newTaker(o shoal.Object, blocks int) *taker {
	return &taker{got: make([]byte, o.Size), blocks: map[extent]int{}, left: blocks, done: make(chan struct{})}
}

func (k *taker) Block(piece, begin, length int, read func([]byte) error) error {
	x := extent{piece, begin, length}
	if k.wants != nil {
		if err := k.wants(x); err != nil {
			return err
		}
	}
	buf := make([]byte, length)
	half := length / 2
	if err := read(buf[:half]); err != nil {
		return err
	}
	if err := read(buf[half:]); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	copy(k.got[piece<<18+begin:], buf)
	k.blocks[x]++
	k.settled()
	return nil
}

func (k *taker) settled() {
	if k.left--; k.left == 0 {
		k.end()
	}
}

func (k *taker) end() {
	if !k.closed {
		k.closed = true
		close(k.done)
	}
}

func (k *taker) Refused(_, _, _ int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
	k.settled()
}

func (k *taker) Lost(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, fmt.Errorf("lost: %w", err))
	k.end()
}

// blocksOf cuts an object.
func blocksOf(o shoal.Object, length int) (all []extent) {
	for i := range o.Pieces() {
		_, size := o.PieceRange(i)
		for begin := 0; begin < int(size); begin += length {
			all = append(all, extent{i, begin, min(length, int(size)-begin)})
		}
	}
	return all
}

// fetch reads blocks, waits, and closes the Conn.
func fetch(t testing.TB, s *Source, blocks []extent) *taker {
	t.Helper()
	c, err := s.Open(t.Context())
	must(t, err)
	k := newTaker(s.Object, len(blocks))
	var run sync.WaitGroup
	run.Go(func() { c.Run(k) })
	for _, b := range blocks {
		c.Fetch(b.piece, b.begin, b.length)
	}
	<-k.done
	c.Close(nil)
	run.Wait()
	return k
}

func wantCode(t testing.TB, err error, code shoal.Code, part string) {
	t.Helper()
	if shoal.CodeOf(err) != code || err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %v and %q", err, code, part)
	}
}
