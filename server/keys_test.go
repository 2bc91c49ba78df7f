package server

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// guarded is a log that goroutines write.
type guarded struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(p)
}

func (g *guarded) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.String()
}

// soon waits for what other goroutines take a moment for.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// revocation reads what a client is told next: which key does not count any more.
func revocation(t *testing.T, c loggedIn, realm shoal.RealmKey) [32]byte {
	t.Helper()
	must(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	f, err := c.ReadFrame()
	must(t, err)
	if f.Kind != wire.KindRevoked {
		t.Fatalf("told %v", f.Header)
	}
	var m wire.Revocation
	must(t, wire.Decode(f.Body, &m))
	key, _, err := identity.NewAuthority(realm).VerifyRevocation(m.Chain, time.Now())
	must(t, err)
	return key
}

// A key of the realm is revoked while its server runs: who is connected is told, tickets are signed by another key from
// then on, and what the revoked one signed does not count. The server's own key is replaced while it is stopped.
func TestRevokeKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, ctx := filepath.Join(dir, "state"), t.Context()
	c := Config{State: state, Transport: overTLS}
	s, stop := start(t, c)
	realm := s.Realm()
	must(t, CreateUser(ctx, state, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()))
	ann := logIn(t, s, "ann")
	ask(t, ann.Established, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "lab", Grace: 60}, &wire.MutationReply{})
	var before, after wire.TicketReply
	ask(t, ann.Established, wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &before)
	before.Ticket = bytes.Clone(before.Ticket) // it aliases what is read next
	keys, err := RealmOf(ctx, state, Etcd{}, zerolog.Nop())
	must(t, err)
	if keys.Realm != realm.String() || !keys.RootHere || len(keys.Revoked) > 0 || keys.Rotations != 0 || time.Until(keys.CertifiedUntil) < time.Hour {
		t.Errorf("the keys are %+v", keys)
	}
	for key, code := range map[string]shoal.Code{
		realm.String(): shoal.BadRequest, ann.device.String(): shoal.BadRequest, keys.Server: shoal.Busy, "abc": shoal.BadRequest,
	} {
		want(t, RevokeKey(ctx, state, Etcd{}, key, "", zerolog.Nop()), code, "key")
	}
	must(t, RevokeKey(ctx, state, Etcd{}, keys.Tickets, "", zerolog.Nop()))
	if told := revocation(t, ann, realm); shoal.DeviceID(told).String() != keys.Tickets {
		t.Errorf("told of %x", told)
	}
	ask(t, ann.Established, wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &after)
	authority := identity.NewAuthority(realm)
	revokedKey, err := parseKey(keys.Tickets)
	must(t, err)
	must(t, authority.Revoke(identity.RevokeKey(s.state.realm, revokedKey, time.Now(), time.Hour), time.Now()))
	for ticket, counts := range map[*wire.TicketReply]bool{&before: false, &after: true} {
		_, err := authority.VerifyTicket(ticket.Ticket, identity.Demand{Device: ann.device, Group: "lab", Now: time.Now(), Reachable: true})
		if (err == nil) != counts || !counts && !errors.Is(err, identity.RefusedRevoked) {
			t.Errorf("a ticket that counts (%v): %v", counts, err)
		}
	}
	ann.Close()
	stop()

	must(t, RevokeKey(ctx, state, Etcd{}, keys.Server, "", zerolog.Nop()))
	r, err := OpenRootKey(state)
	must(t, err)
	next, err := r.Rotate()
	must(t, err)
	must(t, r.Close())
	s, stop = start(t, c)
	now, err := RealmOf(ctx, state, Etcd{}, zerolog.Nop())
	must(t, err)
	if now.Server == keys.Server || now.Tickets == keys.Tickets || len(now.Revoked) != 2 || now.Rotations != 1 {
		t.Errorf("the keys are %+v", now)
	}
	// Who trusts the realm by its next root key is told by that one.
	bob := logIn(t, s, "ann")
	bob.Close()
	for _, root := range []shoal.RealmKey{realm, next} {
		key := identity.NewKey()
		c, err := dial(t, s, overTLS, key)
		must(t, err)
		told := map[string]bool{}
		for range 2 {
			told[shoal.DeviceID(revocation(t, loggedIn{c, key.Device()}, root)).String()] = true
		}
		if !told[keys.Server] || !told[keys.Tickets] {
			t.Errorf("told of %v", told)
		}
		c.Close()
	}
	stop()
}

