package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
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

// household is a server and the devices of some people, each with a state folder of its own, on this machine. Commands run
// in this process.
type household struct {
	t         *testing.T
	dir       string
	address   string
	realm     shoal.RealmKey
	firstCode string
	said      bytes.Buffer // all that commands and the server have printed and logged
	log       *guardedBuffer
}

// guardedBuffer is a log that goroutines write.
type guardedBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *guardedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *guardedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newHousehold(t *testing.T) *household {
	h := &household{t: t, dir: t.TempDir(), log: new(guardedBuffer)}
	s, err := server.New(t.Context(), server.Config{
		Listen: "127.0.0.1:0", State: filepath.Join(h.dir, "server"), Transport: identity.Transport{Security: wire.TLS},
		Logger: zerolog.New(h.log).Level(zerolog.DebugLevel),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.address, h.realm, h.firstCode = s.Addr().String(), s.Realm(), s.FirstCode()
	h.background(s.Run)
	return h
}

// background runs something until the test ends.
func (h *household) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

// peer runs a device's daemon.
func (h *household) peer(who string) {
	h.t.Helper()
	d, err := client.OpenDaemon(h.t.Context(), client.Config{
		Server: h.address, Pin: &h.realm, State: filepath.Join(h.dir, who), Transport: identity.Transport{Security: wire.TLS},
		Listen: "127.0.0.1:0", Log: zerolog.New(h.log).Level(zerolog.DebugLevel),
	}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	h.background(d.Run)
}

// does runs a command of a device, which reads stdin.
func (h *household) does(who, stdin string, args ...string) ran {
	h.t.Helper()
	var files [3]*os.File
	for i := range files {
		f, err := os.CreateTemp(h.t.TempDir(), "stream")
		if err != nil {
			h.t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if _, err := files[0].WriteAt([]byte(stdin), 0); err != nil {
		h.t.Fatal(err)
	}
	in, out, errs := os.Stdin, os.Stdout, os.Stderr
	os.Stdin, os.Stdout, os.Stderr = files[0], files[1], files[2]
	defer func() { os.Stdin, os.Stdout, os.Stderr = in, out, errs }()
	flags := []string{"--server", h.address, "--pin", h.realm.String(), "--state", filepath.Join(h.dir, who)}
	words := len(args)
	for i, arg := range args {
		if arg == "--" { // what follows is no flag
			words = i
			break
		}
	}
	line := append(append(append([]string{}, args[:words]...), flags...), args[words:]...)
	r := ran{code: run(h.t.Context(), line)}
	for i, text := range []*string{&r.stdout, &r.stderr} {
		b, err := os.ReadFile(files[i+1].Name())
		if err != nil {
			h.t.Fatal(err)
		}
		*text = string(b)
		h.said.Write(b)
	}
	return r
}

// must is does for what must succeed; it returns what was printed.
func (h *household) must(who, stdin string, args ...string) string {
	h.t.Helper()
	r := h.does(who, stdin, args...)
	if r.code != 0 {
		h.t.Fatalf("%s: shoal %s: %d: %s", who, strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// fails is does for what must be refused, with an exit code and a text that says something.
func (h *household) fails(code int, text, who, stdin string, args ...string) {
	h.t.Helper()
	r := h.does(who, stdin, args...)
	if r.code != code || !strings.Contains(r.stderr, text) || r.stderr == "" {
		h.t.Errorf("%s: shoal %s: %d instead of %d: %s", who, strings.Join(args, " "), r.code, code, r.stderr)
	}
}

const (
	annsPassword = "canary-Zq7 of ann"
	bobsPassword = "canary-Xw3 of bob"
)

// people are ann, the first user, who owns the group lab, and bob, whom she invited to it.
func (h *household) people() (invite string) {
	h.t.Helper()
	h.must("ann", annsPassword+"\n"+h.firstCode+"\n", "user", "create", "ann", "--label", "ann's laptop")
	h.must("ann", "", "group", "create", "lab", "--offline-grace", "1h")
	invite = strings.TrimSpace(h.must("ann", "", "invite", "lab"))
	h.must("bob", bobsPassword+"\n"+strings.ToUpper(invite), "user", "create", "bob")
	return invite
}
