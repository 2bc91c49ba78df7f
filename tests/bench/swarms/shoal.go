package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal/client"
	"shoal/server"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

const (
	user        = "bench"
	password    = "correct horse battery staple"
	stepTimeout = 5 * time.Minute // for one publish
)

// swarm is a server and the peers of one user's devices.
type swarm struct {
	shoal   string
	dir     string   // logs and states
	flags   []string // of every command
	server  *proc.Daemon
	at      string // the server's address
	realm   string // its fingerprint
	peers   []*proc.Daemon
	players []*proc.Daemon // of scripted roles
}

// startSwarm starts a server and makes devices with these names. The caller must call stop.
func startSwarm(ctx context.Context, b *report.Bench, dir string, on machine, devices []string, flags ...string) (_ *swarm, err error) {
	s := &swarm{shoal: b.Shoal, dir: dir, flags: flags}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting a swarm: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	var event struct{ Address, Realm string }
	s.server, err = s.daemon(ctx, on, "server", &event, "server", "--listen", on.address+":0")
	if err != nil {
		return nil, err
	}
	s.at, s.realm = event.Address, event.Realm
	if err := server.CreateUser(ctx, s.state(), server.Etcd{}, user, []byte(password), zerolog.Nop()); err != nil {
		return nil, err
	}
	return s, s.enrol(ctx, devices)
}

// state is the server's folder.
func (s *swarm) state() string { return filepath.Join(s.dir, "server") }

// enrol makes devices those of the user, as whoever runs the server does it where no password may be sent.
func (s *swarm) enrol(ctx context.Context, devices []string) error {
	for _, name := range devices {
		device, err := client.Device(filepath.Join(s.dir, name))
		if err == nil {
			err = server.AddDevice(ctx, s.state(), server.Etcd{}, user, device, name, zerolog.Nop())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// daemon starts a daemon and waits for its first event, which says that it is ready.
func (s *swarm) daemon(ctx context.Context, on machine, name string, event any, args ...string) (*proc.Daemon, error) {
	lines := proc.NewLines()
	d, err := proc.Start(ctx, s.dir, name, s.command(on, name, args...), lines)
	if err != nil {
		return nil, err
	}
	return d, d.Ready(ctx, lines, event)
}

// command is the shoal command with the state of the named device.
func (s *swarm) command(on machine, device string, args ...string) proc.Command {
	line := append([]string{s.shoal}, args...)
	line = append(line, "--json", "--state", filepath.Join(s.dir, device))
	return on.command(append(line, s.flags...)...)
}

func (s *swarm) client(on machine, device string, args ...string) proc.Command {
	return s.command(on, device, append(args, "--server", s.at, "--pin", s.realm)...)
}

// peer starts a device's peer.
func (s *swarm) peer(ctx context.Context, on machine, device string) (*proc.Daemon, error) {
	var event struct{ Address string }
	d, err := s.daemon(ctx, on, device, &event, "peer", "--listen", on.address+":0", "--server", s.at, "--pin", s.realm)
	if err == nil {
		s.peers = append(s.peers, d)
	}
	return d, err
}

// publish hands a file to a device's running peer.
func (s *swarm) publish(ctx context.Context, on machine, device, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("not finished after %v", stepTimeout))
	defer cancel()
	_, _, err := proc.Run(ctx, s.client(on, device, "publish", path))
	return err
}

// get is the command that fetches the file to path.
func (s *swarm) get(on machine, device, path string) proc.Command {
	return s.client(on, device, "get", fileName, "-o", path)
}

// usage is what the peers have used together: the sum of their CPU time and the largest of their peaks; with the server's
// CPU time, but without its memory.
func (s *swarm) usage() (proc.Usage, error) {
	use, err := together(s.peers)
	if err != nil {
		return proc.Usage{}, err
	}
	server, err := s.server.Usage()
	use.CPU += server.CPU
	return use, err
}

func (s *swarm) stop() error {
	err := errors.Join(stopAll(s.players), stopAll(s.peers))
	if s.server != nil {
		err = errors.Join(err, s.server.Stop())
	}
	return err
}

// together is the sum of the daemons' CPU time and the largest of their peaks.
func together(daemons []*proc.Daemon) (sum proc.Usage, err error) {
	for _, d := range daemons {
		use, err := d.Usage()
		if err != nil {
			return proc.Usage{}, err
		}
		sum.CPU += use.CPU
		sum.Peak = max(sum.Peak, use.Peak)
	}
	return sum, nil
}

func stopAll(daemons []*proc.Daemon) error {
	var err error
	for _, d := range daemons {
		err = errors.Join(err, d.Stop())
	}
	return err
}

// gotten is the last event of a get that succeeded.
type gotten struct {
	Event   string
	Sources []struct {
		Device    string
		Connected bool
		Bytes     int64
	}
}

// lastEvent decodes the last of the events that a command printed.
func lastEvent(stdout []byte, event any) error {
	lines := bytes.Split(bytes.TrimSpace(stdout), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], event); err != nil {
		return fmt.Errorf("a command printed %q, no event: %w", lines[len(lines)-1], err)
	}
	return nil
}
