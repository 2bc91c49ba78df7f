package oncrpc

import (
	"context"
	"errors"
	"net"
	"time"

	"shoal"
)

// firstPause is how long the first answer to a datagram is waited for; each further one twice as long.
const firstPause = time.Second

// exchange sends a call by datagram, again and again with the same xid, until it is answered.
func (c *Client) exchange(ctx context.Context, xid, procedure uint32, args []byte, answer chan reply) (reply, error) {
	datagram, err := appendCall(nil, xid, c.header(procedure))
	if err != nil {
		return reply{}, err
	}
	if datagram = append(datagram, args...); len(datagram) > maxDatagram {
		return reply{}, shoal.Errorf(shoal.Limit, "an RPC of %d bytes does not fit in a datagram; use TCP", len(datagram))
	}
	var refused error
	for pause := firstPause; ; pause *= 2 {
		if _, err := c.conn.Write(datagram); err != nil {
			refused = err // perhaps what became of the last one; the server may come back
		}
		timer := time.NewTimer(pause)
		r, err := c.await(ctx, answer, timer.C)
		timer.Stop()
		if err != errAgain {
			if err != nil {
				err = errors.Join(err, refused)
			}
			return r, err
		}
	}
}

// readPackets is the reader of a datagram socket. What is no reply is ignored: anybody can send datagrams.
func (c *Client) readPackets() {
	defer close(c.done)
	record := make([]byte, min(c.target.MaxReply, maxDatagram)+1)
	for {
		n, err := c.conn.Read(record)
		switch {
		case errors.Is(err, net.ErrClosed):
			c.fail(shoal.Errorf(shoal.Unreachable, "receiving from the RPC server: %w", err))
			return
		case err != nil:
			time.Sleep(time.Millisecond) // refused, most likely, which is told once
			continue
		case n == len(record):
			continue // too large
		}
		if r, err := parseReply(append([]byte(nil), record[:n]...)); err == nil {
			c.deliver(r)
		}
	}
}
