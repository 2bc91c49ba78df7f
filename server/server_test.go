package server

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	overTLS       = identity.Transport{Security: wire.TLS}
	overPlaintext = identity.Transport{Security: wire.Plaintext}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err error, code shoal.Code, text string) {
	t.Helper()
	if !errors.Is(err, code) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %v and %q", err, code, text)
	}
}

// start runs a server until stop is called, which returns what Run did.
func start(t *testing.T, c Config) (s *Server, stop func() error) {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.State == "" {
		c.State = t.TempDir()
	}
	s, err := New(t.Context(), c)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return s, stop
}

// people makes devices those of a user, who is made first.
func people(t testing.TB, s *Server, devices ...*identity.Key) {
	t.Helper()
	must(t, CreateUser(t.Context(), s.state.dir, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()))
	for _, key := range devices {
		must(t, AddDevice(t.Context(), s.state.dir, Etcd{}, "ann", key.Device(), "", zerolog.Nop()))
	}
}

// dial connects a device to a server, whose realm it checks.
func dial(t *testing.T, s *Server, over identity.Transport, key *identity.Key) (*identity.Established, error) {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	return identity.Initiator{
		Key: key, Wanted: wire.ServiceServer, Transport: over,
		Accept: func(r *wire.HelloReply) error {
			return identity.VerifyServer(r.Certificate, s.Realm(), r.Identity, time.Now())
		},
	}.Open(t.Context(), nc)
}

// ask sends a request and reads its reply.
func ask(t *testing.T, c *identity.Established, kind wire.Kind, request, reply wire.Message) {
	t.Helper()
	_, err := c.Write(wire.AppendRequest(nil, kind, 7, request))
	must(t, err)
	f, err := c.ReadFrame()
	for err == nil && (f.Kind == wire.KindEpoch || f.Kind == wire.KindRevoked) { // told at any time
		f, err = c.ReadFrame()
	}
	must(t, err)
	if f.Kind != kind || f.ID != 7 || f.Flags != wire.FlagReply {
		t.Fatalf("got %v %q", f.Header, f.Body)
	}
	must(t, wire.Decode(f.Body, reply))
}

// wantBye reads a BYE and then the end.
func wantBye(t *testing.T, c *identity.Established, code shoal.Code) {
	t.Helper()
	f, err := c.ReadFrame()
	must(t, err)
	var bye wire.Bye
	must(t, wire.Decode(f.Body, &bye))
	if f.Kind != wire.KindBye || bye.Code != code {
		t.Errorf("got %v, %v %q", f.Header, bye.Code, bye.Text)
	}
}

// The whole way over real TLS: published by one, found by another, gone with the one who had it; then the server stops.
func TestEndToEnd(t *testing.T) {
	for _, over := range []identity.Transport{overTLS, overPlaintext} {
		var log bytes.Buffer
		s, stop := start(t, Config{Transport: over, Logger: zerolog.New(zerolog.SyncWriter(&log))})
		key, other := identity.NewKey(), identity.NewKey()
		people(t, s, key, other)
		seeder, err := dial(t, s, over, key)
		must(t, err)
		object := shoal.Object{ID: shoal.FileID{1}, Size: 5}
		ask(t, seeder, wire.KindPublish, &wire.Publish{Sequence: 1, Group: shoal.Public, Name: "a b", Content: object}, &wire.MutationReply{})
		ask(t, seeder, wire.KindAnnounce, &wire.Announce{
			Candidates: identity.SignCandidates(key, []identity.Candidate{{Security: wire.TLS, Addr: netip.MustParseAddrPort("127.0.0.1:7401")}}, time.Now(), time.Hour),
			Offers:     []wire.Offer{{Swarm: shoal.Swarm{Group: shoal.Public, Object: object}, Pieces: 1}},
		}, &wire.Empty{})

		asking, err := dial(t, s, over, other)
		must(t, err)
		if asking.Session <= seeder.Session || !asking.Observed.IsLoopback() {
			t.Errorf("sessions %d and %d, observed %v", seeder.Session, asking.Session, asking.Observed)
		}
		var found wire.LookupReply
		ask(t, asking, wire.KindLookup, &wire.Lookup{Group: shoal.Public, Name: "a b"}, &found)
		if found.Content != object || len(found.Sources) != 1 || found.Sources[0].Device != key.Device() || found.Sources[0].Session != seeder.Session {
			t.Errorf("found %+v", found)
		}
		must(t, seeder.Close())
		for len(found.Sources) > 0 { // until the server has noticed
			ask(t, asking, wire.KindLookup, &wire.Lookup{Group: shoal.Public, Name: "a b"}, &found)
		}
		ended := make(chan error)
		go func() { ended <- stop() }()
		wantBye(t, asking, shoal.Busy)
		asking.Close()
		must(t, <-ended)
		if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
			t.Error("somebody listens after the end")
		}
		for _, part := range []string{`"message":"publish"`, `"object":"public/a b"`, `"message":"connect"`, `"clock":"own"`, `"lookup":`, key.Device().String(), `"message":"disconnected"`} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log does not have %s", part)
			}
		}
	}
}

