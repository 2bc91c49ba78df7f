package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"shoal"
	"shoal/wire"
	"shoal/xdr"
)

// HandshakeTimeout is how long a handshake may take, TLS included (rule H2).
const HandshakeTimeout = 10 * time.Second

// Software is how this program names itself in a handshake.
const Software = "shoal/1"

const (
	responderContext = "shoal/1 hello responder"
	initiatorContext = "shoal/1 hello initiator"
)

// Established is a connection after the handshake: both sides have proven their keys, bound to this connection.
type Established struct {
	*wire.Conn
	Remote   [32]byte      // the other side's key: a server's, or a device's
	Session  uint64        // the server's number for this connection; 0 at a peer
	Observed netip.Addr    // the initiator's address as the responder saw it; only at the initiator
	Ahead    time.Duration // how far the responder's clock is ahead of ours; only at the initiator
}

// Initiator is the side that opens connections.
type Initiator struct {
	Key       *Key
	Wanted    wire.Service
	Transport Transport
	// Accept decides whether the responder's key is the one wanted; it has already been proven. The handshake ends with
	// the error that it returns.
	Accept func(*wire.HelloReply) error
}

// Responder is the side that accepts connections.
type Responder struct {
	Key       *Key
	Serves    wire.Service
	Transport Transport
	// Certificate is the realm's statement for Key; nil at a peer.
	Certificate func() []byte
	// NextSession numbers connections; nil at a peer.
	NextSession func() uint64
	// Admit decides whether there is room for the connection, before anything is proven; nil always admits. HELLO is
	// answered by the error that it returns.
	Admit func() error
}

// transcript is what both proofs cover (PROTOCOL.md section 4).
type transcript struct {
	hello    wire.Hello
	random   wire.Nonce
	identity [32]byte
	now      int64
	binding  []byte
}

func (t *transcript) message(context string) []byte {
	b := xdr.AppendString(nil, context)
	b = xdr.AppendUint32(b, t.hello.Version)
	b = xdr.AppendUint32(b, uint32(t.hello.Wanted))
	b = xdr.AppendUint32(b, uint32(t.hello.Secured))
	b = xdr.AppendFixed(b, t.hello.Random[:])
	b = xdr.AppendFixed(b, t.random[:])
	b = xdr.AppendFixed(b, t.hello.Device[:])
	b = xdr.AppendFixed(b, t.identity[:])
	b = xdr.AppendInt64(b, t.now)
	return xdr.AppendOpaque(b, t.binding)
}

// Open does the initiator's side of the handshake on a fresh connection, and closes it if that fails.
func (i Initiator) Open(ctx context.Context, nc net.Conn) (*Established, error) {
	return establish(ctx, nc, i.Transport.Client, i.open)
}

// Accept does the responder's side of the handshake on a fresh connection, and closes it if that fails.
func (r Responder) Accept(ctx context.Context, nc net.Conn) (*Established, error) {
	return establish(ctx, nc, r.Transport.Server, r.accept)
}

func establish(ctx context.Context, nc net.Conn, secure func(context.Context, net.Conn) (net.Conn, error),
	greet func(*wire.Conn, wire.Security, []byte) (*Established, error),
) (*Established, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	secured, err := secure(ctx, nc)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	security, value, err := binding(secured)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("binding the handshake to the connection: %w", err)
	}
	e, err := greet(wire.NewConn(secured), security, value)
	if !stop() {
		err = shoal.Errorf(shoal.Unreachable, "the handshake took longer than %v, or was given up", HandshakeTimeout)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return e, nil
}

func (i Initiator) open(c *wire.Conn, security wire.Security, channel []byte) (*Established, error) {
	t := transcript{
		hello: wire.Hello{
			Version: wire.Version, Wanted: i.Wanted, Secured: security, Random: freshNonce(),
			Device: i.Key.Device(), Software: Software,
		},
		binding: channel,
	}
	if _, err := c.Write(wire.AppendRequest(nil, wire.KindHello, 1, &t.hello)); err != nil {
		return nil, fmt.Errorf("sending HELLO: %w", err)
	}
	var reply wire.HelloReply
	if err := readReply(c, wire.KindHello, 1, &reply); err != nil {
		return nil, err
	}
	t.random, t.identity, t.now = reply.Random, reply.Identity, reply.Now
	switch {
	case reply.Version != wire.Version:
		return nil, bye(c, shoal.Errorf(shoal.Unsupported, "the other side speaks version %d of the protocol, this one %d", reply.Version, wire.Version))
	case reply.Secured != security:
		return nil, bye(c, shoal.Errorf(shoal.Untrusted, "the connection is %v here and %v there: somebody is in between", security, reply.Secured))
	case !verify(reply.Identity, t.message(responderContext), reply.Proof):
		return nil, bye(c, shoal.Errorf(shoal.Untrusted, "the other side could not prove its key"))
	}
	if err := i.Accept(&reply); err != nil {
		return nil, bye(c, err)
	}
	auth := wire.Auth{Proof: i.Key.sign(t.message(initiatorContext))}
	if _, err := c.Write(wire.AppendRequest(nil, wire.KindAuth, 2, &auth)); err != nil {
		return nil, fmt.Errorf("sending AUTH: %w", err)
	}
	var done wire.AuthReply
	if err := readReply(c, wire.KindAuth, 2, &done); err != nil {
		return nil, err
	}
	observed, _ := netip.ParseAddr(done.Observed) // a hint; a zero Addr is ignored
	return &Established{
		Conn: c, Remote: reply.Identity, Session: done.Session, Observed: observed,
		Ahead: time.Until(time.UnixMilli(reply.Now)),
	}, nil
}

