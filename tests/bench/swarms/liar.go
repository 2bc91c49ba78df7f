package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/tests/script"
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
	honest := script.Source{Object: l.swarm.Object, Manifest: l.manifest, Content: l.file}
	_ = script.Converse(c.Conn, func(f wire.Frame) ([]byte, error) {
		switch f.Kind {
		case wire.KindManifest:
			if l.lie == forgesManifests {
				return l.forge(f.ID), nil
			}
		case wire.KindRequest:
			var m wire.Request
			if err := wire.Decode(f.Body, &m); err != nil {
				return nil, err
			}
			return l.block(ctx, c, &honest, f.ID, m)
		}
		return honest.Answer(f)
	})
}

// forge answers MANIFEST by one that proves nothing.
func (l *liar) forge(id uint32) []byte {
	m := *l.manifest
	m.Pieces = append([]shoal.Hash(nil), m.Pieces...)
	m.Pieces[0][0] ^= 1
	return wire.AppendReply(nil, wire.KindManifest, id, &wire.ManifestReply{Manifest: m})
}

// block answers a request for a block with the lie.
func (l *liar) block(ctx context.Context, c *identity.Established, honest *script.Source, id uint32, m wire.Request) ([]byte, error) {
	told := m
	switch l.lie {
	case staleBitfield:
		return wire.AppendError(nil, wire.KindRequest, id, shoal.Errorf(shoal.NotHeld, "the piece is not here")), nil
	case swapsPieces: // the last piece may be shorter, and its place is taken by the first
		told.Piece = (m.Piece + 1) % uint32(l.swarm.Object.Pieces()-1)
	}
	data, err := honest.Bytes(told)
	if err != nil {
		return nil, err
	}
	if l.lie == flipsBits || l.lie == forgesManifests {
		data[len(data)-1] ^= 1
	}
	reply := script.Piece(id, m, data)
	if l.lie == trickles {
		_, err = script.Trickle(ctx, c, reply, time.Second)
		return nil, err
	}
	return reply, nil
}
