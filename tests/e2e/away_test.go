package e2e

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	peerlink "shoal/client/link"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// knocker has the key and a ticket of a device, and asks a source with them to be let into a swarm.
type knocker struct {
	key            *identity.Key
	transport      identity.Transport
	source         string
	join           wire.Join
	served, denied atomic.Int64
}

// knocker takes a ticket for the device with that state, which lasts for minutes.
func (l *lab) knocker(state string, source *peer, o shoal.Object) *knocker {
	l.Helper()
	key, err := identity.LoadKey(filepath.Join(l.path("state", state), "device.key"))
	if err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.Context())
	t := tracker.New(tracker.Config{
		Server: l.address, Key: key, Transport: l.transport(), Log: zerolog.Nop(),
		Accept: func(*wire.HelloReply) error { return nil },
	})
	var run sync.WaitGroup
	run.Go(func() { _ = t.Run(ctx) }) // what fails, fails Ticket
	ticket, err := t.Ticket(ctx, "lab")
	cancel()
	run.Wait()
	if err != nil {
		l.Fatal(err)
	}
	return &knocker{key: key, transport: l.transport(), source: source.address, join: wire.Join{Swarm: shoal.Swarm{Group: "lab", Object: o}, Ticket: ticket}}
}

// knock asks once. The error has code Unreachable where nobody answers.
func (k *knocker) knock(ctx context.Context) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", k.source)
	if err != nil {
		return shoal.Errorf(shoal.Unreachable, "%w", err)
	}
	e, err := identity.Initiator{
		Key: k.key, Wanted: wire.ServicePeer, Transport: k.transport,
		Accept: func(*wire.HelloReply) error { return nil },
	}.Open(ctx, nc)
	if err != nil {
		return shoal.Errorf(shoal.Unreachable, "%w", err)
	}
	conn := peerlink.New(e)
	var run sync.WaitGroup
	run.Go(func() { _ = conn.Run(ctx, func(wire.Frame) error { return nil }) }) // what fails, fails Call
	defer run.Wait()
	defer conn.Close(errors.New("enough"))
	return conn.Call(ctx, wire.KindJoin, &k.join, &wire.JoinReply{})
}

// insist knocks until stop is called.
func (k *knocker) insist(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		for ctx.Err() == nil {
			switch err := k.knock(ctx); {
			case err == nil:
				k.served.Add(1)
			case errors.Is(err, shoal.NotFound):
				k.denied.Add(1)
			case !errors.Is(err, shoal.Unreachable) && ctx.Err() == nil:
				t.Error(err)
			}
		}
	})
	return func() { cancel(); run.Wait() }
}

// TestSourceWasAway takes away what allows a transfer while the only source does not run. Started again, the source
// learns of that before it serves anybody.
func TestSourceWasAway(t *testing.T) {
	for name, do := range map[string]func(l *lab){
		"when a user was removed":        func(l *lab) { l.shoal("ann-other", "group", "remove", "lab", "bob").ok() },
		"when a device was revoked":      func(l *lab) { l.shoal("bob", "logout").ok() },
		"when an object was unpublished": func(l *lab) { l.shoal("ann-other", "unpublish", "lab/file").ok() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.member("bob", "bob")
			source := l.peer("ann")
			content := random(mib, 91)
			published := l.share(source, "file", content)
			id, err := shoal.ParseFileID(published.File)
			if err != nil {
				t.Fatal(err)
			}
			k := l.knocker("bob", source, shoal.Object{ID: id, Size: published.Size})
			if err := k.knock(t.Context()); err != nil {
				t.Fatalf("before anything has changed: %v", err)
			}
			source.kill()
			do(l)
			stop := k.insist(t)
			defer stop()
			l.peer("ann", "--listen", source.address)
			since := k.denied.Load()
			eventually(t, func() error {
				if k.denied.Load() < since+20 && k.served.Load() == 0 {
					return errNever
				}
				return nil
			})
			if n := k.served.Load(); n > 0 {
				t.Errorf("the source served %d times what it must not serve any more", n)
			}
		})
	}
}

// TestSourceWasAwayWithServer starts a source again while the server cannot be reached: then it serves who has a ticket
// that holds.
func TestSourceWasAwayWithServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.member("bob", "bob")
	source := l.peer("ann")
	content := random(mib, 92)
	published := l.share(source, "file", content)
	id, err := shoal.ParseFileID(published.File)
	if err != nil {
		t.Fatal(err)
	}
	k := l.knocker("bob", source, shoal.Object{ID: id, Size: published.Size})
	source.kill()
	l.server.kill()
	l.peer("ann", "--listen", source.address)
	begin := time.Now()
	eventually(t, func() error { return k.knock(t.Context()) })
	t.Logf("served after %v", time.Since(begin))
}
