package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire"
)

// witness fetches what one device serves while that downloads, and compares it with the file.
type witness struct {
	player
	link    *link.Link
	handle  uint32
	checked map[int]bool
	bad     int
	have    chan []uint32
}

// playWitness checks all that the device named by -target serves, until that has gone or this process is terminated.
func playWitness(args []string) error {
	w := witness{checked: map[int]bool{}, have: make(chan []uint32, 1<<16)}
	f := flag.NewFlagSet("witness", flag.ContinueOnError)
	w.flags(f)
	text := f.String("target", "", "the device to watch")
	if err := f.Parse(args); err != nil {
		return err
	}
	target, err := shoal.ParseDeviceID(*text)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := w.open(ctx, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	run.Go(func() { _ = w.tracker.Run(ctx) })
	fmt.Println(`{"event":"watching"}`)
	source, err := w.await(ctx, target)
	if err != nil {
		return err
	}
	if err := w.watch(ctx, source); err != nil {
		return err
	}
	fmt.Printf("{\"event\":\"witnessed\",\"checked\":%d,\"bad\":%d}\n", len(w.checked), w.bad)
	return nil
}

// await asks the server until the device serves something.
func (w *witness) await(ctx context.Context, target shoal.DeviceID) (tracker.Source, error) {
	for {
		found, err := w.tracker.LookupFile(ctx, w.swarm.Group, w.swarm.Object.ID)
		if err != nil {
			return tracker.Source{}, err
		}
		for _, s := range found.Sources {
			if s.Device == target && len(s.Addresses) > 0 {
				return s, nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return tracker.Source{}, context.Cause(ctx)
		}
	}
}

// watch checks every piece as soon as it is announced, until the connection ends.
func (w *witness) watch(ctx context.Context, source tracker.Source) error {
	ticket, err := w.tracker.Ticket(ctx, w.swarm.Group)
	if err != nil {
		return err
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", source.Addresses[0].Addr.String())
	if err != nil {
		return fmt.Errorf("connecting to the downloader: %w", err)
	}
	e, err := identity.Initiator{
		Key: w.key, Wanted: wire.ServicePeer, Transport: overTLS, Accept: func(*wire.HelloReply) error { return nil },
	}.Open(ctx, nc)
	if err != nil {
		return err
	}
	w.link = link.New(e)
	ended := make(chan struct{})
	var run sync.WaitGroup
	defer run.Wait()
	run.Go(func() {
		defer close(ended)
		_ = w.link.Run(ctx, w.event)
	})
	defer w.link.Close(context.Canceled)
	var joined wire.JoinReply
	if err := w.link.Call(ctx, wire.KindJoin, &wire.Join{Swarm: w.swarm, Ticket: ticket}, &joined); err != nil {
		return err
	}
	w.handle = joined.Handle
	var first []uint32
	for i := range w.swarm.Object.Pieces() {
		if joined.Whole || joined.Bitfield.Has(i) {
			first = append(first, uint32(i))
		}
	}
	w.have <- first
	for {
		select {
		case pieces := <-w.have:
			for _, piece := range pieces {
				w.check(int(piece))
			}
		case <-ended:
			return nil
		}
	}
}

func (w *witness) event(f wire.Frame) error {
	if f.Kind != wire.KindHave {
		return nil
	}
	var m wire.Have
	if err := wire.Decode(f.Body, &m); err != nil {
		return err
	}
	select {
	case w.have <- m.Pieces:
		return nil
	default:
		return shoal.Errorf(shoal.Limit, "more is announced than there can be")
	}
}

// check fetches a piece and compares it. What the downloader does not serve after all is not checked.
func (w *witness) check(piece int) {
	_, length := w.swarm.Object.PieceRange(piece)
	got, answered := make([]byte, length), make(chan error, 1)
	w.link.Start(wire.KindRequest, &wire.Request{Handle: w.handle, Piece: uint32(piece), Length: uint32(length)}, func(f wire.Frame, err error) {
		if err == nil {
			err = w.link.ReadData(got)
		}
		answered <- err
	})
	if <-answered != nil {
		return
	}
	w.checked[piece] = true
	if want, err := w.bytes(uint32(piece), 0, uint32(length)); err != nil || !bytes.Equal(got, want) {
		w.bad++
	}
}
