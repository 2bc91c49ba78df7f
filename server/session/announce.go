package session

import (
	"bytes"
	"context"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/wire"
)

// verify checks candidates (rule S6) and returns when they expire. None at all are fine.
func (s *Session) verify(candidates []byte) (expires time.Time, err error) {
	if len(candidates) == 0 {
		return expires, nil
	}
	if _, err := identity.VerifyCandidates(candidates, s.device, time.Now()); err != nil {
		return expires, shoal.Errorf(shoal.BadRequest, "the candidates of ANNOUNCE: %w (rule S6)", err)
	}
	return identity.Expires(candidates)
}

func (s *Session) announce(ctx context.Context, m *wire.Announce) (*wire.Empty, error) {
	begin := time.Now()
	expires, err := s.verify(m.Candidates)
	if err != nil {
		return nil, endError{err}
	}
	if err = s.offer(ctx, m, expires); err != nil { // else it is what every download says all the time
		s.audit("announce", "", shoal.Object{}, begin, err)
	}
	return new(wire.Empty), err
}

// offer holds the offers that may be (rule E3), and tells of the others.
func (s *Session) offer(ctx context.Context, m *wire.Announce, expires time.Time) error {
	if err := s.upToDate(ctx); err != nil {
		return err
	}
	if who, _ := s.host.Registry.Who(s.device); who.User == "" && len(m.Offers) > 0 {
		return meta.NotLoggedIn
	}
	held := m.Offers[:0]
	for _, o := range m.Offers {
		if o.Pieces > 0 && !s.mayOffer(o.Swarm) {
			s.tellGone(o.Swarm)
			continue
		}
		held = append(held, o)
	}
	var candidates []byte
	if len(m.Candidates) > 0 {
		candidates = bytes.Clone(m.Candidates) // it aliases the frame
	}
	if err := s.offers.Announce(candidates, expires, held); err != nil {
		return err
	}
	for _, o := range held {
		if o.Pieces == 0 {
			continue
		}
		// What ended meanwhile found no offer to end.
		if !s.mayOffer(o.Swarm) {
			s.offers.Withdraw(o.Swarm)
			s.tellGone(o.Swarm)
			continue
		}
		s.tellEpoch(o.Swarm.Group)
	}
	return nil
}

// mayOffer reports whether a file that the device offers has a name in a group that its user is in.
func (s *Session) mayOffer(of shoal.Swarm) bool {
	return s.host.Registry.Enter(s.device, of.Group) == nil && s.host.Registry.Has(of.Group, of.Object.ID)
}

// tellGone and tellEpoch send events ahead of the reply.
func (s *Session) tellGone(of shoal.Swarm) {
	s.out = wire.AppendEvent(s.out, wire.KindGone, &wire.Gone{Group: of.Group, File: of.Object.ID, Reason: wire.GoneDeleted})
}

func (s *Session) tellEpoch(g shoal.Group) {
	if s.told[g] {
		return
	}
	_, is := s.host.Registry.Standing(s.device, g)
	if is.Group.Name == "" {
		return
	}
	if s.told == nil {
		s.told = make(map[shoal.Group]bool)
	}
	s.told[g] = true
	s.out = wire.AppendEvent(s.out, wire.KindEpoch, &wire.Epoch{Group: g, Epoch: is.Group.Epoch, Reason: wire.EpochCurrent})
}
