package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// roles are what this program does as a process that a figure starts, by its first argument.
var roles = map[string]func(args []string) error{"liar": playLiar, "witness": playWitness}

// player is a device that speaks to the server and to peers frame by frame.
type player struct {
	state, server, pin, host string
	path                     string // of the file
	key                      *identity.Key
	tracker                  *tracker.Tracker
	swarm                    shoal.Swarm
	manifest                 *shoal.Manifest
	file                     *os.File
}

func (p *player) flags(f *flag.FlagSet) {
	f.StringVar(&p.state, "state", "", "the folder with the device's key")
	f.StringVar(&p.server, "server", "", "the server's HOST:PORT")
	f.StringVar(&p.pin, "pin", "", "the realm's fingerprint")
	f.StringVar(&p.host, "host", "", "the IP address to listen on")
	f.StringVar(&p.path, "file", "", "the file")
}

// line is the command line of a player of a swarm.
func (s *swarm) line(on machine, role, device, file string, args ...string) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return append([]string{
		self, role, "-state", filepath.Join(s.dir, device), "-server", s.at, "-pin", s.realm, "-host", on.address, "-file", file,
	}, args...), nil
}

// open reads the file, and prepares the session with the server. at is where this device serves, nil if nowhere.
func (p *player) open(ctx context.Context, at net.Addr) error {
	realm, err := shoal.ParseRealmKey(p.pin)
	if err != nil {
		return err
	}
	if p.key, err = identity.LoadKey(filepath.Join(p.state, "device.key")); err != nil {
		return err
	}
	if p.file, err = os.Open(p.path); err != nil {
		return fmt.Errorf("opening the file: %w", err)
	}
	info, err := p.file.Stat()
	if err != nil {
		return fmt.Errorf("opening the file: %w", err)
	}
	p.swarm.Group = shoal.Public
	if p.swarm.Object, p.manifest, err = shoal.HashFile(ctx, p.file, info.Size(), nil); err != nil {
		return err
	}
	config := tracker.Config{
		Server: p.server, Key: p.key, Transport: overTLS, Log: zerolog.Nop(),
		Accept: func(r *wire.HelloReply) error {
			return identity.VerifyServer(r.Certificate, realm, r.Identity, time.Now())
		},
	}
	if at != nil {
		address, err := netip.ParseAddrPort(at.String())
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		config.Addresses = func(netip.Addr) []identity.Candidate {
			return []identity.Candidate{{Security: wire.TLS, Addr: address}}
		}
	}
	p.tracker = tracker.New(config)
	return p.tracker.Connect(ctx)
}

var overTLS = identity.Transport{Security: wire.TLS, Buffer: identity.BulkBuffer}

// bytes are those of a block.
func (p *player) bytes(piece, begin, length uint32) ([]byte, error) {
	offset, _ := p.swarm.Object.PieceRange(int(piece))
	data := make([]byte, length)
	_, err := p.file.ReadAt(data, offset+int64(begin))
	return data, err
}
