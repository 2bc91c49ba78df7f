package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client"
	"shoal/identity"
	"shoal/server"
	"shoal/wire"
)

// world is a server and what belongs to it: peers, commands, and a folder with everything.
type world struct {
	*testing.T
	binary    string
	plaintext string // --plaintext of all; "" for TLS
	dir       string
	server    *process
	address   string
	realm     string
	serves    string // the realm of the server, also where a test lets devices know another one
	leavings  bool   // the test leaves unfinished downloads behind

	mu       sync.Mutex      // guards what is below
	enrolled map[string]bool // realms, and their devices, as far as they were made known to each other
}

// newWorld starts a server.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := bareWorld(t)
	w.startServer("127.0.0.1:0")
	return w
}

// bareWorld is a world without a server.
func bareWorld(t *testing.T) *world {
	w := &world{T: t, binary: shoalBinary, plaintext: unlessCaptured(""), dir: t.TempDir(), enrolled: map[string]bool{}}
	t.Cleanup(w.inspect)
	return w
}

func (w *world) startServer(listen string, flags ...string) {
	w.Helper()
	w.server = w.start("server", append([]string{"server", "--listen", listen, "--json"}, flags...)...)
	e := w.server.await("listening", nil)
	w.address, w.realm, w.serves = e.Address, e.Realm, e.Realm
	w.once(w.realm, func() error {
		return server.CreateUser(w.Context(), w.path("state", "server"), server.Etcd{}, everybody, []byte("correct horse"), zerolog.Nop())
	})
}

// everybody is the one user of a world, whose devices all are.
const everybody = "everybody"

// once does something that is to be done once, if it succeeds.
func (w *world) once(what string, do func() error) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.enrolled[what] {
		return
	}
	if err := do(); err != nil {
		w.Fatal(err)
	}
	w.enrolled[what] = true
}

// enrol makes a device one of everybody's, as whoever runs the server does it, unless no server of the world's own runs.
func (w *world) enrol(device shoal.DeviceID) {
	w.Helper()
	if w.server == nil || w.server.hasEnded() {
		return
	}
	w.once(w.serves+device.String(), func() error {
		return server.AddDevice(w.Context(), w.path("state", "server"), server.Etcd{}, everybody, device, "", zerolog.Nop())
	})
}

// enrolState enrols the device of a state that begins a command which talks to the server.
func (w *world) enrolState(state string, args []string) {
	w.Helper()
	switch {
	case len(args) == 0:
		return
	case slices.Contains([]string{"server", "rpclog", "soap", "sum", "version"}, args[0]):
		return
	}
	if w.server == nil || w.server.hasEnded() {
		return
	}
	device, err := client.Device(w.path("state", state))
	if err != nil {
		w.Fatal(err)
	}
	w.enrol(device)
}

// transport is that of devices which the test plays.
func (w *world) transport() identity.Transport {
	if w.plaintext == "" {
		return identity.Transport{Security: wire.TLS}
	}
	return identity.Transport{Security: wire.Plaintext}
}

// restartServer starts a server that was killed again, at the same address.
func (w *world) restartServer(flags ...string) {
	w.Helper()
	realm := w.realm
	w.startServer(w.address, flags...)
	if w.realm != realm {
		w.Fatalf("the server came back as realm %s, was %s", w.realm, realm)
	}
}

// inspect looks for what processes should not leave behind.
func (w *world) inspect() {
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		name := ""
		if d != nil {
			name = d.Name()
		}
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(name, ".key-"), strings.HasPrefix(name, ".shoal-") && !w.leavings:
			w.Errorf("left behind: %s", path)
		}
		return nil
	})
	if err != nil {
		w.Errorf("looking for what was left behind: %v", err)
	}
}

// path is a path in the world's folder.
func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}

// folder makes a folder in the world.
func (w *world) folder(elem ...string) string {
	w.Helper()
	path := w.path(elem...)
	if err := os.MkdirAll(path, 0o777); err != nil {
		w.Fatal(err)
	}
	return path
}

// noSleep makes the race detector's part of a process end with it, not a second later.
const noSleep = "GORACE=atexit_sleep_ms=0"

// searchPath is a PATH with the program under test.
func (w *world) searchPath() string { return filepath.Dir(w.binary) + ":" + os.Getenv("PATH") }

// environment is everything that a process of the world gets to know.
func (w *world) environment(state string) []string {
	return []string{
		"PATH=" + w.searchPath(),
		"HOME=" + w.dir,
		"LC_ALL=C.UTF-8",
		noSleep,
		"SHOAL_STATE=" + w.path("state", state),
		"SHOAL_SERVER=" + w.address,
		"SHOAL_PIN=" + w.realm,
		"SHOAL_PLAINTEXT=" + w.plaintext,
	}
}

// start starts a command as the device with that state.
func (w *world) start(state string, args ...string) *process {
	w.Helper()
	w.enrolState(state, args)
	p := prepare(w.T, w.binary, w.dir, w.environment(state), args...)
	p.watch(fork(p.cmd.Start))
	return p
}

// shoal runs a command to its end as the device with that state.
func (w *world) shoal(state string, args ...string) result {
	w.Helper()
	return w.start(state, args...).wait()
}

// get starts a download as the device with that state.
func (w *world) get(state string, args ...string) *process {
	w.Helper()
	return w.start(state, append([]string{"get", "--json"}, args...)...)
}

// peer is a peer daemon.
type peer struct {
	*process
	w       *world
	state   string
	dir     string
	device  string
	address string
}

// peer starts the daemon of a device, or starts it again.
func (w *world) peer(state string, args ...string) *peer {
	w.Helper()
	p := &peer{w: w, state: state, dir: w.folder("files", state)}
	p.process = w.start(state, append([]string{"peer", "--json", "--listen", "127.0.0.1:0", "--dir", p.dir}, args...)...)
	e := p.await("serving", nil)
	p.device, p.address = e.Device, e.Address
	return p
}

// publish has the daemon publish the file at path.
func (p *peer) publish(path string) event {
	p.t.Helper()
	return p.w.shoal(p.state, "publish", "--json", path).ok().event("published")
}

// publishCopy gives the peer a copy of the content under a name, and publishes it.
func (p *peer) publishCopy(name string, content []byte) event {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	write(p.t, path, content)
	return p.publish(path)
}

// seeds are peers that have the same file.
func (w *world) seeds(name string, content []byte, states ...string) []*peer {
	w.Helper()
	peers := make([]*peer, len(states))
	for i, state := range states {
		peers[i] = w.peer(state)
		peers[i].publishCopy(name, content)
	}
	return peers
}

// entry is a line of ls.
type entry struct {
	Name    string
	Size    int64
	File    string
	Sources int
	Partial int
	Facts   shoal.Facts
}

// list is what ls --json prints, by name.
func (w *world) list() map[string]entry {
	w.Helper()
	entries := map[string]entry{}
	lines := json.NewDecoder(strings.NewReader(w.shoal("lister", "ls", "--json").ok().stdout))
	for lines.More() {
		var e entry
		if err := lines.Decode(&e); err != nil {
			w.Fatalf("ls --json: %v", err)
		}
		entries[e.Name] = e
	}
	return entries
}
