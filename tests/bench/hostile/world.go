package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client"
	"shoal/server"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	user     = "bench"
	password = "correct horse battery staple"
	fileSize = 64 << 20
)

// world is the daemons of one figure, each known to the others as their keepers would have it.
type world struct {
	dir     string
	shoal   string
	daemons []daemon
	targets targets
}

// daemon is a process under attack.
type daemon struct {
	name string
	*proc.Daemon
}

// startWorld starts a log service, an enrichment service, a server and a peer that has published a file. The caller must
// call stop.
func startWorld(ctx context.Context, b *report.Bench, sources int) (_ *world, err error) {
	dir, err := os.MkdirTemp("/dev/shm", "shoal-bench-hostile-")
	if err != nil {
		return nil, fmt.Errorf("making a folder in memory: %w", err)
	}
	w := &world{dir: dir, shoal: b.Shoal}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.stop())
		}
	}()
	t := &w.targets
	t.Name, t.Size, t.Sources, t.State = "file", fileSize, sources, filepath.Join(dir, "client")
	var log struct{ Address, Key string }
	if err := w.start(ctx, "rpclog", &log); err != nil {
		return nil, err
	}
	var soap struct{ Address, URL string }
	if err := w.start(ctx, "soap", &soap); err != nil {
		return nil, err
	}
	t.Log, t.LogKey, t.Soap, t.SoapAddress = log.Address, log.Key, soap.URL, soap.Address
	var listening struct{ Address, Realm string }
	logged := []string{"--rpclog", log.Address, "--rpclog-key", log.Key}
	if err := w.start(ctx, "server", &listening, append(logged, "--soap", soap.URL)...); err != nil {
		return nil, err
	}
	t.Server, t.Realm = listening.Address, listening.Realm
	if err := server.CreateUser(ctx, w.state("server"), server.Etcd{}, user, []byte(password), zerolog.Nop()); err != nil {
		return nil, err
	}
	for _, device := range []string{"peer", "client"} {
		id, err := client.Device(w.state(device))
		if err == nil {
			err = server.AddDevice(ctx, w.state("server"), server.Etcd{}, user, id, device, zerolog.Nop())
		}
		if err != nil {
			return nil, err
		}
	}
	known := []string{"--server", t.Server, "--pin", t.Realm}
	var serving struct{ Address string }
	if err := w.start(ctx, "peer", &serving, append(logged, known...)...); err != nil {
		return nil, err
	}
	t.Peer = serving.Address
	if err := w.publish(ctx, known); err != nil {
		return nil, err
	}
	return w, errors.Join(t.open(), t.save(w.file()))
}

// file is where other processes read what the targets are.
func (w *world) file() string { return filepath.Join(w.dir, "targets.json") }

func (w *world) state(name string) string { return filepath.Join(w.dir, name) }

// start starts a daemon, and waits until it says what it is.
func (w *world) start(ctx context.Context, name string, event any, args ...string) error {
	lines := proc.NewLines()
	line := append([]string{w.shoal, name, "--json", "--listen", "127.0.0.1:0", "--state", w.state(name)}, args...)
	d, err := proc.Start(ctx, w.dir, name, proc.Command{Args: line}, lines)
	if err != nil {
		return err
	}
	if err := d.Ready(ctx, lines, event); err != nil {
		return err
	}
	w.daemons = append(w.daemons, daemon{name, d})
	return nil
}

// publish makes the file, and has the peer publish it.
func (w *world) publish(ctx context.Context, known []string) error {
	path := filepath.Join(w.dir, w.targets.Name)
	content := make([]byte, fileSize)
	rand.Read(content) // never fails
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer f.Close()
	var o shoal.Object
	if o, _, err = shoal.HashFile(ctx, f, fileSize, nil); err != nil {
		return err
	}
	w.targets.File = o.ID
	_, _, err = proc.Run(ctx, proc.Command{Args: append([]string{w.shoal, "publish", path, "--state", w.state("peer")}, known...)})
	return err
}

func (w *world) stop() error {
	var err error
	for i := len(w.daemons) - 1; i >= 0; i-- {
		err = errors.Join(err, w.daemons[i].Stop())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// usage is what each daemon has used.
func (w *world) usage() ([]proc.Usage, error) {
	uses := make([]proc.Usage, len(w.daemons))
	for i, d := range w.daemons {
		var err error
		if uses[i], err = d.Usage(); err != nil {
			return nil, err
		}
	}
	return uses, nil
}
