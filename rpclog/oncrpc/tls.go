package oncrpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vmware/go-nfs-client/nfs/rpc"

	"shoal"
)

// ALPN is the name of RPC in TLS (RFC 9289 section 5).
const ALPN = "sunrpc"

// withALPN returns c with RPC's name in it.
func withALPN(c *tls.Config) *tls.Config {
	if slices.Equal(c.NextProtos, []string{ALPN}) && c.MinVersion >= tls.VersionTLS13 {
		return c
	}
	c = c.Clone()
	c.NextProtos = []string{ALPN}
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	return c
}

// handshake completes TLS, whose other side must know what it is for.
func handshake(ctx context.Context, c *tls.Conn) error {
	if err := c.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("beginning TLS for RPC: %w", err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != ALPN {
		return shoal.Errorf(shoal.Unsupported, "beginning TLS for RPC: the other side speaks %q there instead of %q", got, ALPN)
	}
	return nil
}

// prefixed is a connection of which some bytes have been read into a buffer.
type prefixed struct {
	net.Conn
	left     int // bytes of the buffer that have not been taken
	buffered *bufio.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if p.left == 0 {
		p.buffered = nil
		return p.Conn.Read(b)
	}
	n, err := p.buffered.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// startTLS asks for TLS and begins it (RFC 9289 section 4.1), before there is any other call.
func (c *Client) startTLS(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	header := rpc.Header{Prog: c.target.Program, Vers: c.target.Version, Cred: rpc.Auth{Flavor: AuthTLS}}
	c.xid++
	record, err := appendCall(openRecord(nil), c.xid, header)
	if err == nil {
		err = closeRecord(record, 0, 0)
	}
	if err == nil {
		_, err = c.conn.Write(record)
	}
	if err != nil {
		return shoal.Errorf(shoal.Unreachable, "asking for TLS: %w", errors.Join(ctx.Err(), err))
	}
	in := newRecordReader(&source{conn: c.conn}, 4<<10)
	record, err = in.next(nil)
	var r reply
	if err == nil {
		r, err = parseReply(record)
	}
	switch {
	case err != nil:
		return shoal.Errorf(shoal.Unreachable, "asking for TLS: %w", errors.Join(ctx.Err(), err))
	case r.err != nil:
		return fmt.Errorf("%w (%w)", ErrNoTLS, r.err)
	case r.xid != c.xid || r.verifier != startTLS:
		return ErrNoTLS
	}
	config := withALPN(c.target.TLS)
	if host, _, err := net.SplitHostPort(c.target.Address); err == nil && config.ServerName == "" && !config.InsecureSkipVerify {
		config = config.Clone()
		config.ServerName = host
	}
	conn := tls.Client(&prefixed{c.raw, in.r.Buffered(), in.r}, config)
	if err := handshake(ctx, conn); err != nil {
		return err
	}
	if !stop() { // a deadline may stay
		return ctx.Err()
	}
	c.conn = conn
	return nil
}
