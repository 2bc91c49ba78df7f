package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"shoal/identity"
	"shoal/wire"
)

const (
	silent    = 10_000
	helloRate = 1000 // a second
	helloers  = 128  // at once
	stranger  = 12_000
	openers   = 64 // connections that are being opened at once
	buildUp   = 15 * time.Second
)

// address is where a target listens, and service what it is, where it speaks Shoal.
func (t *targets) address(name string) (string, wire.Service) {
	switch name {
	case "server":
		return t.Server, wire.ServiceServer
	case "peer":
		return t.Peer, wire.ServicePeer
	case "rpclog":
		return t.Log, 0
	}
	return t.SoapAddress, 0
}

// drop closes a connection at once, and leaves nothing of it in this machine's tables.
func drop(nc net.Conn) {
	if c, ok := nc.(*tls.Conn); ok {
		nc = c.NetConn()
	}
	if c, ok := nc.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	nc.Close()
}

// crowd keeps count connections open until ctx ends, or fewer where t says so: live is what becomes of each, and opens it; when
// that returns it begins anew, but no more than rate begin in a second; 0 for as many as can be. b is closed once all have
// been opened for the first time, or after a while.
func (t *targets) crowd(ctx context.Context, count, rate int, n *counts, b begun, live func(ctx context.Context, opened func()) error) {
	if t.Most > 0 {
		count = min(count, t.Most)
	}
	opening := make(chan struct{}, openers)
	var next atomic.Int64 // that may begin
	begin := time.Now()
	var first atomic.Int64
	full := make(chan struct{})
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			var once sync.Once
			for ctx.Err() == nil {
				select {
				case opening <- struct{}{}:
				case <-ctx.Done():
					return
				}
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(next.Add(1)) * time.Second / time.Duration(rate))))
				}
				release := sync.OnceFunc(func() { <-opening })
				err := live(ctx, func() {
					n.opened.Add(1)
					release()
					once.Do(func() {
						if first.Add(1) == int64(count) {
							close(full)
						}
					})
				})
				release()
				if err != nil && ctx.Err() == nil {
					n.failed.Add(1)
				}
			}
		})
	}
	select {
	case <-full:
	case <-time.After(buildUp):
	case <-ctx.Done():
	}
	close(b)
	all.Wait()
}

