package oncrpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/vmware/go-nfs-client/nfs/rpc"
	"github.com/vmware/go-nfs-client/nfs/xdr"

	"shoal"
)

// Target is the program to call, and where.
type Target struct {
	Network          string // tcp, udp or unix, as in package net; empty for tcp
	Address          string
	Program, Version uint32
	Sys              *AuthSys                                                             // sent with each call as AUTH_SYS; nil for AUTH_NONE
	TLS              *tls.Config                                                          // nil for plaintext; otherwise nothing is ever sent without TLS but the question for it. Not over UDP
	MaxReply         int                                                                  // bytes of a reply; 0 for 1 MiB
	Dial             func(ctx context.Context, network, address string) (net.Conn, error) // nil for a net.Dialer's
}

// Client calls one program over one connection, or by datagrams from one socket. All methods may be called concurrently.
// What ends a stream ends the Client: a connection that breaks, and a server that does not keep to RFC 5531. Calls after
// that fail at once, and Close is still to be called.
type Client struct {
	target Target
	raw    net.Conn // as dialled
	conn   net.Conn // raw, or TLS over it
	auth   rpc.Auth
	turn   chan struct{} // holds a token, which is with whoever writes to the stream
	done   chan struct{} // closed when the reader has ended

	mu      sync.Mutex // guards the rest
	xid     uint32     // the last one used
	pending map[uint32]chan reply
	failed  error // why there is no more to come
}

// Dial connects to the target. ctx bounds that alone. The error has code Unreachable where nobody answers, and is
// ErrNoTLS where TLS is wanted and not offered. The caller must Close the Client.
func Dial(ctx context.Context, t Target) (*Client, error) {
	if t.Network == "" {
		t.Network = "tcp"
	}
	if t.Dial == nil {
		t.Dial = new(net.Dialer).DialContext
	}
	if t.MaxReply <= 0 {
		t.MaxReply = defaultRecord
	}
	c := &Client{
		target: t, turn: make(chan struct{}, 1), done: make(chan struct{}),
		xid: rand.Uint32(), pending: make(map[uint32]chan reply),
	}
	c.turn <- struct{}{}
	if t.Sys != nil {
		body, err := t.Sys.encode()
		if err != nil {
			return nil, err
		}
		c.auth = rpc.Auth{Flavor: AuthUnix, Body: body}
	}
	if t.TLS != nil && c.isPacket() {
		return nil, shoal.Errorf(shoal.Unsupported, "calling %s: there is no TLS over %s; use TCP", t.Address, t.Network)
	}
	var err error
	if c.raw, err = t.Dial(ctx, t.Network, t.Address); err != nil {
		return nil, shoal.Errorf(shoal.Unreachable, "calling %s: %w", t.Address, err)
	}
	c.conn = c.raw
	if t.TLS != nil {
		if err := c.startTLS(ctx); err != nil {
			c.raw.Close()
			return nil, fmt.Errorf("calling %s: %w", t.Address, err)
		}
	}
	if c.isPacket() {
		go c.readPackets()
	} else {
		go c.readRecords()
	}
	return c, nil
}

func (c *Client) isPacket() bool { return strings.HasPrefix(c.target.Network, "udp") }

// callMessage is a call's header as RFC 5531 section 9 has it.
type callMessage struct {
	XID, Type uint32
	rpc.Header
}

// appendCall appends the header of a call.
func appendCall(b []byte, xid uint32, h rpc.Header) ([]byte, error) {
	h.Rpcvers = rpcVersion
	w := bytes.NewBuffer(b)
	err := xdr.Write(w, &callMessage{XID: xid, Type: typeCall, Header: h})
	return w.Bytes(), err
}

func (c *Client) header(procedure uint32) rpc.Header {
	return rpc.Header{Prog: c.target.Program, Vers: c.target.Version, Proc: procedure, Cred: c.auth}
}

// encode returns the body of a credential.
func (a *AuthSys) encode() ([]byte, error) {
	if len(a.Machine) > maxMachine || len(a.GIDs) > maxGIDs {
		return nil, shoal.Errorf(shoal.BadRequest, "AUTH_SYS takes a machine's name of %d bytes and %d group ids", maxMachine, maxGIDs)
	}
	var w bytes.Buffer
	err := xdr.Write(&w, a)
	return w.Bytes(), err
}

