package peer

import (
	"slices"
	"time"

	"shoal"
	"shoal/client/link"
	"shoal/wire"
)

// The REQUESTs of one connection: they are asked until the item's machine grants them, then granted until the connection
// has sent what goes before. What is asked changes only under the item's mu, too.

const (
	// maxOpen and maxOpenBytes are what one connection may have asked for and not been answered (rule P8).
	maxOpen      = 256
	maxOpenBytes = 64 << 20
)

var (
	errTooMuch  = shoal.Errorf(shoal.Limit, "more than %d requests or %d bytes are open (rule P8)", maxOpen, maxOpenBytes)
	errCanceled = shoal.Errorf(shoal.Canceled, "canceled")
	errLeft     = shoal.Errorf(shoal.NotFound, "the swarm was left (rule P4)")
)

// extent is where a block lies, in bytes from the beginning of its piece.
type extent struct{ piece, begin, length uint32 }

// block is a REQUEST that waits for its reply.
type block struct {
	extent
	id     uint32
	member *member
	offset int64 // in the file, bytes
}

// whereabouts is where a REQUEST stands.
type whereabouts int

const (
	nowhere whereabouts = iota // it was answered, or is being answered
	asked
	granted
)

// take removes the block at k of a list.
func (s *sender) take(list *[]block, k int) block {
	b := (*list)[k]
	*list = slices.Delete(*list, k, k+1)
	s.openBytes -= int64(b.length)
	return b
}

// place is where a REQUEST is. mu is held.
func (s *sender) place(id uint32) (list *[]block, k int, at whereabouts) {
	is := func(b block) bool { return b.id == id }
	if k := slices.IndexFunc(s.asked, is); k >= 0 {
		return &s.asked, k, asked
	}
	if k := slices.IndexFunc(s.granted, is); k >= 0 {
		return &s.granted, k, granted
	}
	return nil, -1, nowhere
}

// find returns the REQUEST of that id, if one waits.
func (s *sender) find(id uint32) (block, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, k, at := s.place(id)
	if at == nowhere {
		return block{}, false
	}
	return (*list)[k], true
}

func (s *sender) where(id uint32) whereabouts {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, at := s.place(id)
	return at
}

// refuseLocked answers a REQUEST by an error, for who holds mu.
func (s *sender) refuseLocked(id uint32, err error) {
	if !s.ended {
		s.frames = wire.AppendError(s.frames, wire.KindRequest, id, err)
		s.signal()
	}
}

// ask takes a REQUEST, unless the other side has too many open. It reports whether it did; else it has answered.
func (s *sender) ask(b block) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked)+len(s.granted) >= maxOpen || s.openBytes+int64(b.length) > maxOpenBytes {
		s.refuseLocked(b.id, errTooMuch)
		return false
	}
	s.asked = append(s.asked, b)
	s.openBytes += int64(b.length)
	return true
}

// serve grants the oldest REQUEST for a block.
func (s *sender) serve(m *member, is extent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.oldest(m, is)
	if k < 0 {
		m.item.unsent = append(m.item.unsent, lost(m))
		return
	}
	b := s.asked[k]
	s.asked = slices.Delete(s.asked, k, k+1)
	s.granted = append(s.granted, b)
	s.signal()
}

// oldest is the place of the oldest REQUEST for a block that is not granted; -1 if there is none.
func (s *sender) oldest(m *member, is extent) int {
	return slices.IndexFunc(s.asked, func(b block) bool { return b.member == m && b.extent == is })
}

// refuseBlock answers a REQUEST that is not granted by an error: the one of the id, or, when that is 0, the oldest for the
// block.
func (s *sender) refuseBlock(m *member, is extent, id uint32, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.oldest(m, is)
	if id != 0 {
		k = slices.IndexFunc(s.asked, func(b block) bool { return b.id == id })
	}
	if k >= 0 {
		s.refuseLocked(s.take(&s.asked, k).id, err)
	}
}

// revoke answers a granted REQUEST by an error, unless the block is on its way. It reports whether it did.
func (s *sender) revoke(id uint32, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, k, at := s.place(id)
	if at != granted {
		return false
	}
	s.take(list, k)
	s.refuseLocked(id, err)
	return true
}

// choke tells the other side that a handle gets nothing for now. It reports whether that took back a grant.
func (s *sender) choke(m *member) (revoked bool) {
	s.event(wire.KindChoke, &wire.Choke{Handle: m.handle})
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := 0; k < len(s.granted); {
		if s.granted[k].member != m {
			k++
			continue
		}
		s.refuseLocked(s.take(&s.granted, k).id, refusal(shoal.Busy))
		revoked = true
	}
	return revoked
}

// forget ends a handle that was left: what it still had to say is dropped, and its REQUESTs are answered.
func (s *sender) forget(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(m, errLeft)
}

// drop is forget for who holds mu.
func (s *sender) drop(m *member, why error) {
	delete(s.haves, m.handle)
	for _, list := range []*[]block{&s.asked, &s.granted} {
		for k := 0; k < len(*list); {
			if (*list)[k].member != m {
				k++
				continue
			}
			s.refuseLocked(s.take(list, k).id, why)
		}
	}
}

// withdraw ends a handle. A block of it that is on its way may arrive, unless that takes long.
func (s *sender) withdraw(m *member, why error) {
	reason := wire.NewErrorReply(why)
	s.event(wire.KindWithdraw, &wire.Withdraw{Handle: m.handle, Code: reason.Code, Text: reason.Text})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(m, why)
	if s.sending != nil && s.sending.member == m && s.cut == nil {
		s.cut = time.AfterFunc(cutAfter, func() { link.Cut(s.conn.Conn) })
	}
}
