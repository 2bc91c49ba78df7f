package main

import (
	"context"
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
	peers       = 4
	stepTimeout = 3 * time.Minute // for one publish or get
)

// A swarm is a server and four peers of one shoal, all on this machine.
type swarm struct {
	shoal     string
	dir       string // logs and states
	plaintext bool
	address   string // of the server
	realm     string // its fingerprint
	server    *proc.Daemon
	peers     []*proc.Daemon
}

// startSwarm starts a server and peers, peer i with the folder folders[i]. The caller must call stop.
func startSwarm(ctx context.Context, b *report.Bench, name string, plaintext bool, folders []string) (_ *swarm, err error) {
	s := &swarm{shoal: b.Shoal, dir: filepath.Join(b.Dir, name), plaintext: plaintext}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("starting a swarm: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	var event struct{ Event, Address, Realm string }
	s.server, err = s.daemon(ctx, "server", &event, "server", "--listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address, s.realm = event.Address, event.Realm
	if err := s.enrol(ctx, len(folders)); err != nil {
		return nil, err
	}
	for i, folder := range folders {
		peer, err := s.daemon(ctx, peerName(i), &event, "peer", "--listen", "127.0.0.1:0", "--dir", folder,
			"--server", s.address, "--pin", s.realm)
		if err != nil {
			return nil, err
		}
		s.peers = append(s.peers, peer)
	}
	return s, nil
}

// fetcher is the device that fetches.
const fetcher = "fetcher"

// enrol makes the devices of a swarm those of a user, as whoever runs the server does it where no password may be sent.
func (s *swarm) enrol(ctx context.Context, peers int) error {
	const user = "bench"
	state := filepath.Join(s.dir, "server")
	if err := server.CreateUser(ctx, state, server.Etcd{}, user, []byte("correct horse"), zerolog.Nop()); err != nil {
		return err
	}
	names := []string{fetcher}
	for i := range peers {
		names = append(names, peerName(i))
	}
	for _, name := range names {
		device, err := client.Device(filepath.Join(s.dir, name))
		if err == nil {
			err = server.AddDevice(ctx, state, server.Etcd{}, user, device, name, zerolog.Nop())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func peerName(i int) string { return fmt.Sprintf("peer%d", i+1) }

// daemon starts a daemon and waits for its first event, which says that it is ready.
func (s *swarm) daemon(ctx context.Context, name string, event any, args ...string) (*proc.Daemon, error) {
	lines := proc.NewLines()
	d, err := proc.Start(ctx, s.dir, name, s.command(name, args...), lines)
	if err != nil {
		return nil, err
	}
	if err := d.Ready(ctx, lines, event); err != nil {
		return nil, err
	}
	return d, nil
}

// command returns the shoal command with the state of the named device.
func (s *swarm) command(device string, args ...string) proc.Command {
	line := append([]string{s.shoal}, args...)
	line = append(line, "--json", "--state", filepath.Join(s.dir, device))
	if s.plaintext {
		line = append(line, "--plaintext")
	}
	return proc.Command{Args: line}
}

// client runs one client command as the named device.
func (s *swarm) client(ctx context.Context, device string, args ...string) (proc.Usage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("not finished after %v", stepTimeout))
	defer cancel()
	args = append(args, "--server", s.address, "--pin", s.realm)
	use, _, err := proc.Run(ctx, s.command(device, args...))
	return use, err
}

// publish hands a file to the running peer i.
func (s *swarm) publish(ctx context.Context, i int, path string) (proc.Usage, error) {
	return s.client(ctx, peerName(i), "publish", path)
}

// get fetches a file to path as the named device.
func (s *swarm) get(ctx context.Context, device, name, path string) (proc.Usage, error) {
	return s.client(ctx, device, "get", name, "-o", path)
}

// daemons returns the peers' usage together: the sum of their CPU time and the largest of their peaks; with the
// server's CPU time, but without its memory.
func (s *swarm) daemons() (proc.Usage, error) {
	use, err := together(s.peers)
	if err != nil {
		return proc.Usage{}, err
	}
	server, err := s.server.Usage()
	use.CPU += server.CPU
	return use, err
}

func (s *swarm) stop() error {
	var err error
	for _, d := range s.peers {
		err = errors.Join(err, d.Stop())
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Stop())
	}
	return err
}

// together returns the sum of the daemons' CPU time and the largest of their peaks.
func together(daemons []*proc.Daemon) (proc.Usage, error) {
	var sum proc.Usage
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

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func mibs(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/mib) }
