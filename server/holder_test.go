package server

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

const goodPassword = "correct horse"

// logIn connects a device and logs it in.
func logIn(t *testing.T, s *Server, user string) loggedIn {
	t.Helper()
	key := identity.NewKey()
	c, err := dial(t, s, overTLS, key)
	must(t, err)
	ask(t, c, wire.KindLogin, &wire.Login{Sequence: 1, User: user, Password: []byte(goodPassword)}, &wire.MutationReply{})
	return loggedIn{c, key.Device()}
}

type loggedIn struct {
	*identity.Established
	device shoal.DeviceID
}

func whoami(t *testing.T, c loggedIn) (who wire.WhoamiReply) {
	t.Helper()
	ask(t, c.Established, wire.KindWhoami, &wire.Whoami{}, &who)
	return who
}

// Whoever holds the state folder makes users and backups, with and without a server running; a backup brings everything
// back, tickets included.
func TestHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, backup := filepath.Join(dir, "state"), filepath.Join(dir, "backup")
	_, err := Backup(t.Context(), state, Etcd{}, backup, zerolog.Nop())
	want(t, err, shoal.NotFound, "no state folder")
	c := Config{State: state, Transport: overTLS}
	s, stop := start(t, c)
	if s.FirstCode() == "" {
		t.Error("a fresh server has no code for the first user")
	}
	must(t, CreateUser(t.Context(), state, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()))
	want(t, CreateUser(t.Context(), state, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()), shoal.Exists, `"ann"`)
	want(t, CreateUser(t.Context(), state, Etcd{}, "bob", []byte("short"), zerolog.Nop()), shoal.BadRequest, "short")
	key := identity.NewKey()
	must(t, AddDevice(t.Context(), state, Etcd{}, "ann", key.Device(), "desk", zerolog.Nop()))
	added, err := dial(t, s, overTLS, key)
	must(t, err)
	if who := whoami(t, loggedIn{added, key.Device()}); who.User != "ann" || who.Label != "desk" {
		t.Errorf("the device that was added is %+v", who)
	}
	want(t, AddDevice(t.Context(), state, Etcd{}, "nobody", key.Device(), "", zerolog.Nop()), shoal.NotFound, `"nobody"`)
	want(t, AddDevice(t.Context(), state, Etcd{}, "ann", shoal.DeviceID{}, "", zerolog.Nop()), shoal.BadRequest, "missing")
	ann := logIn(t, s, "ann")
	if who := whoami(t, ann); who.User != "ann" || !who.Admin {
		t.Errorf("ann is %+v", who)
	}
	ask(t, ann.Established, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "lab", Grace: 60}, &wire.MutationReply{})
	object := shoal.Object{ID: shoal.FileID{1}, Size: 5}
	ask(t, ann.Established, wire.KindPublish, &wire.Publish{Sequence: 3, Group: "lab", Name: "x", Content: object}, &wire.MutationReply{})
	_, err = Backup(t.Context(), state, Etcd{}, backup, zerolog.Nop())
	must(t, err)
	_, err = Backup(t.Context(), state, Etcd{}, backup, zerolog.Nop())
	want(t, err, shoal.Exists, backup)
	must(t, ann.Close())
	must(t, stop())
	must(t, CreateUser(t.Context(), state, Etcd{}, "bob", []byte(goodPassword), zerolog.Nop()))

	_, err = Restore(t.Context(), state, backup, zerolog.Nop())
	want(t, err, shoal.Exists, "not empty")
	must(t, os.Rename(filepath.Join(state, "etcd"), filepath.Join(dir, "lost")))
	_, err = Restore(t.Context(), state, backup, zerolog.Nop())
	must(t, err)
	s, _ = start(t, c)
	if s.FirstCode() != "" {
		t.Error("there is a code for a second first user")
	}
	ann = logIn(t, s, "ann")
	var found wire.LookupReply
	ask(t, ann.Established, wire.KindLookup, &wire.Lookup{Group: "lab", Name: "x"}, &found)
	if found.Content != object {
		t.Errorf("found %+v", found)
	}
	checkTicket(t, s, ann, s.Realm())
	want(t, CreateUser(t.Context(), state, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()), shoal.Exists, "")
	must(t, CreateUser(t.Context(), state, Etcd{}, "bob", []byte(goodPassword), zerolog.Nop()))
}

