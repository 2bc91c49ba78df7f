package peer

import (
	"io"
	"net"
	"time"

	"shoal/accept"
)

const (
	// idleLimit is the silence after which a connection is closed (rule H9).
	idleLimit = 120 * time.Second
	// lingerLimit and lingerBytes bound how long a connection is read on after its BYE: if it were closed with bytes
	// unread, TCP would take back the BYE that the other side has not read yet.
	lingerLimit = time.Second
	lingerBytes = 4 << 20
)

// idleConn is the network, below TLS: reading from it fails when nothing at all has come for idleLimit.
type idleConn struct{ net.Conn }

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// socket is the TCP connection below nc; nil where there is none, or TLS is in between.
func socket(nc net.Conn) *net.TCPConn {
	switch c := nc.(type) {
	case *idleConn:
		return socket(c.Conn)
	case *accept.Guest:
		return socket(c.Conn)
	case *net.TCPConn:
		return c
	}
	return nil
}

// linger closes a connection when the other side has read everything and closed it, or after a while.
func linger(nc net.Conn) {
	defer nc.Close()
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || nc.SetReadDeadline(time.Now().Add(lingerLimit)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, nc, lingerBytes) // whatever ends it
}
