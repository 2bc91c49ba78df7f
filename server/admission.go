package server

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"shoal"
)

const (
	// maxHandshakes is how many connections may be in their handshake at once. Further ones wait in the kernel's backlog.
	maxHandshakes = 256
	// patience is how long a handshake is left alone while others wait for its place: many times what all of them take
	// at once on a small machine, or honest clients would be turned away after the work has been done.
	patience = 3 * time.Second
)

// admission decides who gets in. Handshakes that dawdle make room for others as soon as there is need, so that whoever
// opens connections and stays silent can slow the server down but not lock others out.
type admission struct {
	limit      int // sessions in all
	perAddress int // sessions of one address

	mu         sync.Mutex // guards what is below
	handshakes []*handshake
	freed      chan struct{} // closed and replaced whenever a handshake ends
	sessions   int
	byAddress  map[netip.Prefix]int
}

// handshake is a connection that has not proven who it is.
type handshake struct {
	nc    net.Conn
	since time.Time
}

// newAdmission lets in limit sessions, of which one address may have a quarter.
func newAdmission(limit int) *admission {
	return &admission{
		limit: limit, perAddress: max(1, limit/4), freed: make(chan struct{}), byAddress: make(map[netip.Prefix]int),
	}
}

// begin notes that a handshake begins on nc, once there is a place for it. The error is ctx's.
func (a *admission) begin(ctx context.Context, nc net.Conn) (*handshake, error) {
	for {
		h, freed, wait := a.tryBegin(nc)
		if h != nil {
			return h, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-freed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		timer.Stop()
	}
}

// tryBegin takes a place. If there is none it closes the connection that has been at its handshake for the longest, if
// that was long enough, and returns what to wait for and for how long.
func (a *admission) tryBegin(nc net.Conn) (h *handshake, freed <-chan struct{}, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.handshakes) < maxHandshakes {
		h = &handshake{nc, time.Now()}
		a.handshakes = append(a.handshakes, h)
		return h, nil, 0
	}
	oldest := a.handshakes[0]
	if wait = patience - time.Since(oldest.since); wait <= 0 {
		oldest.nc.Close()
		wait = patience
	}
	return nil, a.freed, wait
}

// end notes that a handshake is over.
func (a *admission) end(h *handshake) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.handshakes {
		if a.handshakes[i] == h {
			a.handshakes = append(a.handshakes[:i], a.handshakes[i+1:]...)
			break
		}
	}
	close(a.freed)
	a.freed = make(chan struct{})
}

// admit makes nc one of the sessions, until leave is called. The error has code Busy.
func (a *admission) admit(nc net.Conn) (leave func(), err error) {
	from := origin(nc)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.sessions >= a.limit:
		return nil, shoal.Errorf(shoal.Busy, "the server has %d connections, and more are not possible; try again later", a.limit)
	case from.IsValid() && a.byAddress[from] >= a.perAddress:
		return nil, shoal.Errorf(shoal.Busy, "the server has %d connections from %v, and more from there are not possible; try again later", a.perAddress, from)
	}
	a.sessions++
	if from.IsValid() {
		a.byAddress[from]++
	}
	return func() { a.leave(from) }, nil
}

func (a *admission) leave(from netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions--
	if !from.IsValid() {
		return
	}
	if a.byAddress[from]--; a.byAddress[from] == 0 {
		delete(a.byAddress, from)
	}
}

// origin is the network that a connection is counted under: an IPv4 address, or the /64 that one subscriber has of IPv6.
// It is invalid for loopback, where nobody can be told apart.
func origin(nc net.Conn) netip.Prefix {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
}
