package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// The lies, and how each is told.
const (
	flipsBits       = "flips-bits"       // of the last byte of each block
	swapsPieces     = "swaps-pieces"     // sends the bytes of another piece
	staleBitfield   = "stale-bitfield"   // says that it has all of it, and has nothing
	trickles        = "trickles"         // sends a byte a second
	forgesManifests = "forges-manifests" // and serves what they say
)

var lies = []string{flipsBits, swapsPieces, staleBitfield, trickles, forgesManifests}

// liar is a source that says it has the whole object, and lies in one way.
type liar struct {
	player
	lie string
}

// playLiar runs a liar until it is terminated.
func playLiar(args []string) error {
	var l liar
	f := flag.NewFlagSet("liar", flag.ContinueOnError)
	l.flags(f)
	f.StringVar(&l.lie, "lie", "", "how to lie")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", l.host+":0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if err := l.open(ctx, listener.Addr()); err != nil {
		return err
	}
	var run sync.WaitGroup
	defer run.Wait()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	run.Go(func() { _ = l.tracker.Run(ctx) })
	l.tracker.Offer(l.swarm, nil)
	if err := l.tracker.Announced(ctx); err != nil {
		return err
	}
	fmt.Printf("{\"event\":\"serving\",\"device\":%q}\n", l.key.Device())
	for {
		nc, err := listener.Accept()
		if err != nil {
			return nil // it was closed
		}
		run.Go(func() { l.serve(ctx, nc) })
	}
}

// serve answers a connection frame by frame until it ends.
func (l *liar) serve(ctx context.Context, nc net.Conn) {
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	defer nc.Close()
	c, err := identity.Responder{Key: l.key, Serves: wire.ServicePeer, Transport: overTLS}.Accept(ctx, nc)
	if err != nil {
		return
	}
	_ = c.SetDeadline(time.Time{})
	for err == nil {
		var f wire.Frame
		if f, err = c.ReadFrame(); err == nil {
			err = l.answer(ctx, c, f)
		}
	}
}

func (l *liar) answer(ctx context.Context, c *identity.Established, f wire.Frame) error {
	var reply []byte
	switch f.Kind {
	case wire.KindPing, wire.KindLeave, wire.KindRenew:
		reply = wire.AppendReply(nil, f.Kind, f.ID, &wire.Empty{})
	case wire.KindJoin:
		reply = wire.AppendReply(nil, f.Kind, f.ID, &wire.JoinReply{Handle: 1, Whole: true})
	case wire.KindManifest:
		m := *l.manifest
		if l.lie == forgesManifests {
			m.Pieces = append([]shoal.Hash(nil), m.Pieces...)
			m.Pieces[0][0] ^= 1
		}
		reply = wire.AppendReply(nil, f.Kind, f.ID, &wire.ManifestReply{Manifest: m})
	case wire.KindHashes:
		var m wire.HashesRequest
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		_, length := l.swarm.Object.PieceRange(int(m.Piece))
		data, err := l.bytes(m.Piece, 0, uint32(length))
		if err != nil {
			return err
		}
		reply = wire.AppendReply(nil, f.Kind, f.ID, &wire.HashesReply{Values: shoal.BlockValues(l.swarm.Object, int(m.Piece), data)})
	case wire.KindRequest:
		var m wire.Request
		if err := wire.Decode(f.Body, &m); err != nil {
			return err
		}
		return l.block(ctx, c, f.ID, m)
	case wire.KindBye:
		return io.EOF
	}
	_, err := c.Write(reply)
	return err
}

// block answers a request for a block with the lie.
func (l *liar) block(ctx context.Context, c *identity.Established, id uint32, m wire.Request) error {
	from := m.Piece
	switch l.lie {
	case staleBitfield:
		_, err := c.Write(wire.AppendError(nil, wire.KindRequest, id, shoal.Errorf(shoal.NotHeld, "the piece is not here")))
		return err
	case swapsPieces: // the last piece may be shorter, and its place is taken by the first
		from = (m.Piece + 1) % uint32(l.swarm.Object.Pieces()-1)
	}
	data, err := l.bytes(from, m.Begin, m.Length)
	if err != nil {
		return err
	}
	if l.lie == flipsBits || l.lie == forgesManifests {
		data[len(data)-1] ^= 1
	}
	frame := append(wire.AppendPieceHead(nil, id, wire.PieceHead{Piece: m.Piece, Begin: m.Begin}, m.Length), data...)
	if l.lie != trickles {
		_, err = c.Write(frame)
		return err
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for i := range frame {
		if _, err := c.Write(frame[i : i+1]); err != nil {
			return err
		}
		select {
		case <-second.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
