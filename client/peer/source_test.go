package peer

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/store"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
	"shoal/wire/wiretest"
)

// world is what a transfer meets: sources, and a server that knows some of them.
type world struct {
	t        *testing.T
	ctx      context.Context
	cancel   context.CancelFunc
	run      sync.WaitGroup
	file     *store.File // what is fetched
	pool     *Pool
	shelf    *Shelf
	mu       sync.Mutex // guards the rest
	sources  []*scripted
	offers   []int
	lookups  int
	known    []tracker.Source // that a lookup finds
	kept     *shoal.Manifest  // that the server keeps
	reported []shoal.DeviceID
	least    uint32 // how many copies of each piece it tells of
}

// scripted is a peer that answers frame by frame as a test wants it to; where that wants nothing, as it should.
type scripted struct {
	*world
	key      *identity.Key
	listener *wiretest.Listener
	address  netip.AddrPort
	whole    bool
	bitfield []byte
	joins    int // mu guards it and the rest
	asked    map[int]int
	left     int
	// answer says what a request is answered by; false for what is right.
	answer func(s *scripted, c *identity.Established, f wire.Frame) ([]byte, bool)
}

func newWorld(t *testing.T, file *store.File) *world {
	w := &world{t: t, file: file, shelf: NewShelf()}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.pool = NewPool(identity.NewKey(), plaintext, w.dial, new(store.Buffers), zerolog.Nop())
	t.Cleanup(func() {
		w.pool.Wait()
		w.cancel()
		w.run.Wait()
	})
	return w
}

func (w *world) dial(ctx context.Context, address string) (net.Conn, error) {
	w.mu.Lock()
	var l *wiretest.Listener
	for _, s := range w.sources {
		if s.address.String() == address {
			l = s.listener
		}
	}
	w.mu.Unlock()
	if l == nil {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return l.Dial(ctx)
}

// script starts a source that has everything.
func (w *world) script(answer func(*scripted, *identity.Established, wire.Frame) ([]byte, bool)) *scripted {
	l := wiretest.Listen()
	s := &scripted{
		world: w, key: identity.NewKey(), listener: l, address: netip.MustParseAddrPort(l.Addr().String()),
		whole: true, asked: map[int]int{}, answer: answer,
	}
	w.mu.Lock()
	w.sources = append(w.sources, s)
	w.mu.Unlock()
	w.run.Go(func() {
		defer context.AfterFunc(w.ctx, func() { l.Close() })()
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			w.run.Go(func() { s.serve(nc) })
		}
	})
	return s
}

func (s *scripted) found() tracker.Source {
	return tracker.Source{
		Device: s.key.Device(), Session: 1,
		Addresses: []identity.Candidate{{Security: wire.Plaintext, Addr: s.address}},
	}
}

func (s *scripted) serve(nc net.Conn) {
	defer nc.Close()
	defer context.AfterFunc(s.ctx, func() { nc.Close() })()
	c, err := identity.Responder{Key: s.key, Serves: wire.ServicePeer, Transport: plaintext}.Accept(s.ctx, nc)
	if err != nil {
		return
	}
	_ = script.Converse(c.Conn, func(f wire.Frame) ([]byte, error) { return s.reply(c, f) })
}

func (s *scripted) reply(c *identity.Established, f wire.Frame) ([]byte, error) {
	s.note(f)
	if s.answer != nil {
		if b, done := s.answer(s, c, f); done {
			return b, nil
		}
	}
	switch f.Kind {
	case wire.KindJoin:
		return wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: 1, Whole: s.whole, Bitfield: s.bitfield}), nil
	case wire.KindHashes: // it has none
		return nil, nil
	}
	return s.right().Answer(f)
}

// right is the source as it should be.
func (s *scripted) right() *script.Source {
	return &script.Source{Object: s.file.Object(), Manifest: s.file.Manifest(), Content: s.file}
}

func (s *scripted) note(f wire.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f.Kind {
	case wire.KindJoin:
		s.joins++
	case wire.KindLeave:
		s.left++
	case wire.KindRequest:
		s.asked[int(requestOf(f).Piece)]++
	}
}

