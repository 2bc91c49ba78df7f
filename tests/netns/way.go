package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Way is a long way between two hosts that have no other: a point-to-point link through this process, which hands on the
// IP packets of either side (TUN devices) at a rate and after a delay. The connections on it are the two hosts' own, end
// to end. A packet that finds more than a round trip's worth waiting is lost.
type Way struct {
	Near, Far *Host
	ends      [2]*os.File
	pumps     sync.WaitGroup
}

// NewWay makes a way of the given rate, of IP packets, in each direction, and round trip. It needs ip of iproute2, and a
// network namespace of its own (Within, Isolate). There can be one at a time.
func NewWay(ctx context.Context, rate Rate, roundTrip time.Duration) (_ *Way, err error) {
	w := &Way{
		Near: &Host{name: "near", Addr: netip.MustParseAddr("10.8.0.1")},
		Far:  &Host{name: "far", Addr: netip.MustParseAddr("10.8.0.2")},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	for i, pair := range [2][2]*Host{{w.Near, w.Far}, {w.Far, w.Near}} {
		here, there := pair[0], pair[1]
		if err := here.create(ctx); err != nil {
			return nil, err
		}
		device := "way" + here.name
		if w.ends[i], err = openTUN(device); err != nil {
			return nil, err
		}
		if err := run(ctx,
			"ip link set "+device+" netns "+here.name,
			"ip -n "+here.name+" addr add "+here.Addr.String()+" peer "+there.Addr.String()+" dev "+device,
			"ip -n "+here.name+" link set "+device+" mtu 1500 txqueuelen 5000 up"); err != nil {
			return nil, err
		}
	}
	for i := range w.ends {
		p := &pump{
			rate: float64(rate) / 8, delay: roundTrip / 2, waits: roundTrip,
			from: w.ends[i], to: w.ends[1-i], due: make(chan packet, 1<<16), spare: make(chan []byte, 1<<16),
		}
		w.pumps.Go(p.take)
		w.pumps.Go(p.give)
	}
	return w, nil
}

// Close takes the way apart. What runs on its hosts should have ended.
func (w *Way) Close() error {
	var err error
	for _, f := range w.ends {
		if f != nil {
			err = errors.Join(err, f.Close()) // and the device is gone
		}
	}
	w.pumps.Wait()
	for _, h := range []*Host{w.Near, w.Far} {
		err = errors.Join(err, run(context.Background(), "ip netns del "+h.name))
	}
	return err
}

// openTUN makes a TUN device in this process's network namespace; it stays this process's when it is moved to another.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a TUN device: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a TUN device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil // non-blocking before, so that Close ends a Read
}

// pump is one direction of a Way.
type pump struct {
	rate         float64 // bytes a second
	delay, waits time.Duration
	from, to     *os.File
	due          chan packet // in the order of their times
	spare        chan []byte
}

type packet struct {
	at   time.Time // when it arrives
	data []byte
}

// take reads packets and gives each the time when it arrives: once those before it and itself have passed at the rate, and
// the delay is over.
func (p *pump) take() {
	defer close(p.due)
	free := time.Now() // when the link has sent all there is
	for {
		buf := p.buffer()
		n, err := p.from.Read(buf)
		if err != nil {
			return
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if free.Sub(now) > p.waits {
			p.back(buf)
			continue
		}
		free = free.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
		select {
		case p.due <- packet{free.Add(p.delay), buf[:n]}:
		default: // tiny ones, and very many
			p.back(buf)
		}
	}
}

// give writes packets when they are due.
func (p *pump) give() {
	for next := range p.due {
		if wait := time.Until(next.at); wait > 0 {
			time.Sleep(wait)
		}
		_, err := p.to.Write(next.data) // where a device is full or gone, the packet is lost
		p.back(next.data[:cap(next.data)])
		if errors.Is(err, os.ErrClosed) {
			break
		}
	}
	for range p.due { // until take has seen it, too
	}
}

func (p *pump) buffer() []byte {
	select {
	case b := <-p.spare:
		return b
	default:
		return make([]byte, 2048)
	}
}

func (p *pump) back(b []byte) {
	select {
	case p.spare <- b:
	default:
	}
}
