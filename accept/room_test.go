package accept

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"shoal"
)

// caller is a connection that comes from an address.
type caller struct {
	net.Conn
	addr   net.Addr
	closed bool
}

func (c *caller) RemoteAddr() net.Addr { return c.addr }
func (c *caller) Close() error         { c.closed = true; return nil }

func from(addr string) *caller {
	return &caller{addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 1234))}
}

// come enters, and must be let in.
func come(t *testing.T, r *Room, addr string) (*caller, *Seat) {
	t.Helper()
	c := from(addr)
	s, err := r.Enter(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func refused(t *testing.T, r *Room, addr string) {
	t.Helper()
	if _, err := r.Enter(from(addr)); !errors.Is(err, shoal.Busy) {
		t.Errorf("got %v", err)
	}
}

// Where all places are taken, the oldest of the address that has most makes room; those who are settled never do.
func TestRoomIsFull(t *testing.T) {
	r := NewRoom(4, 0)
	settled, s := come(t, r, "192.0.2.1")
	s.Settle(true)
	lonely, _ := come(t, r, "192.0.2.2")
	first, _ := come(t, r, "192.0.2.3")
	second, _ := come(t, r, "192.0.2.3")
	come(t, r, "192.0.2.4")
	if !first.closed || second.closed || lonely.closed || settled.closed {
		t.Error("another one had to go")
	}
	come(t, r, "192.0.2.3") // now nobody has more than one but who comes
	if !lonely.closed || second.closed {
		t.Error("the oldest did not have to go")
	}
	for e := r.seats.Front(); e != nil; e = e.Next() {
		e.Value.(*Seat).Settle(true)
	}
	refused(t, r, "192.0.2.9")
	s.Settle(false)
	come(t, r, "192.0.2.9")
	if !settled.closed {
		t.Error("who is not settled any more stayed")
	}
}

// One address, or one subscriber's network, has its share; loopback is not limited.
func TestRoomByOrigin(t *testing.T) {
	r := NewRoom(8, 2)
	for _, addr := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::ffff:2"} {
		_, s := come(t, r, addr)
		s.Settle(true)
	}
	refused(t, r, "192.0.2.1")
	refused(t, r, "2001:db8::3")
	for range 4 {
		_, s := come(t, r, "127.0.0.1")
		s.Settle(true)
	}
	refused(t, r, "198.51.100.1")
}

// What left leaves nothing behind, however often it says so.
func TestLeave(t *testing.T) {
	r := NewRoom(1000, 0)
	var all []*Seat
	for i := range 200 {
		_, s := come(t, r, fmt.Sprintf("192.0.2.%d", i))
		s.Settle(i%2 == 0)
		all = append(all, s)
	}
	for _, s := range all {
		s.Leave()
		s.Leave()
		s.Settle(true)
	}
	if r.seats.Len() != 0 || len(r.byOrigin) != 0 || r.settled != 0 {
		t.Errorf("%d seats of %d addresses are left, %d settled", r.seats.Len(), len(r.byOrigin), r.settled)
	}
	var none *Seat
	none.Settle(true)
	none.Leave()
}
