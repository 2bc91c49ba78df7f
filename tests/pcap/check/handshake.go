package check

import (
	"time"

	"shoal/wire"
	"shoal/xdr"
)

// handshakeTime is how long a connection may take to be authenticated (rule H2).
const handshakeTime = 10 * time.Second

// handshake is what the two sides said of themselves (PROTOCOL.md section 4).
type handshake struct {
	hello, reply, auth, done *Frame // done answers auth
	said                     *wire.Hello
	answered                 *wire.HelloReply
	refused                  *Frame // an error that answered HELLO or AUTH
	certificate              *chain
}

// greet holds the frames of a connection's beginning to their order, and reports whether f is one of these, or out of place.
func (c *Conn) greet(f *Frame) (taken bool) {
	h := &c.handshake
	switch {
	case c.blind:
		c.learnHandshake(f)
		return f.Kind == wire.KindHello || f.Kind == wire.KindAuth
	case f.Kind == wire.KindBye:
		return false
	case f.From == Initiator:
		return c.initiate(f)
	}
	switch {
	case h.refused != nil:
		c.breakOff(f, "H4", "after the handshake was answered by an error")
	case f.Kind == wire.KindHello || f.Kind == wire.KindAuth:
		return c.respond(f)
	case h.done == nil && f.Kind == wire.KindRevoked:
		c.breakOff(f, "E4", "ahead of the reply to AUTH")
	case h.done == nil && f.IsReply() && c.open[f.ID] == nil:
		return false // it is none to anything
	case h.done == nil:
		c.breakOff(f, "H2", "before AUTH has been answered")
	default:
		return false
	}
	return true
}

// initiate takes what the initiator sends.
func (c *Conn) initiate(f *Frame) (taken bool) {
	h := &c.handshake
	is := func(k wire.Kind) bool { return f.Kind == k && !f.IsReply() }
	switch {
	case h.hello == nil && !is(wire.KindHello):
		c.breakOff(f, "H1", "where HELLO must come")
	case h.hello == nil:
		h.hello = f
		c.hello(f)
	case is(wire.KindHello) || is(wire.KindAuth) && h.auth != nil:
		c.breakOff(f, "H1", "for the second time")
	case h.auth == nil && !is(wire.KindAuth):
		c.breakOff(f, "H1", "where AUTH must come")
	case h.auth == nil:
		h.auth = f
		c.auth(f)
	default:
		return false
	}
	return true
}

// respond takes the replies to HELLO and AUTH.
func (c *Conn) respond(f *Frame) (taken bool) {
	h := &c.handshake
	asked := h.hello
	if f.Kind == wire.KindAuth {
		asked = h.auth
	}
	if asked == nil || asked.ID != f.ID || c.open[f.ID] != asked || !f.IsReply() {
		return false // which is against F5
	}
	delete(c.open, f.ID)
	f.Request = asked
	switch m := f.Message.(type) {
	case *wire.ErrorReply:
		h.refused = f
		c.checkCode(f, m)
	case *wire.HelloReply:
		h.reply = f
		c.helloReply(f, m)
	case *wire.AuthReply:
		h.done = f
		c.authReply(f, m)
	}
	return true
}

// hello takes HELLO.
func (c *Conn) hello(f *Frame) {
	c.ask(f)
	m, ok := f.Message.(*wire.Hello)
	if !ok {
		return
	}
	c.handshake.said = m
	c.Service, c.Device = m.Wanted, m.Device
	if m.Secured != wire.Plaintext {
		c.violate(f, "H3", "%v is said on a connection in plaintext", m.Secured)
	}
	c.freshNonce(f, m.Random)
	c.checkCandidate(f)
}

func (c *Conn) helloReply(f *Frame, m *wire.HelloReply) {
	h := &c.handshake
	h.answered = m
	c.Identity = m.Identity
	if h.said == nil {
		return
	}
	if h.said.Version != wire.Version || m.Version != wire.Version {
		c.violate(f, "H4", "version %d is wanted, and %d spoken", h.said.Version, m.Version)
	}
	if m.Secured != wire.Plaintext {
		c.violate(f, "H3", "%v is said on a connection in plaintext", m.Secured)
	}
	c.freshNonce(f, m.Random)
	if !c.proven(m.Identity, "shoal/1 hello responder", m.Proof) {
		c.violate(f, "H6", "the responder's proof is not over what was said")
	}
	c.checkCertificate(f, m)
}

func (c *Conn) auth(f *Frame) {
	c.ask(f)
	m, ok := f.Message.(*wire.Auth)
	h := &c.handshake
	switch {
	case !ok:
	case h.answered == nil:
		c.breakOff(f, "H6", "without the other side's proof")
	case !c.proven(h.said.Device, "shoal/1 hello initiator", m.Proof):
		c.violate(f, "H6", "the initiator's proof is not over what was said")
	default:
		c.trustRoot(f)
	}
}

func (c *Conn) authReply(f *Frame, m *wire.AuthReply) {
	c.Session = m.Session
	h := &c.handshake
	if a, ok := h.auth.Message.(*wire.Auth); ok && h.answered != nil && !c.proven(h.said.Device, "shoal/1 hello initiator", a.Proof) {
		c.violate(f, "H6", "an initiator is let in that proved nothing")
	}
	if c.Service == wire.ServicePeer && m.Session != 0 {
		c.violate(f, "H8", "a peer that numbers a session: %d", m.Session)
	}
	c.established(f)
}

// learnHandshake takes from a handshake that is not there in full what it says of the two sides.
func (c *Conn) learnHandshake(f *Frame) {
	switch m := f.Message.(type) {
	case *wire.Hello:
		c.Service, c.Device = m.Wanted, m.Device
	case *wire.HelloReply:
		c.Identity = m.Identity
	case *wire.AuthReply:
		c.Session = m.Session
	}
}

// proven reports whether a key signed the transcript of what was said. In plaintext the binding is empty.
func (c *Conn) proven(key [32]byte, context string, proof wire.Signature) bool {
	said, answered := c.handshake.said, c.handshake.answered
	b := xdr.AppendString(nil, context)
	b = xdr.AppendUint32(b, said.Version)
	b = xdr.AppendUint32(b, uint32(said.Wanted))
	b = xdr.AppendUint32(b, uint32(said.Secured))
	b = xdr.AppendFixed(b, said.Random[:])
	b = xdr.AppendFixed(b, answered.Random[:])
	b = xdr.AppendFixed(b, said.Device[:])
	b = xdr.AppendFixed(b, answered.Identity[:])
	b = xdr.AppendInt64(b, answered.Now)
	b = xdr.AppendOpaque(b, nil)
	return verifySignature(key, b, proof[:])
}

// freshNonce holds rule H5 as far as one capture shows it.
func (c *Conn) freshNonce(f *Frame, n wire.Nonce) {
	if n == (wire.Nonce{}) || c.trace.lore.nonces.has(n) {
		c.violate(f, "H5", "a nonce that is not fresh")
	}
	c.trace.lore.nonces.put(n, true)
}

// now is the server's time in milliseconds when at was captured, as HELLO told it; else the time of the capture.
func (c *Conn) now(at time.Time) time.Time {
	if h := &c.handshake; h.answered != nil && h.reply != nil {
		return time.UnixMilli(h.answered.Now).Add(at.Sub(h.reply.At))
	}
	return at
}
