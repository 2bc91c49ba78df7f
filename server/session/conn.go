package session

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// idleTimeout is how long a connection may be silent (rule H9).
	idleTimeout = 120 * time.Second
	// writeTimeout is how long a client may take for writeChunk bytes, and stopTimeout when the server is stopping.
	writeTimeout = 30 * time.Second
	writeChunk   = 64 << 10
	stopTimeout  = time.Second
	// lingerTimeout and lingerBytes bound how long a connection that is closed with a BYE is read on: if it were closed with
	// bytes unread, TCP would take back the BYE that the other side has not read yet.
	lingerTimeout = time.Second
	lingerBytes   = 4 << 20
)

// timedConn is the network below TLS. A read fails when nothing at all arrives for idleTimeout, a write when the other
// side takes nothing.
type timedConn struct {
	net.Conn
	stopping atomic.Bool
}

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	if c.stopping.Load() { // looked at after the deadline was moved, as stop does it the other way round
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return written, err
		}
		if c.stopping.Load() {
			if err := c.SetWriteDeadline(time.Now().Add(stopTimeout)); err != nil {
				return written, err
			}
		}
		var n int
		n, err = c.Conn.Write(p[:min(len(p), writeChunk)])
		p, written = p[n:], written+n
	}
	return written, err
}

// stop makes reads fail at once, and writes soon. It may be called while others read and write.
func (c *timedConn) stop() {
	c.stopping.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // it fails only on a closed connection
	_ = c.SetWriteDeadline(time.Now().Add(stopTimeout))
}

// linger ends the direction to the other side and waits a little until it has read everything and closed.
func (c *timedConn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTimeout)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes) // whatever ends it
}
