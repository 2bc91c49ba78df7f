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
	// readBuffer is small, because larger reads go past it straight into their destination. Bodies that fit are not copied.
	readBuffer = 4 << 10
	// firstBody is how much a header alone can make a Conn allocate, in bytes.
	firstBody = 16 << 10
)

// Conn reads frames from a connection. One goroutine may read while others write to the net.Conn.
type Conn struct {
	net.Conn // *tls.Conn, *net.TCPConn, or whatever transport was injected
	// Large decides whether a body of so many bytes, which does not fit into the buffer, is read or passed over. nil for always.
	Large    func(bytes int) bool
	r        *bufio.Reader
	data     int   // bytes of the last PIECE not read yet
	failed   error // why the data of a PIECE did not come: nothing can follow it
	received atomic.Int64
}

// NewConn takes over reading from nc.
func NewConn(nc net.Conn) *Conn { return &Conn{Conn: nc, r: bufio.NewReaderSize(nc, readBuffer)} }

// Buffered is the number of bytes that can be read without waiting for the network.
func (c *Conn) Buffered() int { return c.r.Buffered() }

// Received is the number of bytes read so far: a sign of life even within a frame. Any goroutine may ask.
func (c *Conn) Received() int64 { return c.received.Load() }

// ReadFrame reads the next frame. After a PIECE, its Data bytes must be taken with ReadData or SkipData first; where that
// failed, so does ReadFrame. The error is io.EOF where the connection ends between two frames; it has code BadRequest
// where a rule is broken, and then the connection cannot be read any further.
func (c *Conn) ReadFrame() (Frame, error) {
	if c.failed != nil {
		return Frame{}, c.failed
	}
	if c.data != 0 {
		panic("wire: ReadFrame with unread piece data")
	}
	head, err := c.r.Peek(HeaderSize)
	if err == io.EOF && len(head) == 0 {
		return Frame{}, err
	} else if err != nil {
		return Frame{}, explain(head, cutShort(err))
	}
	h, err := ParseHeader(head)
	if err != nil {
		return Frame{}, explain(head, err)
	}
	c.skip(HeaderSize)
	f := Frame{Header: h}
	size := int(h.Length)
	if h.IsPiece() {
		f.Data, size = size-pieceHeadSize, pieceHeadSize
	}
	if size > readBuffer && c.Large != nil && !c.Large(size) {
		f.Passed = true
		_, err = c.r.Discard(size)
	} else {
		f.Body, err = c.readBody(size)
	}
	if err != nil {
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
			c.failed = cutShort(err)
			return c.failed
		}
	}
	return nil
}

// SkipData passes over what is left of the last PIECE.
func (c *Conn) SkipData() error {
	n, err := c.r.Discard(c.data)
	c.data -= n
	c.failed = cutShort(err)
	return c.failed
}

// readBody reads n bytes. A buffer larger than firstBody grows with what arrives, so that a header alone costs the sender as
// much as the receiver.
func (c *Conn) readBody(n int) ([]byte, error) {
	if n <= readBuffer {
		body, err := c.r.Peek(n)
		c.skip(len(body))
		return body, err
	}
	var body []byte
	for read := 0; read < n; {
		body = append(make([]byte, 0, min(n, max(firstBody, 2*read))), body...)
		body = body[:cap(body)]
		if _, err := io.ReadFull(c.r, body[read:]); err != nil {
			return nil, err
		}
		read = len(body)
	}
	return body, nil
}

// skip passes over n bytes that are in the buffer.
func (c *Conn) skip(n int) { _, _ = c.r.Discard(n) }

// explain recognises by the first bytes the commonest reason for a first frame that makes no sense: the other side
// speaks TLS, and sends a handshake record or an alert (RFC 8446 section 5.1).
func explain(head []byte, err error) error {
	if len(head) > 2 && (head[0] == 0x15 || head[0] == 0x16) && head[1] == 3 {
		return shoal.Errorf(shoal.Unsupported,
			"the other side speaks TLS and this one plaintext: start both with --plaintext, or neither (rule T2)")
	}
	return err
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return shoal.Errorf(shoal.Unreachable, "the connection ended within a frame")
	}
	return err
}