// A server is the same realm after a restart, and its state folder takes one server at a time.
func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "state")
	s, stop := start(t, Config{State: dir, Transport: overTLS})
	first := s.Realm()
	_, err := New(t.Context(), Config{Listen: "127.0.0.1:0", State: dir, Transport: overTLS})
	want(t, err, shoal.Busy, dir)
	must(t, stop())
	s, stop = start(t, Config{State: dir, Transport: overTLS})
	if s.Realm() != first {
		t.Error("the realm changed")
	}
	must(t, stop())
	for name, mode := range map[string]os.FileMode{"": 0o700, "realm.key": 0o600, "server.key": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v", name, info.Mode())
		}
	}
}

// What New refuses leaves the state folder free.
func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	for _, c := range []struct {
		listen string
		over   identity.Transport
		code   shoal.Code
		text   string
	}{
		{taken.Addr().String(), overTLS, shoal.Busy, "--listen"},
		{"7400", overTLS, shoal.BadRequest, "HOST:PORT"},
		{":0", overPlaintext, shoal.Denied, "--plaintext=any"},
		{"0.0.0.0:0", overPlaintext, shoal.Denied, "--plaintext=any"},
	} {
		_, err := New(t.Context(), Config{Listen: c.listen, State: dir, Transport: c.over})
		want(t, err, c.code, c.text)
	}
	start(t, Config{State: dir, Transport: overTLS})

	other := t.TempDir()
	must(t, os.WriteFile(filepath.Join(other, "realm.key"), []byte("torn"), 0o600))
	_, err = New(t.Context(), Config{Listen: "127.0.0.1:0", State: other, Transport: overTLS})
	want(t, err, shoal.Corrupt, "realm.key")
	must(t, os.Remove(filepath.Join(other, "realm.key")))
	start(t, Config{State: other, Transport: overTLS})
}

// Of more users' connections than there may be, the last hears that there are too many; a place that is given up is used
// again.
func TestMaxConnections(t *testing.T) {
	s, _ := start(t, Config{Transport: overTLS, MaxConnections: 2})
	keys := []*identity.Key{identity.NewKey(), identity.NewKey()}
	people(t, s, keys...)
	var first *identity.Established
	for _, key := range keys {
		c, err := dial(t, s, overTLS, key)
		must(t, err)
		ask(t, c, wire.KindPing, &wire.Empty{}, &wire.Empty{})
		first = c
	}
	_, err := dial(t, s, overTLS, identity.NewKey())
	want(t, err, shoal.Busy, "2 connections")
	ask(t, first, wire.KindPing, &wire.Empty{}, &wire.Empty{})
	must(t, first.Close())
	for err != nil { // until the server has noticed
		_, err = dial(t, s, overTLS, identity.NewKey())
	}
}

// A plaintext client of a TLS server, and the other way round, hear what is wrong.
func TestOtherTransport(t *testing.T) {
	s, _ := start(t, Config{Transport: overTLS})
	_, err := dial(t, s, overPlaintext, identity.NewKey())
	want(t, err, shoal.Unsupported, "--plaintext")
	s, _ = start(t, Config{Transport: overPlaintext})
	_, err = dial(t, s, overTLS, identity.NewKey())
	want(t, err, shoal.Unsupported, "--plaintext")
}