func (r Responder) accept(c *wire.Conn, security wire.Security, channel []byte) (*Established, error) {
	t := transcript{random: freshNonce(), identity: r.Key.public, now: time.Now().UnixMilli(), binding: channel}
	id, err := readRequest(c, wire.KindHello, &t.hello)
	if err != nil {
		return nil, bye(c, err)
	}
	switch {
	case t.hello.Version != wire.Version:
		err = shoal.Errorf(shoal.Unsupported, "version %d of the protocol is spoken here", wire.Version)
	case t.hello.Wanted != r.Serves:
		err = shoal.Errorf(shoal.Unsupported, "there is another service here than the one wanted; check the address")
	case t.hello.Secured != security:
		err = shoal.Errorf(shoal.Untrusted, "the connection is %v here and %v there", security, t.hello.Secured)
	case r.Admit != nil:
		err = r.Admit()
	}
	if err != nil {
		_, _ = c.Write(wire.AppendError(nil, wire.KindHello, id, err)) // it is closed either way
		return nil, err
	}
	reply := wire.HelloReply{
		Version: wire.Version, Secured: security, Random: t.random, Identity: t.identity, Now: t.now,
		Proof: r.Key.sign(t.message(responderContext)), Software: Software,
	}
	if r.Certificate != nil {
		reply.Certificate = r.Certificate()
	}
	if _, err := c.Write(wire.AppendReply(nil, wire.KindHello, id, &reply)); err != nil {
		return nil, fmt.Errorf("answering HELLO: %w", err)
	}
	var auth wire.Auth
	if id, err = readRequest(c, wire.KindAuth, &auth); err != nil {
		return nil, bye(c, err)
	}
	if !verify(t.hello.Device, t.message(initiatorContext), auth.Proof) {
		return nil, bye(c, shoal.Errorf(shoal.Untrusted, "the device could not prove its key"))
	}
	e := &Established{Conn: c, Remote: t.hello.Device}
	done := wire.AuthReply{}
	if r.NextSession != nil {
		e.Session = r.NextSession()
		done.Session = e.Session
	}
	if addr, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		done.Observed = addr.Addr().Unmap().WithZone("").String()
	}
	if _, err := c.Write(wire.AppendReply(nil, wire.KindAuth, id, &done)); err != nil {
		return nil, fmt.Errorf("answering AUTH: %w", err)
	}
	return e, nil
}

// readReply reads the reply to a request of the handshake.
func readReply(c *wire.Conn, kind wire.Kind, id uint32, m wire.Message) error {
	f, err := c.ReadFrame()
	switch {
	case errors.Is(err, io.EOF):
		return shoal.Errorf(shoal.Unreachable, "the other side closed the connection during the handshake")
	case err != nil:
		return fmt.Errorf("waiting for the reply to %v: %w", kind, err)
	case f.Kind == wire.KindBye:
		return refusal(f.Body)
	case f.Kind != kind || f.ID != id || !f.IsReply():
		return bye(c, shoal.Errorf(shoal.BadRequest, "%v where the reply to %v belongs (rule F5)", f.Header, kind))
	case f.Flags&wire.FlagError != 0:
		var failed wire.ErrorReply
		if err := wire.Decode(f.Body, &failed); err != nil {
			return err
		}
		return failed.Err()
	}
	return wire.Decode(f.Body, m)
}

// readRequest reads the request of the handshake that must come now (rule H1).
func readRequest(c *wire.Conn, kind wire.Kind, m wire.Message) (id uint32, err error) {
	f, err := c.ReadFrame()
	if err != nil {
		return 0, err
	}
	if f.Kind == wire.KindBye {
		return 0, refusal(f.Body)
	}
	if f.Kind != kind || f.IsReply() {
		return 0, shoal.Errorf(shoal.BadRequest, "%v where %v must come (rule H1)", f.Header, kind)
	}
	return f.ID, wire.Decode(f.Body, m)
}

// refusal is the reason that a BYE gives for ending the handshake.
func refusal(body []byte) error {
	var reason wire.Bye
	if err := wire.Decode(body, &reason); err != nil {
		return err
	}
	return reason.Err()
}

// bye tells the other side why the connection ends, as far as that is possible, and returns err.
func bye(c *wire.Conn, err error) error {
	_, _ = c.Write(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(err))) // it is closed either way
	return err
}

func freshNonce() (n wire.Nonce) {
	_, _ = rand.Read(n[:]) // never fails
	return n
}
