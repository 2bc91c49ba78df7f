package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/tests/script"
	"shoal/wire"
	"shoal/wire/wiretest"
)

const (
	trickleCount = 2000
	trickleEvery = 50 * time.Millisecond // a byte of each connection
)

// A drop of poison: what one connection is to say, byte by byte, and the connection on which that begins now.
type poison func(ctx context.Context, t *targets, name string) (net.Conn, []byte, error)

// playTrickle opens connections that say what p does, a byte at a time, and begin anew when they are closed; so many in a
// second, 0 for as many as can be.
func playTrickle(p poison, rate int) role {
	return func(ctx context.Context, t *targets, which []string, n *counts, b begun) error {
		var next atomic.Int64
		t.crowd(ctx, trickleCount, rate, n, b, func(ctx context.Context, opened func()) error {
			nc, text, err := p(ctx, t, which[int(next.Add(1))%len(which)])
			if err != nil {
				return err
			}
			defer drop(nc)
			defer context.AfterFunc(ctx, func() { drop(nc) })()
			opened()
			written, _ := script.Trickle(ctx, nc, text, trickleEvery) // until the other side has had enough
			n.written.Add(int64(written))
			return nil
		})
		return nil
	}
}

// bare opens a connection on which text is to be said.
func (t *targets) bare(ctx context.Context, name string, text []byte) (net.Conn, []byte, error) {
	address, _ := t.address(name)
	nc, err := t.attackFrom(ctx, "tcp", address)
	return nc, text, err
}

// clientHello is the first record of TLS.
func clientHello() []byte {
	a, b := wiretest.Pipe()
	go func() {
		_ = tls.Client(a, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{wire.ALPN}, InsecureSkipVerify: true}).Handshake()
	}()
	record := make([]byte, 16<<10)
	n, _ := b.Read(record)
	b.Close()
	return record[:n]
}

// hidden trickles in TLS.
func hidden(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	return t.bare(ctx, name, clientHello())
}

// greeting trickles in HELLO.
func greeting(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	address, service := t.address(name)
	tc, err := t.secure(ctx, address)
	return tc, hello(service), err
}

// body trickles in the body of a frame, of a device that nobody knows.
func body(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	address, service := t.address(name)
	e, err := t.strange(ctx, address, service)
	if err != nil {
		return nil, nil, err
	}
	var frame []byte
	if service == wire.ServiceServer {
		frame = wire.AppendRequest(nil, wire.KindPublish, 9, &wire.Publish{Group: shoal.Public, Name: "x", Head: make([]byte, shoal.MaxHead)})
		binary.BigEndian.PutUint32(frame, 73728) // as long as it may be
	} else {
		frame = wire.AppendRequest(nil, wire.KindJoin, 9, &wire.Join{Ticket: make([]byte, 4000)})
	}
	return e.Conn.Conn, frame, nil
}

// marks trickles in the marks of RPC records: each announces all that a record may have.
func marks(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	return t.bare(ctx, name, append([]byte{0x80, 0x08, 0, 0}, make([]byte, 4000)...))
}

// header trickles in a header of HTTP.
func header(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	return t.bare(ctx, name, []byte("POST /enrichment HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 4000)))
}

// envelope trickles in the body of a SOAP call.
func envelope(ctx context.Context, t *targets, name string) (net.Conn, []byte, error) {
	nc, text, err := t.bare(ctx, name, []byte("<"+strings.Repeat("x", 4000)))
	if err == nil {
		_, err = fmt.Fprintf(nc, "POST /enrichment HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000000\r\n\r\n")
	}
	return nc, text, err
}
