// Package client is what a person's machine runs: it publishes, lists and gets files (Client), and keeps serving them in
// the background (Daemon, reached by commands through a Control socket). Below it: tracker, the session with the server;
// swarm, the engine; peer, the data plane; store, the disk; queue, what a Daemon is to fetch.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/link"
	"shoal/client/peer"
	"shoal/client/store"
	"shoal/client/tickets"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// Config is what a Client starts from.
type Config struct {
	Server    string          // HOST:PORT; "" for the one server that is pinned
	State     string          // the folder with this device's key and what it remembers; made if missing
	Pin       *shoal.RealmKey // the realm to trust at the first contact
	Transport identity.Transport
	Listen    string // HOST:PORT to serve at; "" for any free port
	// Confirm asks a person at the first contact without Pin; nil where nobody can be asked. An error refuses.
	Confirm func(server string, realm shoal.RealmKey) error
	Log     zerolog.Logger
	// AtOnce is how many queued downloads a Daemon runs at a time; 0 for DefaultAtOnce.
	AtOnce int
	// Limits are those of the process, to begin with.
	Limits Rates
}

// Client is one process of a device: its key, its session with the server, and what it serves. Open makes it, Close ends
// all of it.
type Client struct {
	config  Config
	key     *identity.Key
	tracker *tracker.Tracker
	realm   *tickets.Realm
	keeper  *tickets.Keeper
	known   *peer.Exchange // who is in its swarms, from others; nil when it does not serve
	shelf   *peer.Shelf
	pool    *peer.Pool
	limits  peer.Limits
	buffers *store.Buffers                  // those of pool
	address net.Addr                        // where it serves; nil when it does not
	ready   chan struct{}                   // closed when connections of peers may be accepted
	shown   atomic.Pointer[wire.HelloReply] // what the server proved itself by

	background context.Context // ends with Close
	cancel     context.CancelFunc
	run        sync.WaitGroup // the tracker and the peer server
	fatal      chan error     // capacity 1: why the tracker cannot go on

	// gone is called with what must not be served any more, from any goroutine; nil to ignore that. Set before the first
	// connection.
	gone func(shoal.Swarm, error)
	gets gets
}

// Serving says whether a Client accepts connections of peers.
type Serving bool

// A Client that fetches or publishes serves; one that only asks does not.
const (
	Silent Serving = false
	Serves Serving = true
)

// Open prepares a Client and connects it to its server. changed is called when a file that is served turned out to be
// no longer what was published; nil to ignore that. With the code Unreachable the client is there all the same, and
// goes on trying: close it, or go on without the server for now.
func Open(ctx context.Context, c Config, serving Serving, changed func(shoal.Swarm, error)) (*Client, error) {
	cl, err := open(ctx, c, serving, changed, nil)
	if cl != nil {
		close(cl.ready)
	}
	return cl, err
}

// open is Open for who wants to know what must not be served any more, too. No peer is served before ready is closed.
func open(ctx context.Context, c Config, serving Serving, changed, gone func(shoal.Swarm, error)) (*Client, error) {
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return nil, fmt.Errorf("making the state folder: %w", err)
	}
	pins := identity.OpenPins(filepath.Join(c.State, "known_realms"))
	var err error
	if c.Server, err = chooseServer(c, pins); err != nil {
		return nil, err
	}
	key, err := identity.LoadKey(filepath.Join(c.State, deviceKey))
	if err != nil {
		return nil, err
	}
	bulk, buffers := bulkOf(c.Transport), new(store.Buffers)
	cl := &Client{
		config: c, key: key, shelf: peer.NewShelf(), fatal: make(chan error, 1), gone: gone,
		ready: make(chan struct{}),
		pool:  peer.NewPool(key, bulk, link.TCP(bulk), buffers, c.Log), buffers: buffers,
	}
	RateChange{&c.Limits.Up, &c.Limits.Down}.apply(&cl.limits)
	cl.pool.Down = &cl.limits.Down
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cl.background, cl.cancel = runCtx, cancel
	err = cl.start(ctx, runCtx, pins, serving, changed)
	if err != nil && !errors.Is(err, shoal.Unreachable) {
		cl.Close()
		return nil, err
	}
	cl.run.Go(func() {
		if err := cl.tracker.Run(runCtx); err != nil {
			cl.fatal <- err
		}
	})
	return cl, err
}

// bulkOf is the transport for connections that carry pieces.
func bulkOf(t identity.Transport) identity.Transport {
	t.Buffer = identity.BulkBuffer
	return t
}