// playSilent opens connections and never says anything.
func playSilent(ctx context.Context, t *targets, which []string, n *counts, b begun) error {
	var next atomic.Int64
	t.crowd(ctx, silent, 0, n, b, func(ctx context.Context, opened func()) error {
		address, _ := t.address(which[int(next.Add(1))%len(which)])
		nc, err := t.attackFrom(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer drop(nc)
		defer context.AfterFunc(ctx, func() { drop(nc) })()
		opened()
		_, _ = nc.Read(make([]byte, 1)) // until the other side has enough
		return nil
	})
	return nil
}

// secure does TLS with whoever listens there.
func (t *targets) secure(ctx context.Context, address string) (*tls.Conn, error) {
	nc, err := t.attackFrom(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tc := tls.Client(nc, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{wire.ALPN}, InsecureSkipVerify: true})
	if err := tc.HandshakeContext(ctx); err != nil {
		drop(nc)
		return nil, err
	}
	return tc, nil
}

// hello is a good one of a device that nobody knows.
func hello(service wire.Service) []byte {
	m := wire.Hello{Version: wire.Version, Wanted: service, Secured: wire.TLS, Software: identity.Software}
	rand.Read(m.Random[:])
	m.Device = identity.NewKey().Device()
	return wire.AppendRequest(nil, wire.KindHello, 1, &m)
}

// playHellos does handshakes up to a proof that is wrong, so many a second.
func playHellos(ctx context.Context, t *targets, which []string, n *counts, b begun) error {
	close(b)
	var all sync.WaitGroup
	defer all.Wait()
	due := make(chan string)
	defer close(due)
	atOnce := helloers
	if t.Most > 0 {
		atOnce = min(atOnce, t.Most)
	}
	for range atOnce {
		all.Go(func() {
			for name := range due {
				n.opened.Add(1)
				if err := t.lie(ctx, name); err != nil && ctx.Err() == nil {
					n.failed.Add(1)
				}
			}
		})
	}
	begin := time.Now()
	for i := 0; ; i++ {
		select {
		case <-time.After(time.Until(begin.Add(time.Duration(i) * time.Second / helloRate))):
		case <-ctx.Done():
			return nil
		}
		select {
		case due <- which[i%len(which)]:
		case <-ctx.Done():
			return nil
		}
	}
}

// lie does a handshake with a wrong proof. That it is refused is no error.
func (t *targets) lie(ctx context.Context, name string) error {
	address, service := t.address(name)
	tc, err := t.secure(ctx, address)
	if err != nil {
		return err
	}
	defer drop(tc)
	defer context.AfterFunc(ctx, func() { drop(tc) })()
	var auth wire.Auth
	rand.Read(auth.Proof[:])
	if _, err := tc.Write(hello(service)); err != nil {
		return err
	}
	c := wire.NewConn(tc)
	if f, err := c.ReadFrame(); err != nil || f.Flags != wire.FlagReply {
		return errors.Join(err, fmt.Errorf("%v in place of the reply to HELLO", f.Header))
	}
	if _, err := c.Write(wire.AppendRequest(nil, wire.KindAuth, 2, &auth)); err != nil {
		return err
	}
	if f, err := c.ReadFrame(); err != nil || f.Kind != wire.KindBye {
		return errors.Join(err, fmt.Errorf("%v for a wrong proof", f.Header))
	}
	return nil
}

// playStrangers opens sessions as devices that nobody knows, and stays.
func playStrangers(ctx context.Context, t *targets, which []string, n *counts, b begun) error {
	var next atomic.Int64
	t.crowd(ctx, stranger, helloRate, n, b, func(ctx context.Context, opened func()) error {
		address, service := t.address(which[int(next.Add(1))%len(which)])
		e, err := t.strange(ctx, address, service)
		if err != nil {
			return err
		}
		defer drop(e.Conn.Conn)
		defer context.AfterFunc(ctx, func() { drop(e.Conn.Conn) })()
		opened()
		_, _ = e.Read(make([]byte, 1))
		return nil
	})
	return nil
}

// strange opens a session as a device that nobody knows.
func (t *targets) strange(ctx context.Context, address string, service wire.Service) (*identity.Established, error) {
	nc, err := t.attackFrom(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return identity.Initiator{
		Key: identity.NewKey(), Wanted: service, Transport: overTLS, Accept: func(*wire.HelloReply) error { return nil },
	}.Open(ctx, nc)
}

// playNoise sends random bytes to every port, and to that of the log service in datagrams as well.
func playNoise(ctx context.Context, t *targets, which []string, n *counts, b begun) error {
	close(b)
	var all sync.WaitGroup
	for _, name := range which {
		address, _ := t.address(name)
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := t.babble(ctx, n, "tcp", address, 1+mathrand.IntN(8)); err != nil {
						n.failed.Add(1)
					}
				}
			})
		}
	}
	all.Go(func() {
		for ctx.Err() == nil {
			if err := t.babble(ctx, n, "udp", t.Log, 1000); err != nil {
				n.failed.Add(1)
			}
		}
	})
	all.Wait()
	return nil
}

// babble opens a connection and writes so many times.
func (t *targets) babble(ctx context.Context, n *counts, network, address string, times int) error {
	nc, err := t.attackFrom(ctx, network, address)
	if err != nil {
		return err
	}
	defer drop(nc)
	n.opened.Add(1)
	noise := make([]byte, 1200)
	for range times {
		rand.Read(noise[:64])
		size := 1 + mathrand.IntN(len(noise))
		if _, err := nc.Write(noise[:size]); err != nil || ctx.Err() != nil {
			return nil // it has been closed, as it should be
		}
		n.written.Add(int64(size))
	}
	return nil
}
