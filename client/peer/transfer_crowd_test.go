package peer

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/store"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/wire/wiretest"
)

// uplink makes all that is accepted share so many bytes a second, and counts them.
type uplink struct {
	net.Listener
	rate int

	busy chan struct{} // capacity 1: something is on its way
	sent atomic.Int64
}

func (u *uplink) Accept() (net.Conn, error) {
	nc, err := u.Listener.Accept()
	return uplinkConn{nc, u}, err
}

type uplinkConn struct {
	net.Conn
	up *uplink
}

func (c uplinkConn) Write(p []byte) (n int, err error) {
	const turn = 16 << 10
	for len(p) > 0 && err == nil {
		some := p[:min(len(p), turn)]
		c.up.busy <- struct{}{}
		time.Sleep(time.Duration(len(some)) * time.Second / time.Duration(c.up.rate))
		<-c.up.busy
		var wrote int
		wrote, err = c.Conn.Write(some)
		c.up.sent.Add(int64(wrote))
		n, p = n+wrote, p[wrote:]
	}
	return n, err
}

// peer adds a device that serves what is on the shelf through an uplink.
func (w *world) peer(ctx context.Context, shelf *Shelf, rate int) (*uplink, tracker.Source) {
	l := wiretest.Listen()
	up := &uplink{Listener: l, rate: rate, busy: make(chan struct{}, 1)}
	s := &scripted{world: w, key: identity.NewKey(), listener: l, address: netip.MustParseAddrPort(l.Addr().String())}
	w.mu.Lock()
	w.sources = append(w.sources, s)
	w.mu.Unlock()
	server := &Server{Key: s.key, Transport: plaintext, Shelf: shelf, Log: zerolog.Nop()}
	w.run.Go(func() { must(w.t, server.Run(ctx, up)) })
	return up, s.found()
}

// Who streams the same file at the same time gets most of it from the others: the source sends little more than it once.
func TestStreamsInACrowd(t *testing.T) {
	const crowd, rate = 4, 4 << 20
	within(t, 96, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(w.ctx)
		defer stop()
		shelf := NewShelf()
		shelf.Put(swarmOf(w.file), w.file)
		seed, source := w.peer(ctx, shelf, rate)
		sources := []tracker.Source{source}
		streams := make([]Transfer, crowd)
		for i := range streams {
			tr := w.transfer()
			tr.Shelf = NewShelf()
			tr.Pool = NewPool(identity.NewKey(), plaintext, w.dial, new(store.Buffers), zerolog.Nop())
			tr.Range = shoal.Range{End: w.file.Object().Size}
			_, source := w.peer(ctx, tr.Shelf, rate)
			sources = append(sources, source)
			streams[i] = tr
		}
		began := time.Now()
		var all sync.WaitGroup
		for i, tr := range streams {
			for k, source := range sources {
				if k != i+1 {
					tr.Sources = append(tr.Sources, source)
				}
			}
			all.Go(func() {
				must(t, tr.Stream(ctx, new(reader)))
				tr.Pool.Wait()
			})
		}
		all.Wait()
		copies := float64(seed.sent.Load()) / float64(w.file.Object().Size)
		took, bound := time.Since(began), time.Duration(w.file.Object().Size)*time.Second/rate
		if copies > 1.8 || took > 7*bound/4 {
			t.Errorf("%.2f copies were sent in %v; one takes %v", copies, took, bound)
		}
	})
}
