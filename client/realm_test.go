package client

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/client/store"
	"shoal/identity"
	"shoal/wire"
)

// realmServer is a server that says what a test wants it to.
type realmServer struct {
	t        *testing.T
	realm    *identity.Key
	key      *identity.Key
	listener net.Listener
	run      sync.WaitGroup
	ctx      context.Context

	mu      sync.Mutex // guards the rest
	conns   []*identity.Established
	member  bool                  // whether it gives tickets
	found   *wire.LookupReply     // what every LOOKUP finds; nil for nothing
	offered map[shoal.FileID]bool // by the last ANNOUNCE that named it
	asked   int                   // for tickets
	denied  bool                  // whether what is offered is refused
}

func newRealmServer(t *testing.T) *realmServer { return newServerOf(t, identity.NewKey()) }

func newServerOf(t *testing.T, realm *identity.Key) *realmServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &realmServer{
		t: t, realm: realm, key: identity.NewKey(), listener: l, member: true, offered: map[shoal.FileID]bool{},
	}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	s.run.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.run.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		s.run.Wait()
	})
	return s
}

func (s *realmServer) config() Config {
	c := config(s.t)
	pin := shoal.RealmKey(s.realm.Public())
	c.Server, c.Pin = s.listener.Addr().String(), &pin
	return c
}

func (s *realmServer) serve(nc net.Conn) {
	defer nc.Close()
	defer context.AfterFunc(s.ctx, func() { nc.Close() })()
	c, err := identity.Responder{
		Key: s.key, Serves: wire.ServiceServer, Transport: identity.Transport{Security: wire.TLS},
		Certificate: func() []byte { return identity.CertifyServer(s.realm, s.key.Public(), time.Now(), time.Hour) },
	}.Accept(s.ctx, nc)
	if err != nil {
		return
	}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return
		}
		s.mu.Lock()
		_, err = c.Write(s.answer(c.Remote, f))
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// answer is the right reply. mu is held.
func (s *realmServer) answer(to shoal.DeviceID, f wire.Frame) []byte {
	var m wire.Message = &wire.Empty{}
	switch f.Kind {
	case wire.KindPublish, wire.KindUnpublish:
		m = &wire.MutationReply{}
	case wire.KindAnnounce:
		if s.denied {
			return wire.AppendError(nil, f.Kind, f.ID, shoal.Denied)
		}
		var a wire.Announce
		if err := wire.Decode(f.Body, &a); err != nil {
			s.t.Error(err)
		}
		for _, o := range a.Offers {
			s.offered[o.Swarm.Object.ID] = o.Pieces > 0
		}
	case wire.KindLookup:
		if s.found == nil {
			return wire.AppendError(nil, f.Kind, f.ID, shoal.NotFound)
		}
		m = s.found
	case wire.KindTicket:
		if s.asked++; !s.member {
			return wire.AppendError(nil, f.Kind, f.ID, shoal.NotFound)
		}
		m = &wire.TicketReply{Ticket: s.ticket(to, f)}
	}
	return wire.AppendReply(nil, f.Kind, f.ID, m)
}

// ticket is one for what is asked.
func (s *realmServer) ticket(device shoal.DeviceID, f wire.Frame) []byte {
	var asked wire.TicketRequest
	err := wire.Decode(f.Body, &asked)
	var ticket []byte
	if err == nil {
		key, now := identity.NewKey(), time.Now()
		ticket, err = identity.SignTicket(key, identity.CertifyTicketKey(s.realm, key.Public(), now, time.Hour), identity.Ticket{
			Group: asked.Group, Device: device, User: "ann", Rights: identity.MayFetch, Epoch: 1, Issued: now, Expires: now.Add(time.Minute),
		})
	}
	if err != nil {
		s.t.Error(err)
	}
	return ticket
}

// tell sends an event on every connection.
func (s *realmServer) tell(kind wire.Kind, m wire.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_, _ = c.Write(wire.AppendEvent(nil, kind, m)) // some are closed
	}
}

// eventually waits for what goroutines and real sockets take a moment for.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

// A name that cannot be taken out of the catalog, because the disk is full, can be unpublished when it can.
func TestUnpublishWhileTheCatalogCannotBeWritten(t *testing.T) {
	s := newRealmServer(t) // which never finds a name
	c := s.config()
	d, stop := daemon(t, c)
	path := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(path, []byte("a"), 0o600))
	publish(t, d, "a", path)
	catalog := d.catalog
	closed, err := store.OpenCatalog(filepath.Join(t.TempDir(), "catalog.db"))
	must(t, err)
	must(t, closed.Close())
	d.catalog = closed
	if err := d.Unpublish(t.Context(), shoal.Public, "a"); err == nil || errors.Is(err, shoal.NotFound) {
		t.Fatalf("with a catalog that cannot be written: %v", err)
	}
	d.catalog = catalog
	must(t, d.Unpublish(t.Context(), shoal.Public, "a"))
	wantServed(t, d, 0)
	stop()
	d, _ = daemon(t, c)
	wantServed(t, d, 0)
}