// checkTicket asks for a ticket, which must hold for a realm's root key.
func checkTicket(t *testing.T, s *Server, c loggedIn, root shoal.RealmKey) {
	t.Helper()
	var reply wire.TicketReply
	must(t, s.keeper.feed.Barrier(t.Context()))
	ask(t, c.Established, wire.KindTicket, &wire.TicketRequest{Group: "lab"}, &reply)
	ticket, err := identity.NewAuthority(root).VerifyTicket(reply.Ticket, identity.Demand{
		Device: c.device, Group: "lab", Rights: identity.MayFetch, Epoch: reply.Epoch, Now: time.UnixMilli(reply.Now), Reachable: true,
	})
	must(t, err)
	if ticket.User != "ann" || ticket.Grace != time.Minute {
		t.Errorf("the ticket is %+v", ticket)
	}
}

// The root key can be taken away, brought back, and rotated; whoever knows an earlier one follows.
func TestRootKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, file := filepath.Join(dir, "state"), filepath.Join(dir, "root")
	c := Config{State: state, Transport: overTLS}
	s, stop := start(t, c)
	first := s.Realm()
	_, err := OpenRootKey(state)
	want(t, err, shoal.Busy, "another server")
	must(t, CreateUser(t.Context(), state, Etcd{}, "ann", []byte(goodPassword), zerolog.Nop()))
	ann := logIn(t, s, "ann")
	ask(t, ann.Established, wire.KindGroup, &wire.GroupChange{Sequence: 2, Verb: wire.CreateGroup, Group: "lab", Grace: 60}, &wire.MutationReply{})
	must(t, ann.Close())
	must(t, stop())

	with := func(do func(r *RootKey)) {
		t.Helper()
		r, err := OpenRootKey(state)
		must(t, err)
		do(r)
		must(t, r.Close())
	}
	check := func(roots ...shoal.RealmKey) {
		t.Helper()
		s, stop := start(t, c)
		ann := logIn(t, s, "ann")
		for _, root := range roots {
			checkTicket(t, s, ann, root)
		}
		must(t, ann.Close()) // or the server would wait for it
		must(t, stop())
	}
	with(func(r *RootKey) {
		must(t, r.Export(file, true))
		want(t, r.Export(file, false), shoal.Exists, file)
	})
	with(func(r *RootKey) {
		want(t, r.Export(filepath.Join(dir, "again"), false), shoal.NotFound, "import")
		_, err := r.Rotate()
		want(t, err, shoal.NotFound, "import")
	})
	check(first)
	if realm, err := ImportRootKey(state, file); err != nil || realm != first {
		t.Errorf("imported %v, %v", realm, err)
	}
	roots := []shoal.RealmKey{first}
	for range maxSuccessions {
		with(func(r *RootKey) {
			realm, err := r.Rotate()
			must(t, err)
			roots = append(roots, realm)
		})
	}
	with(func(r *RootKey) {
		_, err := r.Rotate()
		want(t, err, shoal.Limit, "rotated")
	})
	check(roots...)
	// The state has the successions, for a folder that was made from the last key alone.
	with(func(r *RootKey) { must(t, r.Export(filepath.Join(dir, "last"), false)) })
	third := filepath.Join(dir, "third")
	_, err = ImportRootKey(third, filepath.Join(dir, "last"))
	must(t, err)
	must(t, os.Rename(filepath.Join(state, "etcd"), filepath.Join(third, "etcd")))
	c.State = third
	check(roots...)
	must(t, os.Rename(filepath.Join(third, "etcd"), filepath.Join(state, "etcd")))
	_, err = ImportRootKey(state, file)
	want(t, err, shoal.Exists, "another realm")
	// A new folder for the same realm, and a state that is another's.
	if _, err := ImportRootKey(filepath.Join(dir, "second"), file); err != nil {
		t.Error(err)
	}
	must(t, os.Rename(filepath.Join(state, "etcd"), filepath.Join(dir, "second", "etcd")))
	_, err = New(t.Context(), Config{Listen: "127.0.0.1:0", State: filepath.Join(dir, "second"), Transport: overTLS})
	want(t, err, shoal.Untrusted, "import")
}
