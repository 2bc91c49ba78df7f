package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"shoal"
	"shoal/client/store"
	"shoal/identity"
	"shoal/wire"
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
	if shoal.CodeOf(err) != code {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

func TestHostsOf(t *testing.T) {
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	local := []netip.Addr{a("127.0.0.1"), a("::1"), a("192.168.0.2"), a("10.0.0.2"), a("2001:db8::2")}
	for _, c := range []struct {
		observed netip.Addr
		want     []netip.Addr
	}{
		{a("10.0.0.2"), []netip.Addr{a("10.0.0.2"), a("192.168.0.2"), a("2001:db8::2")}},
		{a("::ffff:10.0.0.2"), []netip.Addr{a("10.0.0.2"), a("192.168.0.2"), a("2001:db8::2")}},
		{a("127.0.0.1"), []netip.Addr{a("127.0.0.1"), a("192.168.0.2"), a("10.0.0.2"), a("2001:db8::2")}},
		{a("203.0.113.9"), []netip.Addr{a("192.168.0.2"), a("10.0.0.2"), a("2001:db8::2"), a("203.0.113.9")}},
		{netip.Addr{}, []netip.Addr{a("192.168.0.2"), a("10.0.0.2"), a("2001:db8::2")}},
	} {
		if got := hostsOf(c.observed, local); !slices.Equal(got, c.want) {
			t.Errorf("seen as %v: got %v, want %v", c.observed, got, c.want)
		}
	}
	bound := &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 99}
	got := addressesOf(bound, wire.TLS)(a("203.0.113.9"))
	if len(got) != 1 || got[0] != (identity.Candidate{Security: wire.TLS, Addr: netip.MustParseAddrPort("192.0.2.7:99")}) {
		t.Errorf("bound to one address: %v", got)
	}
}

func TestWhereAGetWrites(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.Mkdir("folder", 0o700))
	must(t, os.Symlink("folder", "link"))
	must(t, os.WriteFile("file", nil, 0o600))
	for out, want := range map[string]string{
		"": "there/name", "file": "file", "new": "new", "folder": "folder/name", "folder/": "folder/name", "link": "link/name",
		".": "name", "missing/": "missing/name", "folder/new": "folder/new", filepath.Join(dir, "folder"): filepath.Join(dir, "folder/name"),
		filepath.Join(dir, "new"): filepath.Join(dir, "new"),
	} {
		if got := (Get{Out: out, Folder: "there"}).path("name"); got != want {
			t.Errorf("-o %q: got %q, want %q", out, got, want)
		}
	}
}

// config is for a client whose server does not answer.
func config(t *testing.T) Config {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	realm := shoal.RealmKey(identity.NewKey().Public())
	return Config{
		Server: l.Addr().String(), State: t.TempDir(), Pin: &realm, Transport: identity.Transport{Security: wire.TLS},
		Listen: "127.0.0.1:0", Log: zerolog.Nop(),
	}
}

