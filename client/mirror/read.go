package mirror

import (
	"errors"
	"io"

	"shoal"
)

// body is what comes of an answer.
type body struct {
	from io.Reader
	conn *Conn
	at   int64 // in the file
	left int64 // bytes of the block that is being read
	err  error // the first that was met
}

// read asks for blocks, which follow each other in the file, and hands them on. An error ends the Conn.
func (c *Conn) read(blocks []*block) error {
	if blocks = c.still(blocks); len(blocks) == 0 {
		return nil
	}
	if c.source.Object.Size == 0 {
		c.deliver(blocks[0], &body{conn: c})
		return nil
	}
	begin, end := blocks[0].offset, blocks[len(blocks)-1].end()
	r, err := c.open(begin, end)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b := &body{from: r.Body, conn: c, at: begin}
	if !c.ranges {
		b.at = 0
	}
	for k, next := range blocks {
		if len(c.still(blocks[k:])) == 0 {
			return nil // and the connection is closed: the rest would only be thrown away
		}
		if len(c.still(blocks[k:k+1])) == 0 {
			continue
		}
		b.skip(next.offset - b.at)
		if b.err == nil {
			c.deliver(next, b)
		}
		if b.err != nil {
			return b.err
		}
	}
	if c.ranges {
		return b.finish()
	}
	return nil
}

// still are those of the blocks that were not canceled.
func (c *Conn) still(blocks []*block) (wanted []*block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range blocks {
		if !b.canceled {
			wanted = append(wanted, b)
		}
	}
	return wanted
}

// deliver lets the sink read a block, and reads what it leaves.
func (c *Conn) deliver(b *block, from *body) {
	from.left = int64(b.length)
	err := c.sink.Block(b.piece, b.begin, b.length, from.fill)
	if from.err == nil {
		from.skip(from.left)
	}
	if from.err != nil {
		return // the sink hears that all is lost
	}
	c.mu.Lock()
	wanted := c.wanted[b.extent] == b
	if wanted {
		delete(c.wanted, b.extent)
	}
	c.mu.Unlock()
	if err != nil && wanted {
		c.sink.Refused(b.piece, b.begin, b.length, err)
	}
}

// fill reads the block's next bytes.
func (b *body) fill(buf []byte) error {
	if int64(len(buf)) > b.left && b.err == nil {
		b.err = shoal.Errorf(shoal.Internal, "%d bytes are read of a block that has %d", len(buf), b.left)
	}
	for len(buf) > 0 && b.err == nil {
		n, err := b.from.Read(buf)
		buf = buf[n:]
		b.passed(int64(n))
		b.left -= int64(n)
		if len(buf) > 0 {
			b.fails(err)
		}
	}
	return b.err
}

// skip throws bytes away.
func (b *body) skip(n int64) {
	for n > 0 && b.err == nil {
		got, err := io.CopyN(io.Discard, b.from, min(n, 64<<10))
		b.passed(got)
		n -= got
		b.fails(err)
	}
	b.left = 0
}

// finish makes sure that nothing more comes, so that the connection can be used again.
func (b *body) finish() error {
	var more [1]byte
	if n, _ := io.ReadFull(b.from, more[:]); n > 0 {
		return b.conn.changed("more comes than was asked for")
	}
	return nil
}

func (b *body) passed(n int64) {
	b.at += n
	b.conn.received.Add(n)
}

// fails notes why nothing more comes.
func (b *body) fails(err error) {
	switch {
	case err == nil || b.err != nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		b.err = shoal.Errorf(shoal.Unreachable, "the mirror at %s ends an answer before all has come", b.conn.source.URL.Host())
	default:
		b.err = b.conn.failed(b.conn.ctx, err)
	}
}
