package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"shoal"
)

const (
	// readBuffer is small, because larger reads go past it straight into their destination.
	readBuffer = 4 << 10
	// keepBody is the largest body buffer that a Conn keeps between frames.
	keepBody = 64 << 10
)

// Conn reads frames from a connection. One goroutine may read while others write to the net.Conn.
type Conn struct {
	net.Conn // *tls.Conn, *net.TCPConn, or whatever transport was injected
	r        *bufio.Reader
	head     [HeaderSize]byte
	body     []byte
	data     int // bytes of the last PIECE not read yet
	received atomic.Int64
}

// NewConn takes over reading from nc.
func NewConn(nc net.Conn) *Conn { return &Conn{Conn: nc, r: bufio.NewReaderSize(nc, readBuffer)} }

// Buffered is the number of bytes that can be read without waiting for the network.
func (c *Conn) Buffered() int { return c.r.Buffered() }

// Received is the number of bytes read so far: a sign of life even within a frame. Any goroutine may ask.
func (c *Conn) Received() int64 { return c.received.Load() }

// ReadFrame reads the next frame. After a PIECE, its Data bytes must be taken with ReadData or SkipData first. The error
// is io.EOF where the connection ends between two frames; it has code BadRequest where a rule is broken, and then the
// connection cannot be read any further.
func (c *Conn) ReadFrame() (Frame, error) {
	if c.data != 0 {
		panic("wire: ReadFrame with unread piece data")
	}
	if _, err := io.ReadFull(c.r, c.head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Frame{}, shoal.Errorf(shoal.Unreachable, "the connection ended within a frame")
		}
		return Frame{}, err
	}
	h, err := parseHeader(c.head[:])
	if err != nil {
		return Frame{}, c.explain(err)
	}
	f := Frame{Header: h}
	size := int(h.Length)
	if h.IsPiece() {
		f.Data, size = size-pieceHeadSize, pieceHeadSize
	}
	f.Body = c.bodyBuffer(size)
	if _, err := io.ReadFull(c.r, f.Body); err != nil {
		return Frame{}, cutShort(err)
	}
	c.data = f.Data
	c.received.Add(int64(HeaderSize + size))
	return f, nil
}

// ReadData reads the next len(p) bytes of the last PIECE, straight into p where they are many.
func (c *Conn) ReadData(p []byte) error {
	if len(p) > c.data {
		panic("wire: ReadData past the end of the piece")
	}
	for len(p) > 0 {
		n, err := c.r.Read(p)
		c.data -= n
		c.received.Add(int64(n))
		p = p[n:]
		if err != nil && len(p) > 0 {
			return cutShort(err)
		}
	}
	return nil
}

// SkipData passes over what is left of the last PIECE.
func (c *Conn) SkipData() error {
	n, err := c.r.Discard(c.data)
	c.data -= n
	return cutShort(err)
}

func (c *Conn) bodyBuffer(n int) []byte {
	if n > keepBody {
		return make([]byte, n)
	}
	if n > cap(c.body) {
		c.body = make([]byte, n, max(256, n))
	}
	return c.body[:n]
}

// explain recognises the commonest reason for a first frame that makes no sense: the other side speaks TLS.
func (c *Conn) explain(err error) error {
	if (c.head[0] == 0x15 || c.head[0] == 0x16) && c.head[1] == 3 {
		return shoal.Errorf(shoal.Unsupported, "the other side speaks TLS and this one plaintext: start both with --plaintext, or neither")
	}
	return err
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return shoal.Errorf(shoal.Unreachable, "the connection ended within a frame")
	}
	return err
}
