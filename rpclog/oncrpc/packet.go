package oncrpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// maxDatagram is what a UDP datagram carries over IPv4 at most, in bytes.
	maxDatagram = 65507
	// packetWorkers is how many calls over UDP are carried out at the same time.
	packetWorkers = 4
)

// ServePacket serves the datagrams of pc until ctx ends, and closes pc. It returns when all its goroutines have ended.
// The error says why receiving ended by itself; the end of ctx is none.
//
// What is not a call is not answered, and what the transport itself answers is no longer than the call: so only a program
// whose results are longer than its arguments makes a server that others can be attacked with. TLS is not offered.
func (s *Server) ServePacket(ctx context.Context, pc net.PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, packetWorkers)
	for range packetWorkers {
		go func() {
			defer cancel()
			failures <- s.servePackets(ctx, pc)
		}()
	}
	<-ctx.Done()
	// Those who are at a call may still answer it.
	err := pc.SetReadDeadline(time.Unix(1, 0))
	for range packetWorkers {
		err = errors.Join(err, <-failures)
	}
	if err = errors.Join(err, pc.Close()); err != nil {
		return fmt.Errorf("receiving RPC datagrams: %w", err)
	}
	return nil
}

func (s *Server) servePackets(ctx context.Context, pc net.PacketConn) error {
	limit := min(s.maxRecord(), maxDatagram)
	record := make([]byte, limit+1)
	var out []byte
	for {
		n, from, err := pc.ReadFrom(record)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Of an earlier datagram, perhaps, which somebody refused. The pause is for what does not go away.
			s.Log.Debug().Err(err).Msg("receiving an RPC datagram")
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		case n > limit:
			s.refused()
			continue
		}
		call := Call{Remote: from}
		if out, _, err = s.answer(ctx, &call, record[:n], out[:0]); err != nil {
			continue
		}
		if len(out) > maxDatagram {
			s.Log.Error().Int("bytes", len(out)).Uint32("procedure", call.Procedure).Msg("the reply to an RPC does not fit in a datagram")
			out = appendError(out[:0], call.XID, &AcceptError{Stat: SystemErr})
		}
		if _, err = pc.WriteTo(out, from); err != nil {
			s.Log.Debug().Stringer("address", from).Err(err).Msg("sending an RPC reply")
		}
		if cap(out) > keepBuffer {
			out = nil
		}
	}
}
