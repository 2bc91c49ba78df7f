package identity

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"shoal"
	"shoal/wire"
)

// BulkBuffer is the size in bytes of the buffers below TLS on connections that carry pieces: one system call for many
// records of 16 KiB.
const BulkBuffer = 256 << 10

// otherBuffer is the size in bytes of the buffers for the other direction at most, in which there are requests: who serves
// has one for each connection.
const otherBuffer = 4 << 10

// Transport says how this process protects its connections, as dialer and as listener alike. Neither side ever changes
// that by itself (PROTOCOL.md rule T2).
type Transport struct {
	Security wire.Security
	// AnyAddress allows plaintext beyond loopback.
	AnyAddress bool
	// Buffer is the size of the buffers below TLS in bytes, on the way from who was called to who has called, which pieces
	// go; 0 for none.
	Buffer int
	// KeyLog is where the keys of TLS sessions go, in the format that programs for captures read
	// (draft-ietf-tls-keylogfile); nil: nowhere.
	KeyLog io.Writer
}

// CheckAddress refuses plaintext beyond loopback unless it was asked for. host is an IP address or a name.
func (t Transport) CheckAddress(host string) error {
	if t.Security != wire.Plaintext || t.AnyAddress || shoal.IsLoopback(host) {
		return nil
	}
	return shoal.Errorf(shoal.Denied, "plaintext is for loopback addresses only, and %q is none; --plaintext=any allows it on wires you trust", host)
}

// Client protects a connection that this side opened. On an error nc is closed.
func (t Transport) Client(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if t.Security == wire.Plaintext {
		return nc, nil
	}
	// Certificates mean nothing here; the handshake after this one proves who is there, bound to this connection.
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{wire.ALPN}, InsecureSkipVerify: true,
		DynamicRecordSizingDisabled: true, KeyLogWriter: t.KeyLog,
	}
	return t.handshake(ctx, nc, t.Buffer, min(t.Buffer, otherBuffer), func(nc net.Conn) *tls.Conn { return tls.Client(nc, config) })
}

// Server protects a connection that this side accepted. On an error nc is closed.
func (t Transport) Server(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if t.Security == wire.Plaintext {
		return nc, nil
	}
	config := serverConfig()
	if t.KeyLog != nil {
		config = config.Clone()
		config.KeyLogWriter = t.KeyLog
	}
	return t.handshake(ctx, nc, min(t.Buffer, otherBuffer), t.Buffer, func(nc net.Conn) *tls.Conn { return tls.Server(nc, config) })
}

// errPlaintext is for a first record that is none of TLS.
var errPlaintext = shoal.Errorf(shoal.Unsupported, "one side speaks plaintext and the other TLS: start both with --plaintext, or neither")

func (t Transport) handshake(ctx context.Context, nc net.Conn, read, write int, over func(net.Conn) *tls.Conn) (net.Conn, error) {
	var below *corkedConn
	tc := over(nc)
	if t.Buffer > 0 {
		below = newCorkedConn(nc, read, write)
		tc = over(below)
	}
	if err := tc.HandshakeContext(ctx); err != nil {
		defer nc.Close()
		var noTLS tls.RecordHeaderError
		if errors.As(err, &noTLS) && noTLS.Conn != nil { // it was the very first record
			// The answer is in plaintext, because that is all the other side can read.
			_, _ = nc.Write(wire.AppendEvent(nil, wire.KindBye, wire.NewBye(errPlaintext)))
			return nil, errPlaintext
		}
		return nil, shoal.Errorf(shoal.Unreachable, "TLS handshake: %w (does the other side run with --plaintext?)", err)
	}
	if tc.ConnectionState().NegotiatedProtocol != wire.ALPN {
		nc.Close()
		return nil, shoal.Errorf(shoal.Unsupported, "the other side does not speak %s over TLS", wire.ALPN)
	}
	if t.Buffer > 0 {
		below.begin()
		return &bulkConn{tc, below}, nil
	}
	return tc, nil
}

// serverConfig has a certificate made for this process alone, because TLS demands one.
var serverConfig = sync.OnceValue(func() *tls.Config {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err) // a constant template and a fresh key
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{wire.ALPN},
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
	}
})

// binding returns the connection's security and its channel binding (RFC 9266), which is empty in plaintext.
func binding(nc net.Conn) (wire.Security, []byte, error) {
	tc, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return wire.Plaintext, nil, nil
	}
	state := tc.ConnectionState()
	value, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	return wire.TLS, value, err
}

// bulkConn is TLS with large buffers below it. TLS hands down a record of 16 KiB at a time; here those of one Write
// leave together, and a read takes in many. Writes must not be concurrent with each other.
type bulkConn struct {
	*tls.Conn
	below *corkedConn
}

func (c *bulkConn) Write(p []byte) (int, error) {
	c.below.cork()
	n, err := c.Conn.Write(p)
	if flushErr := c.below.uncork(); err == nil && flushErr != nil {
		return 0, flushErr
	}
	return n, err
}

// corkedConn holds back what is written to it while it is corked, up to its buffer's size. During TLS's handshake it has no
// buffers: who does not get further costs none.
type corkedConn struct {
	net.Conn
	read, write int           // sizes of the buffers
	r           *bufio.Reader // nil during the handshake; the reading goroutine's

	mu sync.Mutex    // guards what follows: TLS may write an alert from a reading goroutine
	w  *bufio.Writer // nil unless corked
}

// idleWriters are the *bufio.Writer that no connection needs, by their sizes: few connections write at the same time.
var idleWriters = map[int]*sync.Pool{BulkBuffer: {}, otherBuffer: {}}

func newCorkedConn(nc net.Conn, read, write int) *corkedConn {
	return &corkedConn{Conn: nc, read: read, write: write}
}

// begin ends the handshake, in its goroutine.
func (c *corkedConn) begin() { c.r = bufio.NewReaderSize(c.Conn, c.read) }

func (c *corkedConn) Read(p []byte) (int, error) {
	if c.r == nil {
		return c.Conn.Read(p)
	}
	return c.r.Read(p)
}

// Write passes p on, at once unless corked. The lock is held while the network takes it: that is what puts the records
// of two goroutines in order.
func (c *corkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w == nil {
		return c.Conn.Write(p)
	}
	return c.w.Write(p)
}

func (c *corkedConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if idle := idleWriters[c.write]; idle != nil {
		if w, ok := idle.Get().(*bufio.Writer); ok {
			w.Reset(c.Conn)
			c.w = w
			return
		}
	}
	c.w = bufio.NewWriterSize(c.Conn, c.write)
}

func (c *corkedConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.w
	c.w = nil
	err := w.Flush()
	if idle := idleWriters[c.write]; idle != nil {
		w.Reset(nil)
		idle.Put(w)
	}
	return err
}
