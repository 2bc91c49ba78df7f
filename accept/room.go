package accept

import (
	"container/list"
	"net"
	"net/netip"
	"sync"

	"shoal"
)

// sample is how many of those that have been in a room for longest are looked at for who is to go.
const sample = 16

// Room holds so many connections at most. Who comes when it is full gets the place of one that nobody would miss: of those
// that have been there for longest, one of the address that has most. Who is settled stays. So whoever opens connections
// and leaves it at that takes places from those who do the same, and from those at other addresses last. For concurrent use.
type Room struct {
	limit     int
	perOrigin int // of one origin, but for loopback, where it may be anybody; 0 for no limit

	mu       sync.Mutex // guards what is below, and all seats
	seats    list.List  // of *Seat, in the order in which they came
	byOrigin map[netip.Prefix]int
	settled  int
	freed    chan struct{} // closed and replaced whenever there may be a place where there was none
}

// Seat is a connection's place in a Room.
type Seat struct {
	room    *Room
	nc      net.Conn
	origin  netip.Prefix
	place   *list.Element // nil after it has left
	settled bool
}

// NewRoom makes a Room of limit places, of which one origin may have perOrigin; 0 for all.
func NewRoom(limit, perOrigin int) *Room {
	return &Room{limit: limit, perOrigin: perOrigin, byOrigin: make(map[netip.Prefix]int), freed: make(chan struct{})}
}

// Enter gives nc a place until Leave is called. It may be closed in favour of others before that, unless it is settled. The
// error has code Busy: all are settled, or the origin has its share.
func (r *Room) Enter(nc net.Conn) (*Seat, error) {
	s := &Seat{room: r, nc: nc, origin: Origin(nc)}
	r.mu.Lock()
	defer r.mu.Unlock()
	bounded := r.perOrigin > 0 && s.origin.IsValid() && !s.origin.Addr().IsLoopback()
	if bounded && r.byOrigin[s.origin] >= r.perOrigin && !r.evict(func(o *Seat) bool { return o.origin == s.origin }) {
		return nil, shoal.Errorf(shoal.Busy, "there are %d connections from %v, and more from there are not possible; try again later", r.perOrigin, s.origin)
	}
	if r.seats.Len() >= r.limit && !r.evict(func(*Seat) bool { return true }) {
		return nil, shoal.Errorf(shoal.Busy, "there are %d connections, and more are not possible; try again later", r.limit)
	}
	s.place = r.seats.PushBack(s)
	r.byOrigin[s.origin]++
	return s, nil
}

// evict closes one of those that are not settled, if there is any. r.mu is held; closing does not wait.
func (r *Room) evict(of func(*Seat) bool) bool {
	if r.settled == r.seats.Len() {
		return false
	}
	var worst *Seat
	for e, seen := r.seats.Front(), 0; e != nil && seen < sample; e = e.Next() {
		s := e.Value.(*Seat)
		if s.settled || !of(s) {
			continue
		}
		if seen++; worst == nil || r.byOrigin[s.origin] > r.byOrigin[worst.origin] {
			worst = s
		}
	}
	if worst == nil {
		return false
	}
	worst.leave()
	worst.nc.Close()
	return true
}

// Settle says whether the connection may stay whoever comes. A seat begins unsettled. Of a nil Seat nothing is known.
func (s *Seat) Settle(settled bool) {
	if s == nil {
		return
	}
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.place == nil || s.settled == settled {
		return
	}
	s.settled = settled
	if settled {
		r.settled++
	} else {
		r.settled--
		r.tell()
	}
}

// Leave gives the place back. It may be called more than once, and on a nil Seat.
func (s *Seat) Leave() {
	if s == nil {
		return
	}
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.leave()
}

// leave is Leave with r.mu held.
func (s *Seat) leave() {
	r := s.room
	if s.place == nil {
		return
	}
	r.seats.Remove(s.place)
	s.place = nil
	if s.settled {
		r.settled--
	}
	if r.byOrigin[s.origin]--; r.byOrigin[s.origin] == 0 {
		delete(r.byOrigin, s.origin)
	}
	r.tell()
}

// tell wakes those who wait for a place. r.mu is held.
func (r *Room) tell() {
	close(r.freed)
	r.freed = make(chan struct{})
}

// empty closes all connections that are there.
func (r *Room) empty() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.seats.Front(); e != nil; e = e.Next() {
		e.Value.(*Seat).nc.Close()
	}
}

// crowded returns what to wait for where half of the places are taken by who is settled; nil where it is less.
func (r *Room) crowded() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled < r.limit/2 {
		return nil
	}
	return r.freed
}

// Origin is the network that a connection is counted under: an IPv4 address, or the /64 that one subscriber has of IPv6. It
// is invalid where the address is none of these.
func Origin(nc net.Conn) netip.Prefix {
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	origin, _ := addr.Prefix(bits) // invalid for an invalid address
	return origin
}
