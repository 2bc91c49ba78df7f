package peer

import (
	"context"
	"maps"
	"slices"
	"time"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/upload"
	"shoal/client/tickets"
	"shoal/wire"
)

// Who is served, and for how long: PROTOCOL.md rules P14 to P16 and P18.

// sweepEvery is how often the tickets of all members are looked at, besides at each request and as soon as something is
// known to have changed.
const sweepEvery = swarm.TickEvery

// notServed is what everybody is told who may not have an object, whether it is here or not.
func notServed(swarm shoal.Swarm) error {
	return shoal.Errorf(shoal.NotFound, "%v is not served here in group %q", swarm.Object.ID, swarm.Group)
}

// admit checks the ticket that the other side shows for a group.
func (s *Server) admit(device shoal.DeviceID, group shoal.Group, ticket []byte) (tickets.Admission, error) {
	if s.Realm == nil {
		return tickets.Admission{}, nil
	}
	return s.Realm.Admit(device, group, ticket)
}

// sweep ends, until ctx does, what tickets do not allow any more, and tells the machines the time.
func (s *Server) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if s.Realm != nil {
				s.Shelf.expel(s.Realm.Check)
			}
			s.Shelf.each(func(it *item) { it.tell(upload.Event{Kind: upload.Tick}, 0) })
		case <-ctx.Done():
			return
		}
	}
}

// expel ends the part of each member whose admission check refuses.
func (s *Shelf) expel(check func(tickets.Admission) error) {
	s.each(func(it *item) {
		for _, m := range it.members {
			m.check(check)
		}
	})
}

// check expels the member if its admission does not count any more. The item's mu is held.
func (m *member) check(check func(tickets.Admission) error) {
	if m.ended() != nil || check(m.admission) == nil {
		return
	}
	m.expelled = notServed(m.item.swarm) // as if it had never been here
	m.item.remove(m)
	m.out.withdraw(m, m.expelled)
}

// renew gives a handle another ticket (rule P15).
func (c *served) renew(r *wire.Renew) (wire.Message, error) {
	m, err := c.member(r.Handle)
	if err != nil {
		return nil, err
	}
	group := m.item.swarm.Group
	admission, err := c.server.admit(c.Remote, group, r.Ticket)
	if err != nil {
		c.server.Log.Debug().Err(err).Stringer("device", shoal.DeviceID(c.Remote)).Msg("a peer's ticket is refused")
		return nil, notServed(m.item.swarm)
	}
	m.item.mu.Lock()
	defer m.item.mu.Unlock()
	if err := m.ended(); err != nil {
		return nil, err
	}
	m.admission = admission
	return &wire.Empty{}, nil
}

// Groups are those in which anything is on the shelf.
func (s *Shelf) Groups() []shoal.Group {
	s.mu.RLock()
	defer s.mu.RUnlock()
	groups := map[shoal.Group]struct{}{}
	for swarm := range s.items {
		groups[swarm.Group] = struct{}{}
	}
	return slices.Collect(maps.Keys(groups))
}

// WithdrawGroup takes everything in a group off the shelf, or one file of it where file is not nil, and tells all who
// joined why. It returns what was there.
func (s *Shelf) WithdrawGroup(group shoal.Group, file *shoal.FileID, why error) []shoal.Swarm {
	s.mu.RLock()
	var gone []shoal.Swarm
	for swarm := range s.items {
		if swarm.Group == group && (file == nil || swarm.Object.ID == *file) {
			gone = append(gone, swarm)
		}
	}
	s.mu.RUnlock()
	return slices.DeleteFunc(gone, func(swarm shoal.Swarm) bool { return !s.Withdraw(swarm, why) })
}
