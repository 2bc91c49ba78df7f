// Package wiretest is a network in memory for tests: connections that buffer and behave as TCP does, without sockets.
// They work on the virtual time of testing/synctest, in whose bubbles a goroutine that waits for them is durably
// blocked. For real time they work as well.
package wiretest

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Pipe returns the two ends of a connection whose buffers are unbounded: a Write never waits, so two sides that both
// write before they read cannot block each other.
//
// What goes for TCP goes for it. After Close the other side reads what was written and then io.EOF, and its writes
// fail with syscall.EPIPE; one's own calls fail with net.ErrClosed, those under way too. A deadline that has passed
// fails reads and writes with os.ErrDeadlineExceeded until it is set anew. Errors are *net.OpError, but for io.EOF.
// There is a method CloseWrite, which ends one direction. The addresses are *net.TCPAddr of the documentation network
// 192.0.2.0/24. All methods may be called concurrently; concurrent writes are not mixed with each other.
func Pipe() (a, b net.Conn) { return PipeSize(0) }

// PipeSize is Pipe with at most size bytes of buffer in each direction: when it is full, Write waits for the reader,
// as it does with TCP when a receiver is slow. 0 is no limit.
func PipeSize(size int) (a, b net.Conn) {
	// Ports count up, so that connections can be told apart.
	return newPipe(size, address(1), address(2))
}

var ports atomic.Uint32

func address(host byte) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, host), Port: 1024 + int(ports.Add(1)%60000)}
}

func newPipe(size int, aAddr, bAddr *net.TCPAddr) (a, b *conn) {
	ab, ba := newHalf(size), newHalf(size)
	return &conn{in: ba, out: ab, local: aAddr, remote: bAddr}, &conn{in: ab, out: ba, local: bAddr, remote: aAddr}
}

// conn is one end; all its state is in the two halves.
type conn struct {
	in, out       *half
	local, remote *net.TCPAddr
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err == io.EOF {
		return n, err
	}
	return n, c.opError("read", err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close ends both directions.
func (c *conn) Close() error {
	if !c.in.closeSide(&c.in.reader) {
		return c.opError("close", net.ErrClosed)
	}
	c.out.closeSide(&c.out.writer)
	return nil
}

// CloseWrite ends the direction to the other side.
func (c *conn) CloseWrite() error {
	c.out.closeSide(&c.out.writer)
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setDeadline(&c.in.reader, t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setDeadline(&c.out.writer, t))
}

func (c *conn) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}