// A daemon ends serving what was deleted or stopped, and everything in a group that its user was removed from; also after
// a restart, and nothing else.
func TestDaemonFollowsTheGroup(t *testing.T) {
	s := newRealmServer(t)
	c := s.config()
	d, stop := daemon(t, c)
	dir := t.TempDir()
	publishIn := func(group shoal.Group, name shoal.Name) *store.File {
		path := filepath.Join(dir, string(name))
		must(t, os.WriteFile(path, []byte(name), 0o600))
		f, err := store.Hash(t.Context(), path, nil)
		must(t, err)
		must(t, d.Share(t.Context(), group, name, f, NoSample))
		return f
	}
	deleted, stopped := publishIn("lab", "deleted"), publishIn("lab", "stopped")
	publishIn("lab", "kept")
	both := publishIn("lab", "both")
	publishIn("other", "both")
	publishIn(shoal.Public, "open")
	wantServed(t, d, 6, "both", "both", "deleted", "kept", "open", "stopped")
	names := func(want int) func() bool {
		return func() bool {
			got, _ := d.served()
			return len(got) == want
		}
	}

	s.tell(wire.KindGone, &wire.Gone{Group: "lab", File: deleted.Object().ID, Reason: wire.GoneDeleted})
	s.tell(wire.KindGone, &wire.Gone{Group: "lab", File: stopped.Object().ID, Reason: wire.GoneStopped})
	eventually(t, "what is gone is served", names(4))
	wantServed(t, d, 4, "both", "both", "kept", "open")
	s.tell(wire.KindGone, &wire.Gone{Group: "other", File: both.Object().ID, Reason: wire.GoneDeleted})
	eventually(t, "what is gone is served", names(3))
	wantServed(t, d, 3, "both", "kept", "open") // in the one group, not in the other

	s.tell(wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 1, Reason: wire.EpochMember})
	asked := func(n int) func() bool {
		return func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.asked >= n
		}
	}
	eventually(t, "nobody asks for a ticket", asked(1))
	wantServed(t, d, 3, "both", "kept", "open") // somebody else was removed
	s.mu.Lock()
	s.member = false
	s.mu.Unlock()
	s.tell(wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 1, Reason: wire.EpochMember}) // no news
	s.tell(wire.KindEpoch, &wire.Epoch{Group: "lab", Epoch: 2, Reason: wire.EpochMember})
	began := time.Now()
	eventually(t, "the group is served still", names(1))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	wantServed(t, d, 1, "open")
	stop()
	d, _ = daemon(t, c)
	wantServed(t, d, 1, "open")
}

// A device that was logged out while it was away ends serving in all groups when it is back.
func TestDaemonOfNobody(t *testing.T) {
	s := newRealmServer(t)
	d, _ := daemon(t, s.config())
	for _, group := range []shoal.Group{"lab", shoal.Public} {
		path := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(path, []byte(group), 0o600))
		f, err := store.Hash(t.Context(), path, nil)
		must(t, err)
		must(t, d.Share(t.Context(), group, shoal.Name(group), f, NoSample))
	}
	control, err := FindDaemon(d.config.State)
	must(t, err)
	defer control.Close()
	s.mu.Lock()
	s.member, s.denied = false, true
	s.mu.Unlock()
	must(t, control.Reconnect(t.Context()))
	eventually(t, "a group is served still", func() bool {
		_, files := d.served()
		return files == 0
	})
	wantServed(t, d, 0)
}

// A download ends when its object is deleted, and says so.
func TestGetOfWhatIsDeleted(t *testing.T) {
	s := newRealmServer(t)
	o := shoal.Object{ID: shoal.FileID{7}, Size: 1 << 20}
	s.found = &wire.LookupReply{Name: "it", Content: o, Facts: &shoal.Facts{}}
	c := s.config()
	cl, err := Open(t.Context(), c, Serves, nil)
	must(t, err)
	defer cl.Close()
	for _, other := range []*wire.Gone{
		{Group: "other", File: o.ID, Reason: wire.GoneDeleted}, {Group: shoal.Public, File: o.ID, Reason: wire.GoneStopped},
	} {
		s.tell(wire.KindGone, other)
	}
	_, err = cl.Get(t.Context(), Get{
		Group: shoal.Public, Target: "it", Folder: t.TempDir(),
		Found: func(shoal.Name, shoal.Object, string) {
			time.AfterFunc(50*time.Millisecond, func() {
				s.tell(wire.KindGone, &wire.Gone{Group: shoal.Public, File: o.ID, Reason: wire.GoneDeleted})
			})
		},
	})
	if !errors.Is(err, shoal.NotFound) {
		t.Errorf("got %v", err)
	}
}