// Call calls the procedure with arguments in XDR and returns its results in XDR, which are the caller's. It fails with a
// *Rejected or *AcceptError if the server says so, with ctx's error when that ends first, with ErrClosed, and with code
// Unreachable when the connection breaks. Only then, and when the call ends before it was sent in full, does the failure
// of one call end others. Over UDP the call is sent again after 1 s, 2 s, 4 s and so on, until ctx ends.
func (c *Client) Call(ctx context.Context, procedure uint32, args []byte) (results []byte, err error) {
	xid, answer, err := c.enlist()
	if err != nil {
		return nil, err
	}
	defer c.dismiss(xid)
	var r reply
	if c.isPacket() {
		r, err = c.exchange(ctx, xid, procedure, args, answer)
	} else if err = c.send(ctx, xid, procedure, args); err == nil {
		r, err = c.await(ctx, answer, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", c.target.Address, err)
	}
	return r.results, r.err
}

// enlist takes a new xid.
func (c *Client) enlist() (xid uint32, answer chan reply, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return 0, nil, c.failed
	}
	for c.xid++; c.pending[c.xid] != nil; c.xid++ {
	}
	answer = make(chan reply, 1)
	c.pending[c.xid] = answer
	return c.xid, answer, nil
}

func (c *Client) dismiss(xid uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, xid)
}

// errAgain means that it is time to send a call again.
var errAgain = errors.New("time to send again")

func (c *Client) await(ctx context.Context, answer chan reply, again <-chan time.Time) (reply, error) {
	select {
	case r := <-answer:
		return r, nil
	default:
	}
	select {
	case r := <-answer:
		return r, nil
	case <-c.done:
		return reply{}, c.failure()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	case <-again:
		return reply{}, errAgain
	}
}

// send writes a call to the stream, as one record of one fragment.
func (c *Client) send(ctx context.Context, xid, procedure uint32, args []byte) error {
	record, err := appendCall(openRecord(nil), xid, c.header(procedure))
	if err == nil {
		err = closeRecord(record, 0, len(args))
	}
	if err != nil {
		return err
	}
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-c.done:
		return c.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	buffers := net.Buffers{record, args}
	_, err = buffers.WriteTo(c.conn)
	if !stop() {
		<-interrupted
		if err == nil {
			err = c.conn.SetWriteDeadline(time.Time{})
		}
	}
	if err == nil {
		return nil
	}
	// Perhaps a part of the record was written.
	err = shoal.Errorf(shoal.Unreachable, "sending to the RPC server: %w", errors.Join(ctx.Err(), err))
	c.fail(err)
	return err
}

// readRecords is the reader of a stream.
func (c *Client) readRecords() {
	defer close(c.done)
	in := newRecordReader(&source{conn: c.conn}, c.target.MaxReply)
	for {
		record, err := in.next(nil)
		var r reply
		if err == nil {
			r, err = parseReply(record)
		}
		switch {
		case err == io.EOF:
			err = shoal.Errorf(shoal.Unreachable, "the RPC server closed the connection")
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = shoal.Errorf(shoal.Unreachable, "the connection to the RPC server ended within a reply")
		case err != nil:
			err = shoal.Errorf(shoal.Unreachable, "reading from the RPC server: %w", err)
		}
		if err != nil {
			c.fail(err)
			return
		}
		c.deliver(r)
	}
}

// deliver hands a reply to whoever waits for it: nobody, where it is late, was sent twice, or answers nothing.
func (c *Client) deliver(r reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.pending[r.xid]; answer != nil {
		answer <- r
		delete(c.pending, r.xid)
	}
}

// fail ends the client for the given reason, unless it has ended.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.failed == nil {
		c.failed = err
	}
	c.mu.Unlock()
	c.raw.Close() // not what is over it: TLS would say goodbye first, and wait for that to be sent
}

func (c *Client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Close ends all calls with ErrClosed and releases everything.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}