// A server whose own key another one of the realm revokes stops, and where it has the root key, starts again with a new
// one; of its key for tickets it just makes a new one. Where the root key was rotated, it is imported at the others.
func TestKeysOfTwoServers(t *testing.T) {
	t.Parallel()
	dir, etcd, ctx := t.TempDir(), anEtcd(t), t.Context()
	folders := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	exported := func(name string) string {
		t.Helper()
		r, err := OpenRootKey(folders[0])
		must(t, err)
		path := filepath.Join(dir, name)
		must(t, r.Export(path, false))
		must(t, r.Close())
		return path
	}
	_, err := ImportRootKey(folders[1], exported("root"))
	must(t, err)
	configs := []Config{{State: folders[0], Etcd: etcd, Transport: overTLS}, {State: folders[1], Etcd: etcd, Transport: overTLS}}
	a, stopA := start(t, configs[0])
	configs[1].Listen = "127.0.0.1:0"
	b, err := New(ctx, configs[1])
	must(t, err)
	ended := make(chan error, 1)
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { ended <- b.Run(running) }()

	keys, err := RealmOf(ctx, folders[1], etcd, zerolog.Nop())
	must(t, err)
	must(t, RevokeKey(ctx, folders[0], etcd, keys.Tickets, "", zerolog.Nop()))
	soon(t, "it goes on with a key that was revoked", func() bool { return b.state.ticketPublic().String() != keys.Tickets })
	must(t, RevokeKey(ctx, folders[0], etcd, keys.Server, "", zerolog.Nop()))
	want(t, <-ended, shoal.Untrusted, "revoked this server's key")

	var said guarded
	configs[1].Logger = zerolog.New(&said)
	b, stopB := start(t, configs[1])
	if b.state.server.Device().String() == keys.Server {
		t.Error("it has the key that was revoked")
	}
	was := a.Realm()
	stopA()
	r, err := OpenRootKey(folders[0])
	must(t, err)
	next, err := r.Rotate()
	must(t, err)
	must(t, r.Close())
	_, stopA = start(t, configs[0])
	soon(t, "it does not say that the root key was rotated", func() bool { return strings.Contains(said.String(), "rotated at another server") })
	must(t, stopB())
	_, err = New(ctx, configs[1])
	want(t, err, shoal.Untrusted, "rotated at another server")
	stopA()
	if is, err := ImportRootKey(folders[1], exported("next")); err != nil || is != next {
		t.Fatalf("imported %v, %v", is, err)
	}
	a, stopA = start(t, configs[0])
	b, stopB = start(t, configs[1])
	if a.Realm() != next || b.Realm() != next || b.state.server.Device().String() == keys.Server {
		t.Errorf("the realms are %v and %v, of %v, and then %v", a.Realm(), b.Realm(), was, next)
	}
	for _, s := range []*Server{a, b} {
		if root, err := identity.NewAuthority(was).VerifyServer(s.state.certify(), s.state.server.Public(), time.Now()); err != nil || root != next {
			t.Errorf("who knows the first key is led to %v, %v", root, err)
		}
	}
	stopA()
	stopB()
}

// A backup that is older than a rotation opens in a new folder with the root key that was exported after it.
func TestBackupOlderThanRotation(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), t.Context()
	path := func(name string) string { return filepath.Join(dir, name) }
	s, stop := start(t, Config{State: path("old"), Transport: overTLS})
	was := s.Realm()
	must(t, CreateUser(ctx, path("old"), Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()))
	stop()
	_, err := Backup(ctx, path("old"), Etcd{}, path("backup"), zerolog.Nop())
	must(t, err)
	r, err := OpenRootKey(path("old"))
	must(t, err)
	must(t, r.Export(path("first"), false))
	_, err = r.Rotate()
	must(t, err)
	next, err := r.Rotate()
	must(t, err)
	must(t, r.Export(path("third"), false))
	must(t, r.Close())

	for _, folder := range []string{"new", "first"} {
		state := path("of " + folder)
		_, err = Restore(ctx, state, path("backup"), zerolog.Nop())
		must(t, err)
		key := map[string]string{"new": "third", "first": "first"}[folder]
		_, err = ImportRootKey(state, path(key))
		must(t, err)
		s, stop = start(t, Config{State: state, Transport: overTLS})
		root, err := identity.NewAuthority(was).VerifyServer(s.state.certify(), s.state.server.Public(), time.Now())
		if err != nil || folder == "new" && root != next || folder == "first" && root != was {
			t.Errorf("%s: led to %v, %v", folder, root, err)
		}
		logIn(t, s, "ann").Close()
		stop()
	}
}

// The certificate is renewed at half its life, and always holds.
func TestCertificateIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := openState(t.TempDir())
		must(t, err)
		defer st.close()
		check := func() string {
			c := st.certify()
			must(t, identity.VerifyServer(c, st.public, st.server.Public(), time.Now()))
			return string(c)
		}
		first := check()
		time.Sleep(certificateLasts/2 - time.Second)
		if check() != first {
			t.Error("renewed too early")
		}
		time.Sleep(time.Second)
		second := check()
		if second == first {
			t.Error("not renewed")
		}
		expires, err := identity.Expires([]byte(second))
		must(t, err)
		if left := time.Until(expires); left != certificateLasts {
			t.Errorf("it holds for %v", left)
		}
		time.Sleep(10 * certificateLasts)
		check()
	})
}