// start listens for peers, until run ends, if the Client serves, and connects to the server.
func (c *Client) start(ctx, run context.Context, pins identity.Pins, serving Serving, changed func(shoal.Swarm, error)) error {
	trust := &trust{
		pins: pins, server: c.config.Server, given: c.config.Pin,
		revoked: identity.OpenRevocations(filepath.Join(c.config.State, "revoked_keys")),
	}
	if err := c.followRealm(trust); err != nil {
		return err
	}
	config := tracker.Config{
		Server: c.config.Server, Key: c.key, Transport: c.config.Transport, Events: c.events(run, trust), Log: c.config.Log,
		Accept: func(reply *wire.HelloReply) error {
			err := trust.accept(reply)
			if err == nil {
				c.shown.Store(&wire.HelloReply{Identity: reply.Identity, Certificate: bytes.Clone(reply.Certificate)})
			}
			return err
		},
	}
	if !serving {
		c.tracker = tracker.New(config)
		return c.connect(ctx, trust)
	}
	l, err := listen(c.config)
	if err != nil {
		return err
	}
	c.address = l.Addr()
	config.Addresses = addressesOf(l.Addr(), c.config.Transport.Security)
	c.tracker = tracker.New(config)
	c.known = peer.NewExchange(c.Device(), c.config.Transport.Security, c.realm, c.keeper, c.tracker.Candidates)
	server := peer.Server{
		Key: c.key, Transport: bulkOf(c.config.Transport), Shelf: c.shelf, Realm: c.realm, Alone: c.alone, Changed: changed,
		Up: &c.limits.Up, Exchange: c.known, Log: c.config.Log,
	}
	c.run.Go(func() {
		select {
		case <-c.ready:
		case <-run.Done():
		}
		if err := server.Run(run, l); err != nil {
			c.config.Log.Error().Err(err).Msg("serving peers ended")
		}
	})
	return c.connect(ctx, trust)
}

// alone reports whether no other process is known to serve all of an object.
func (c *Client) alone(ctx context.Context, swarm shoal.Swarm) bool {
	found, err := c.tracker.LookupFile(ctx, swarm.Group, swarm.Object.ID)
	return err == nil && found.Whole <= 1
}

// connect opens the session with the server, and asks whom to trust where that is not known.
func (c *Client) connect(ctx context.Context, trust *trust) error {
	err := c.tracker.Connect(ctx)
	var first *FirstContactError
	if !errors.As(err, &first) || c.config.Confirm == nil {
		return err
	}
	if err := c.config.Confirm(first.Server, first.Realm); err != nil {
		return err
	}
	trust.given = &first.Realm
	return c.tracker.Connect(ctx)
}

// Device is this device's public key.
func (c *Client) Device() shoal.DeviceID { return c.key.Device() }

// Server is the address of the server.
func (c *Client) Server() string { return c.config.Server }

// Close ends all connections and waits until they have.
func (c *Client) Close() {
	c.cancel()
	c.run.Wait()
	c.pool.Wait()
	if c.known != nil {
		c.known.Close()
	}
	c.keeper.Wait()
}

// List returns what is published in the group, in the order of the names' bytes.
func (c *Client) List(ctx context.Context, group shoal.Group) ([]wire.Entry, error) {
	return c.tracker.List(ctx, group)
}

// Unpublish takes a name away. The error has code NotFound where there is none.
func (c *Client) Unpublish(ctx context.Context, group shoal.Group, name shoal.Name) error {
	found, err := c.tracker.LookupName(ctx, group, name)
	if err != nil {
		return err
	}
	return c.tracker.Unpublish(ctx, group, name, found.Object.ID)
}

// StopShare ends the offers of all devices of this device's user of what name stands for. The error has code NotFound
// where there is nothing, or this user shares nothing of it.
func (c *Client) StopShare(ctx context.Context, group shoal.Group, name shoal.Name) error {
	found, err := c.tracker.LookupName(ctx, group, name)
	if err != nil {
		return err
	}
	return c.tracker.StopShare(ctx, group, name, found.Object.ID)
}

// Session is the conversation with the server, for what needs nothing of the Client besides.
func (c *Client) Session() *tracker.Tracker { return c.tracker }

// Publish makes file stand for name in the group and serves it for as long as the Client is open. It returns when the
// server knows. mirrors are where web servers have the file.
func (c *Client) Publish(ctx context.Context, group shoal.Group, name shoal.Name, file *store.File, sampling Sampling, mirrors ...shoal.Mirror) error {
	var sample tracker.Sample
	if sampling == WithSample {
		sample = func() []byte { return c.head(file) }
	}
	if err := c.tracker.PublishAt(ctx, mirrors, group, name, file.Object(), file.Manifest(), sample); err != nil {
		return err
	}
	swarm := shoal.Swarm{Group: group, Object: file.Object()}
	c.shelf.Put(swarm, file)
	c.tracker.Offer(swarm, nil)
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second,
		shoal.Errorf(shoal.Unreachable, "the server at %s did not take the announcement; is it running?", c.config.Server))
	defer cancel()
	return c.tracker.Announced(ctx)
}

// Info finds what is published under a name or FileID, without fetching it. The error has code NotFound where there is
// nothing.
func (c *Client) Info(ctx context.Context, group shoal.Group, target string) (*tracker.Found, error) {
	return c.find(ctx, Get{Group: group, Target: target})
}

// chooseServer is the server that was named, or the only one that is pinned.
func chooseServer(c Config, pins identity.Pins) (string, error) {
	if c.Server != "" {
		if _, _, err := net.SplitHostPort(c.Server); err != nil {
			return "", shoal.Errorf(shoal.BadRequest, "the server must be given as HOST:PORT: %w", err)
		}
		return c.Server, nil
	}
	known, err := pins.All()
	if err != nil {
		return "", err
	}
	if len(known) != 1 {
		return "", shoal.Errorf(shoal.BadRequest, "which server? %d are known here; name one with --server HOST:PORT or SHOAL_SERVER", len(known))
	}
	return known[0].Server, nil
}
