package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/rpclog"
	"shoal/wire"
)

// targets is all that attackers and honest clients know of the daemons.
type targets struct {
	Server, Realm string
	Peer          string
	Log, LogKey   string // the address, and the path of the key
	Soap          string // the URL
	SoapAddress   string
	State         string // the folder with the key of a user's device
	Name          string // of the published file
	File          shoal.FileID
	Size          int64
	Sources       int // how many addresses an attacker comes from; 0 for that of the honest
	Most          int // connections that an attacker keeps open; 0 for as many as its attack takes

	key    *identity.Key // the device's
	realm  shoal.RealmKey
	logKey *rpclog.Key
}

// save writes them to a file, for other processes.
func (t *targets) save(path string) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func loadTargets(path string) (*targets, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what is to be attacked: %w", err)
	}
	t := new(targets)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("reading what is to be attacked: %w", err)
	}
	return t, t.open()
}

// open loads the keys.
func (t *targets) open() (err error) {
	if t.key, err = identity.LoadKey(filepath.Join(t.State, "device.key")); err != nil {
		return err
	}
	if t.logKey, err = rpclog.LoadKey(t.LogKey); err != nil {
		return err
	}
	t.realm, err = shoal.ParseRealmKey(t.Realm)
	return err
}

func (t *targets) swarm() shoal.Swarm {
	return shoal.Swarm{Group: shoal.Public, Object: shoal.Object{ID: t.File, Size: t.Size}}
}

// attackFrom connects to an address from one of an attacker's own.
func (t *targets) attackFrom(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if t.Sources > 0 {
		n := 2 + rand.IntN(t.Sources)
		ip := net.IPv4(127, 0, byte(n>>8), byte(n))
		if d.LocalAddr = (&net.TCPAddr{IP: ip}); network == "udp" {
			d.LocalAddr = &net.UDPAddr{IP: ip}
		}
	}
	return d.DialContext(ctx, network, address)
}

// overTLS is as clients have it; peers' bulk buffers are left out.
var overTLS = identity.Transport{Security: wire.TLS}

// asker is one connection after its handshake. It is for one goroutine.
type asker struct {
	*identity.Established
	id uint32 // of the last request
}

// session opens a connection to the server as the user's device.
func (t *targets) session(ctx context.Context) (*asker, error) {
	return connect(ctx, t.key, wire.ServiceServer, t.Server, func(r *wire.HelloReply) error {
		return identity.VerifyServer(r.Certificate, t.realm, r.Identity, time.Now())
	})
}

// join opens a connection to the peer, and the swarm of the file.
func (t *targets) join(ctx context.Context, ticket []byte) (*asker, uint32, error) {
	a, err := connect(ctx, t.key, wire.ServicePeer, t.Peer, func(*wire.HelloReply) error { return nil })
	if err != nil {
		return nil, 0, err
	}
	var joined wire.JoinReply
	if err := a.ask(wire.KindJoin, &wire.Join{Swarm: t.swarm(), Ticket: ticket, Picky: true}, &joined); err != nil {
		return nil, 0, errors.Join(err, a.Close())
	}
	return a, joined.Handle, nil
}

func connect(ctx context.Context, key *identity.Key, service wire.Service, address string, accept func(*wire.HelloReply) error) (*asker, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	e, err := identity.Initiator{Key: key, Wanted: service, Transport: overTLS, Accept: accept}.Open(ctx, nc)
	if err != nil {
		return nil, err
	}
	return &asker{Established: e, id: 2}, nil
}

// ticket asks the server for one of the group public.
func (a *asker) ticket() ([]byte, error) {
	var reply wire.TicketReply
	err := a.ask(wire.KindTicket, &wire.TicketRequest{Group: shoal.Public}, &reply)
	return reply.Ticket, err
}

// lookUp asks for the published file, or lists the group.
func (t *targets) lookUp(a *asker, list bool) error {
	if list {
		return a.ask(wire.KindList, &wire.List{Group: shoal.Public, Limit: 100}, new(wire.ListReply))
	}
	var reply wire.LookupReply
	err := a.ask(wire.KindLookup, &wire.Lookup{Group: shoal.Public, Name: shoal.Name(t.Name)}, &reply)
	if err == nil && reply.Content.ID != t.File {
		err = fmt.Errorf("LOOKUP of %q is answered by %v", t.Name, reply.Content.ID)
	}
	return err
}

const blockSize = 16 << 10 // bytes

// block asks for a block of the file.
func (t *targets) block(a *asker, handle uint32) error {
	a.id++
	piece := uint32(rand.IntN(t.swarm().Object.Pieces()))
	m := &wire.Request{Handle: handle, Piece: piece, Length: blockSize}
	f, err := a.exchange(wire.KindRequest, m)
	switch {
	case err != nil:
		return err
	case !f.IsPiece() || f.Data != blockSize:
		return fmt.Errorf("%v in place of a block", f.Header)
	}
	return a.SkipData()
}

// ask sends a request and waits for the reply, which it decodes. The error is the other side's where that answered one.
func (a *asker) ask(kind wire.Kind, m, reply wire.Message) error {
	a.id++
	f, err := a.exchange(kind, m)
	if err != nil {
		return err
	}
	return wire.Decode(f.Body, reply)
}

// patience is how long an honest client waits for anything.
const patience = 5 * time.Second

func (a *asker) exchange(kind wire.Kind, m wire.Message) (f wire.Frame, err error) {
	if err = a.SetDeadline(time.Now().Add(patience)); err == nil {
		_, err = a.Write(wire.AppendRequest(nil, kind, a.id, m))
	}
	if err != nil {
		return f, fmt.Errorf("sending %v: %w", kind, err)
	}
	for f, err = a.ReadFrame(); err == nil && f.ID == 0 && f.Kind != wire.KindBye; {
		f, err = a.ReadFrame() // past events
	}
	switch {
	case err != nil:
		return f, fmt.Errorf("waiting for the reply to %v: %w", kind, err)
	case f.Kind != kind || f.ID != a.id || !f.IsReply():
		return f, fmt.Errorf("%v in place of the reply to %v %d", f.Header, kind, a.id)
	case f.Flags&wire.FlagError != 0:
		var failed wire.ErrorReply
		if err := wire.Decode(f.Body, &failed); err != nil {
			return f, err
		}
		return f, fmt.Errorf("%v: %w", kind, failed.Err())
	}
	return f, nil
}
