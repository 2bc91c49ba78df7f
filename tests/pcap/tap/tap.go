// Package tap holds what the connections of a test say, in memory or not, against the protocol, as a capture at the host of
// who opens them would show it.
package tap

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"shoal/tests/pcap/check"
	"shoal/wire"
)

// Tap listens in. All methods may be called concurrently.
type Tap struct {
	mu    sync.Mutex // guards the rest, and all of the trace
	trace *check.Trace
	seen  map[wire.Kind]int
}

// New is a Tap whose test fails at its end where a rule was broken, but for those excepted. What the test uses the
// connections by must have ended by then: it registers its cleanup later.
func New(t testing.TB, except ...string) *Tap {
	p := &Tap{trace: check.New(), seen: map[wire.Kind]int{}}
	var broken []check.Violation
	p.trace.OnViolation = func(v check.Violation) {
		if !slices.Contains(except, v.Rule) {
			broken = append(broken, v)
		}
	}
	p.trace.OnFrame = func(f *check.Frame) { p.seen[f.Kind]++ }
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.trace.Finish()
		for _, v := range broken {
			t.Error(v)
		}
	})
	return p
}

// Seen is how many frames of a kind there were.
func (p *Tap) Seen(k wire.Kind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[k]
}

// Conn taps a fresh connection, in plaintext, at its initiator.
func (p *Tap) Conn(nc net.Conn) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &conn{Conn: nc, tap: p, seen: p.trace.Open(addr(nc.LocalAddr()), addr(nc.RemoteAddr()), time.Now(), true)}
}

func addr(a net.Addr) netip.AddrPort {
	parsed, _ := netip.ParseAddrPort(a.String()) // zero for what is no address
	return parsed
}

// conn is the initiator's end.
type conn struct {
	net.Conn
	tap  *Tap
	seen *check.Conn
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.seen.Data(check.Responder, time.Now(), b[:n])
	return n, err
}

// Write shows what is sent before the other side can answer it.
func (c *conn) Write(b []byte) (int, error) {
	c.tap.mu.Lock()
	c.seen.Data(check.Initiator, time.Now(), b)
	c.tap.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.tap.mu.Lock()
	c.seen.Close(check.Initiator, time.Now(), true)
	c.tap.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite ends what the initiator says.
func (c *conn) CloseWrite() error {
	c.tap.mu.Lock()
	c.seen.Close(check.Initiator, time.Now(), false)
	c.tap.mu.Unlock()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