// daemon runs a Daemon until stop is called.
func daemon(t *testing.T, c Config) (d *Daemon, stop func()) {
	t.Helper()
	d, err := OpenDaemon(t.Context(), c, filepath.Join(t.TempDir(), "folder"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		must(t, <-done)
	}
	t.Cleanup(stop)
	return d, stop
}

func TestOpenWithoutServer(t *testing.T) {
	c := config(t)
	cl, err := Open(t.Context(), c, Serves, nil)
	wantCode(t, err, shoal.Unreachable)
	cl.Close()
	c.Server = "nonsense"
	_, err = Open(t.Context(), c, Silent, nil)
	wantCode(t, err, shoal.BadRequest)
	c.Server = ""
	_, err = Open(t.Context(), c, Silent, nil) // none is pinned
	wantCode(t, err, shoal.BadRequest)
	info, err := os.Stat(filepath.Join(c.State, "device.key"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key has mode %v", info.Mode())
	}
}

func TestControlSocket(t *testing.T) {
	c := config(t)
	c.State = filepath.Join(c.State, strings.Repeat("long/", 30))
	if found, err := FindDaemon(c.State); found != nil || err != nil {
		t.Fatalf("no folder: %v, %v", found, err)
	}
	old := unix.Umask(0)
	d, stop := daemon(t, c)
	unix.Umask(old)
	socket := filepath.Join(c.State, socketName)
	for path, want := range map[string]os.FileMode{socket: 0o600, c.State: 0o700} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	control, err := FindDaemon(c.State)
	must(t, err)
	defer control.Close()
	folder, err := control.Folder(t.Context())
	must(t, err)
	if folder != d.dir || folder == "" {
		t.Errorf("files go to %q", folder)
	}
	_, err = OpenDaemon(t.Context(), c, "") // a second one
	wantCode(t, err, shoal.Busy)

	dir := t.TempDir()
	for path, code := range map[string]shoal.Code{
		filepath.Join(dir, "missing"): shoal.NotFound, dir: shoal.BadRequest, "relative": shoal.BadRequest, "/dev/null": shoal.BadRequest,
	} {
		_, err := control.Publish(t.Context(), shoal.Public, "name", path, WithSample, nil, nil)
		wantCode(t, err, code)
	}
	_, err = control.Publish(t.Context(), "a/b", "name", "/dev/null", WithSample, nil, nil)
	wantCode(t, err, shoal.BadRequest)
	_, err = control.Publish(t.Context(), shoal.Public, "..", "/dev/null", WithSample, nil, nil)
	wantCode(t, err, shoal.BadRequest)
	stop()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
	_, err = control.Folder(t.Context())
	wantCode(t, err, shoal.Unreachable)
}

// What a killed daemon leaves is no daemon, and in nobody's way.
// A command that is at work when the daemon stops is not told that somebody gave it up.
func TestControlOfADaemonThatStops(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	answer := answerControl(func(*http.Request) (r controlRequest, err error) { return r, nil },
		func(ctx context.Context, _ controlRequest, _ func(controlLine)) error {
			stop()
			return fmt.Errorf("asking the server: %w", ctx.Err())
		})
	said := httptest.NewRecorder()
	answer(said, httptest.NewRequestWithContext(ctx, http.MethodPost, "/unpublish", nil))
	var line controlLine
	must(t, json.Unmarshal(said.Body.Bytes(), &line))
	if line.Error == nil || line.Error.Code != shoal.Busy || !strings.Contains(line.Error.Text, "is stopping") {
		t.Errorf("it is told %s", said.Body)
	}
}

func TestStaleSocket(t *testing.T) {
	c := config(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(c.State, socketName)})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	if found, err := FindDaemon(c.State); found != nil || err != nil {
		t.Fatalf("found %v, %v", found, err)
	}
	daemon(t, c)
	control, err := FindDaemon(c.State)
	must(t, err)
	control.Close()
}

func publish(t *testing.T, d *Daemon, name shoal.Name, path string) *store.File {
	t.Helper()
	f, err := store.Hash(t.Context(), path, nil)
	must(t, err)
	must(t, d.catalog.Put(store.Entry{
		Group: shoal.Public, Name: name, Object: f.Object(), Path: f.Path(), Stamp: f.Stamp(), Manifest: f.Manifest(),
	}))
	d.offer(label{shoal.Public, name}, f)
	return f
}

func (d *Daemon) served() (names []string, files int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for l := range d.names {
		names = append(names, string(l.name))
	}
	slices.Sort(names)
	return names, len(d.files)
}

func wantServed(t *testing.T, d *Daemon, files int, want ...string) {
	t.Helper()
	if names, n := d.served(); !slices.Equal(names, want) || n != files {
		t.Errorf("%d files are served under %v, want %d under %v", n, names, files, want)
	}
}

// What a daemon serves it serves again after a restart, but for what changed.
func TestRestore(t *testing.T) {
	c := config(t)
	d, stop := daemon(t, c)
	dir := t.TempDir()
	for _, name := range []shoal.Name{"a", "b", "gone"} {
		must(t, os.WriteFile(filepath.Join(dir, string(name)), []byte(name), 0o600))
		publish(t, d, name, filepath.Join(dir, string(name)))
	}
	publish(t, d, "again", filepath.Join(dir, "a"))
	wantServed(t, d, 3, "a", "again", "b", "gone")
	stop()
	must(t, os.Remove(filepath.Join(dir, "gone")))
	d, stop = daemon(t, c)
	wantServed(t, d, 2, "a", "again", "b")
	stop()
	must(t, os.WriteFile(filepath.Join(dir, "gone"), []byte("gone"), 0o600))
	d, _ = daemon(t, c)
	wantServed(t, d, 2, "a", "again", "b")
	must(t, d.forget(label{shoal.Public, "again"}, shoal.NotFound))
	wantServed(t, d, 2, "a", "b") // the file has its other name still
	must(t, d.forget(label{shoal.Public, "a"}, shoal.NotFound))
	wantServed(t, d, 1, "b")
}

// A daemon sees by itself that a file changed.
func TestChangedFilesAreWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalog, err := store.OpenCatalog(filepath.Join(t.TempDir(), "catalog.db"))
		must(t, err)
		defer catalog.Close()
		c := config(t)
		cl, err := Open(t.Context(), c, Silent, nil)
		wantCode(t, err, shoal.Unreachable)
		defer cl.Close()
		d := &Daemon{
			Client: cl, catalog: catalog, names: map[label]shoal.Object{}, files: map[shoal.Swarm]*store.File{},
			vacant: map[label]shoal.Object{},
		}
		path := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(path, []byte("one"), 0o600))
		publish(t, d, "one", path)
		publish(t, d, "two", path)
		wantServed(t, d, 1, "one", "two")
		must(t, os.WriteFile(path, []byte("changed"), 0o600))
		ctx, cancel := context.WithTimeout(t.Context(), checkEvery+time.Second)
		defer cancel()
		d.watch(ctx)
		wantServed(t, d, 0)
		entries, err := catalog.All()
		if err != nil || len(entries) != 0 {
			t.Errorf("%d entries are left: %v", len(entries), err)
		}
	})
}

// A name that stands for something else now does not keep what it stood for before on the shelf.
func TestSuperseded(t *testing.T) {
	d, _ := daemon(t, config(t))
	dir := t.TempDir()
	for _, name := range []string{"old", "new"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	publish(t, d, "name", filepath.Join(dir, "old"))
	f, err := store.Hash(t.Context(), filepath.Join(dir, "new"), nil)
	must(t, err)
	must(t, d.supersede(label{shoal.Public, "name"}, f.Object()))
	wantServed(t, d, 0)
	d.offer(label{shoal.Public, "name"}, f)
	must(t, d.supersede(label{shoal.Public, "name"}, f.Object()))
	wantServed(t, d, 1, "name")
}
