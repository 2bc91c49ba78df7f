package tracker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/wire/wiretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code shoal.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

// server answers as a test wants it to; where that wants nothing, as it should.
type server struct {
	t        *testing.T
	key      *identity.Key
	ctx      context.Context
	run      sync.WaitGroup
	listener *wiretest.Listener
	security identity.Transport
	events   Events // of the Tracker that track makes

	mu sync.Mutex // guards the rest
	// answer is called for each request; hangUp ends the connection, after the reply if there is one.
	answer    func(f wire.Frame) (reply []byte, done, hangUp bool)
	down      bool
	conns     []net.Conn
	published []wire.Publish
	announced []wire.Announce
	names     map[shoal.Name]wire.Publish // of the mutations that were carried out
}

func (s *server) answerBy(answer func(f wire.Frame) (reply []byte, done, hangUp bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *server) answerer() func(f wire.Frame) (reply []byte, done, hangUp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer
}

var plaintext = identity.Transport{Security: wire.Plaintext}

func newServer(t *testing.T) *server {
	s := &server{t: t, key: identity.NewKey(), listener: wiretest.Listen(), security: plaintext, names: map[shoal.Name]wire.Publish{}}
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	s.run.Go(func() {
		for {
			nc, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.run.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() {
		cancel()
		s.listener.Close()
		s.hangUp()
		s.run.Wait()
	})
	return s
}

func (s *server) dial(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, shoal.Errorf(shoal.Unreachable, "nobody listens")
	}
	return s.listener.Dial(ctx)
}

// hangUp ends all connections.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, nc := range s.conns {
		nc.Close()
	}
	s.conns = nil
}

func (s *server) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *server) serve(nc net.Conn) {
	defer nc.Close()
	s.mu.Lock()
	s.conns = append(s.conns, nc)
	s.mu.Unlock()
	c, err := identity.Responder{Key: s.key, Serves: wire.ServiceServer, Transport: s.security}.Accept(s.ctx, nc)
	if err != nil {
		return
	}
	for {
		f, err := c.ReadFrame()
		if err != nil || f.Kind == wire.KindBye {
			return
		}
		reply := s.note(f)
		if answer := s.answerer(); answer != nil {
			b, done, hangUp := answer(f)
			if hangUp {
				_, _ = c.Write(b)
				return
			}
			if done {
				reply = b
			}
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// note keeps what was said, and returns the right answer.
func (s *server) note(f wire.Frame) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var m wire.Message = &wire.Empty{}
	switch f.Kind {
	case wire.KindPublish:
		var p wire.Publish
		if err := wire.Decode(slices.Clone(f.Body), &p); err != nil {
			s.t.Error(err)
		}
		s.published = append(s.published, p)
		s.names[p.Name] = p
		m = &wire.MutationReply{}
	case wire.KindUnpublish:
		m = &wire.MutationReply{}
	case wire.KindAnnounce:
		var a wire.Announce
		if err := wire.Decode(slices.Clone(f.Body), &a); err != nil {
			s.t.Error(err)
		}
		s.announced = append(s.announced, a)
	case wire.KindLookup:
		m = s.found(f)
	case wire.KindList:
		m = &wire.ListReply{}
	}
	return wire.AppendReply(nil, f.Kind, f.ID, m)
}

// found is what a LOOKUP finds: what was published by that name, or else something. mu is held.
func (s *server) found(f wire.Frame) wire.Message {
	var l wire.Lookup
	if err := wire.Decode(slices.Clone(f.Body), &l); err != nil {
		s.t.Error(err)
	}
	if p, known := s.names[l.Name]; known {
		return &wire.LookupReply{Name: p.Name, Content: p.Content}
	}
	return &wire.LookupReply{Name: "it", Content: object(1)}
}

func object(n byte) shoal.Object { return shoal.Object{ID: shoal.FileID{n}, Size: int64(n)} }

func swarmOf(n byte) shoal.Swarm { return shoal.Swarm{Group: shoal.Public, Object: object(n)} }

// track runs a Tracker that serves something; stop ends it and returns what Run did.
func (s *server) track(accept func(*wire.HelloReply) error) (tr *Tracker, stop func() error) {
	if accept == nil {
		accept = func(*wire.HelloReply) error { return nil }
	}
	tr = New(Config{
		Server: "server:1", Key: identity.NewKey(), Transport: s.security, Dial: s.dial, Accept: accept, Log: zerolog.Nop(), Events: s.events,
		Addresses: func(netip.Addr) []identity.Candidate {
			return []identity.Candidate{{Security: wire.Plaintext, Addr: netip.MustParseAddrPort("127.0.0.1:9")}}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	s.t.Cleanup(func() { _ = stop() })
	return tr, stop
}

func within(t *testing.T, do func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { do(t, newServer(t)) })
}
