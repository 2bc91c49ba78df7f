package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/tests/script"
	"shoal/wire"
)

// scripted is a peer whose answers the test writes, frame by frame. What no script is for is answered as it should be.
type scripted struct {
	w        *world
	key      *identity.Key
	tracker  *tracker.Tracker
	listener net.Listener
	swarm    shoal.Swarm
	script.Source
	plot plot
	stop context.CancelFunc
	run  sync.WaitGroup

	mu       sync.Mutex // guards the rest
	ended    bool
	conns    map[net.Conn]struct{}
	joins    int // how often the swarm was joined
	requests []wire.Request
	ids      []uint32       // of these
	canceled []wire.Request // those that were taken back
	asked    chan struct{}  // closed with the first request
}

// plot is what a scripted peer does otherwise than it should. Each returns what goes onto the connection; nil for
// nothing at all.
type plot struct {
	manifest func(s *scripted, id uint32) []byte
	block    func(s *scripted, id uint32, m wire.Request) []byte
}

// device is the peer's device.
func (s *scripted) device() string { return s.key.Device().String() }

// scripted starts a peer that publishes content as name and says that it has all of it.
func (w *world) scripted(name string, content []byte, plot plot) *scripted {
	w.Helper()
	object, manifest, err := shoal.HashFile(w.Context(), bytes.NewReader(content), int64(len(content)), nil)
	if err != nil {
		w.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	exempt(w.T, listener.Addr())
	s := &scripted{
		w: w, key: identity.NewKey(), listener: listener, swarm: shoal.Swarm{Group: shoal.Public, Object: object},
		Source: script.Source{Object: object, Manifest: manifest, Content: bytes.NewReader(content)}, plot: plot, conns: map[net.Conn]struct{}{}, asked: make(chan struct{}),
	}
	w.enrol(s.key.Device())
	at := netip.MustParseAddrPort(listener.Addr().String())
	s.tracker = w.session(s.key, func(netip.Addr) []identity.Candidate {
		return []identity.Candidate{{Security: w.transport().Security, Addr: at}}
	})
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.run.Go(func() { _ = s.tracker.Run(ctx) })
	s.run.Go(s.accept)
	w.Cleanup(s.close)
	_, err = shoal.ParseName(name)
	if err == nil {
		err = s.tracker.Publish(w.Context(), shoal.Public, shoal.Name(name), object, nil)
	}
	if err == nil {
		s.tracker.Offer(s.swarm, nil)
		err = s.tracker.Announced(w.Context())
	}
	if err != nil {
		w.Fatalf("a scripted peer: %v", err)
	}
	return s
}

// session is a device's with the server, which the caller runs.
func (w *world) session(key *identity.Key, addresses func(netip.Addr) []identity.Candidate) *tracker.Tracker {
	w.Helper()
	realm, err := shoal.ParseRealmKey(w.realm)
	if err != nil {
		w.Fatal(err)
	}
	return tracker.New(tracker.Config{
		Server: w.address, Key: key, Transport: w.transport(),
		Accept: func(r *wire.HelloReply) error {
			return identity.VerifyServer(r.Certificate, realm, r.Identity, time.Now())
		},
		Addresses: addresses, Log: zerolog.Nop(),
	})
}

func (s *scripted) close() {
	s.stop()
	s.listener.Close()
	s.mu.Lock()
	s.ended = true
	for nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	s.run.Wait()
}

func (s *scripted) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			nc.Close()
		}
		s.conns[nc] = struct{}{}
		s.mu.Unlock()
		s.run.Go(func() {
			defer nc.Close()
			responder := identity.Responder{Key: s.key, Serves: wire.ServicePeer, Transport: s.w.transport()}
			e, err := responder.Accept(context.Background(), nc)
			if err == nil {
				err = script.Converse(e.Conn, s.answer)
			}
			if errors.Is(err, shoal.BadRequest) {
				s.w.Errorf("the getter broke a rule: %v", err)
			}
		})
	}
}

func (s *scripted) answer(f wire.Frame) ([]byte, error) {
	switch {
	case f.Kind == wire.KindJoin:
		s.mu.Lock()
		s.joins++
		s.mu.Unlock()
	case f.Kind == wire.KindManifest && s.plot.manifest != nil:
		return s.plot.manifest(s, f.ID), nil
	case f.Kind == wire.KindRequest:
		var m wire.Request
		if err := wire.Decode(f.Body, &m); err != nil {
			return nil, err
		}
		s.note(f.ID, m)
		if s.plot.block != nil {
			return s.plot.block(s, f.ID, m), nil
		}
	case f.Kind == wire.KindCancel:
		var m wire.Cancel
		if err := wire.Decode(f.Body, &m); err != nil {
			return nil, err
		}
		s.noteCanceled(m.ID)
	}
	return s.Answer(f)
}

func (s *scripted) noteCanceled(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.ids, id); i >= 0 {
		s.canceled = append(s.canceled, s.requests[i])
	}
}

func (s *scripted) note(id uint32, m wire.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		close(s.asked)
	}
	s.requests, s.ids = append(s.requests, m), append(s.ids, id)
}

// block is the right answer to a request.
func (s *scripted) block(id uint32, m wire.Request) []byte {
	data, err := s.Bytes(m)
	if err != nil {
		s.w.Error(err)
	}
	return script.Piece(id, m, data)
}

// seen is how often the swarm was joined, and which blocks were asked for.
func (s *scripted) seen() (joins int, requests []wire.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joins, slices.Clone(s.requests)
}

// askedBytes is how many bytes were asked for.
func (s *scripted) askedBytes() (n int) {
	_, requests := s.seen()
	for _, m := range requests {
		n += int(m.Length)
	}
	return n
}

// askedTwice are blocks that were asked for again, but for those that were taken back before, to have another source bring
// them, and those of the pieces that others spoiled.
func (s *scripted) askedTwice(others *scripted) (twice []wire.Request) {
	_, spoiled := others.seen()
	_, requests := s.seen()
	s.mu.Lock()
	canceled := slices.Clone(s.canceled)
	s.mu.Unlock()
	for i, m := range requests {
		if !slices.Contains(requests[:i], m) {
			continue
		}
		if k := slices.Index(canceled, m); k >= 0 {
			canceled = slices.Delete(canceled, k, k+1)
			continue
		}
		if !slices.ContainsFunc(spoiled, func(o wire.Request) bool { return o.Piece == m.Piece }) {
			twice = append(twice, m)
		}
	}
	return twice
}