// requests is how many blocks the source was asked for.
func (s *scripted) requests() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.asked {
		n += times
	}
	return n
}

func requestOf(f wire.Frame) (m wire.Request) {
	if err := wire.Decode(f.Body, &m); err != nil {
		panic(err)
	}
	return m
}

// bytes are those that were asked for.
func (s *scripted) bytes(m wire.Request) []byte {
	b, err := s.right().Bytes(m)
	if err != nil {
		s.t.Error(err)
	}
	return b
}

func (s *scripted) block(id uint32, m wire.Request, data []byte) []byte {
	return script.Piece(id, m, data)
}

// onRequest answers what asks for a block.
func onRequest(do func(s *scripted, id uint32, m wire.Request) []byte) func(*scripted, *identity.Established, wire.Frame) ([]byte, bool) {
	return func(s *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
		if f.Kind != wire.KindRequest {
			return nil, false
		}
		return do(s, f.ID, requestOf(f)), true
	}
}

// instead answers what is of a kind.
func instead(kind wire.Kind, do func(id uint32) []byte) func(*scripted, *identity.Established, wire.Frame) ([]byte, bool) {
	return func(_ *scripted, _ *identity.Established, f wire.Frame) ([]byte, bool) {
		if f.Kind != kind {
			return nil, false
		}
		return do(f.ID), true
	}
}

// LookupFile and Offer make the world a Tracker.
func (w *world) LookupFile(context.Context, shoal.Group, shoal.FileID) (*tracker.Found, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups++
	if w.known == nil {
		return nil, shoal.Errorf(shoal.Unreachable, "no server")
	}
	return &tracker.Found{Object: w.file.Object(), Sources: w.known, Availability: shoal.Availability{Least: w.least}}, nil
}

// KeptManifest is as a server that keeps it says.
func (w *world) KeptManifest(context.Context, shoal.Swarm) (*shoal.Manifest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kept == nil {
		return nil, shoal.Errorf(shoal.NotFound, "no manifest is kept")
	}
	return w.kept, nil
}

func (w *world) Offer(sw shoal.Swarm, has shoal.Bitfield) {
	pieces := has.Count()
	if has == nil {
		pieces = sw.Object.Pieces()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offers = append(w.offers, pieces)
}

func (w *world) Report(_ context.Context, _ shoal.Group, _ shoal.FileID, device shoal.DeviceID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, device)
	return nil
}

func (w *world) Withdraw(shoal.Swarm) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offers = append(w.offers, 0)
}

func (w *world) know(s *scripted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = append(w.known, s.found())
}

// transfer is a Transfer from the sources given, into a folder of its own.
func (w *world) transfer(sources ...*scripted) Transfer {
	tr := Transfer{
		Swarm: swarmOf(w.file), Dir: w.t.TempDir(), Name: "got", Timeout: time.Minute,
		Pool: w.pool, Tracker: w, Shelf: w.shelf, Log: zerolog.Nop(),
	}
	for _, s := range sources {
		tr.Sources = append(tr.Sources, s.found())
	}
	return tr
}

// fetch runs a transfer that must succeed.
func (w *world) fetch(tr Transfer) Status {
	w.t.Helper()
	var last Status
	tr.Report = func(s Status) { last = s }
	f, err := tr.Run(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = f.Close() })
	if f.Object() != w.file.Object() || string(bytesOf(w.t, f, 0, f.Object().Size)) != string(bytesOf(w.t, w.file, 0, f.Object().Size)) {
		w.t.Error("other bytes were fetched")
	}
	if last.Held != last.Size {
		w.t.Errorf("told %d of %d bytes", last.Held, last.Size)
	}
	return last
}

// share is what came from a source.
func share(st Status, s *scripted) SourceStatus {
	for _, one := range st.Sources {
		if one.Device == s.key.Device() {
			return one
		}
	}
	return SourceStatus{}
}
