package session

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// handle answers one frame. An error ends the connection: errBye, or one of code BadRequest for a rule that was broken.
func (s *Session) handle(ctx context.Context, f wire.Frame) error {
	switch {
	case f.IsReply():
		return shoal.Errorf(shoal.BadRequest, "%v, but a server asks nothing (rule F5)", f.Header)
	case f.Kind == wire.KindHello || f.Kind == wire.KindAuth:
		return shoal.Errorf(shoal.BadRequest, "a second %v (rule H1)", f.Kind)
	case f.Kind == wire.KindHave || f.Kind == wire.KindWithdraw:
		return shoal.Errorf(shoal.BadRequest, "%v, which only a responder sends (rule F6)", f.Header)
	}
	m := wire.NewMessage(f.Header)
	if err := wire.Decode(f.Body, m); err != nil {
		return err
	}
	var reply wire.Message = new(wire.Empty)
	var err error
	switch m := m.(type) {
	case *wire.Bye:
		s.log.Debug().AnErr("bye", m.Err()).Send()
		return errBye
	case *wire.Cancel: // what it is about has been answered (rule P9)
		return nil
	case *wire.Empty: // PING
	case *wire.Publish:
		reply, err = s.publish(m)
	case *wire.Unpublish:
		reply, err = s.unpublish(m)
	case *wire.List:
		reply, err = s.list(m)
	case *wire.Lookup:
		reply, err = s.lookup(m)
	case *wire.Announce:
		var expires time.Time
		if expires, err = s.verify(m.Candidates); err != nil {
			return err
		}
		err = s.announce(m, expires)
	case *wire.Log:
		if err := s.flush(); err != nil { // it may take a while
			return fmt.Errorf("%w: %w", errDeaf, err)
		}
		reply, err = s.readLog(ctx, m)
	default:
		return shoal.Errorf(shoal.BadRequest, "%v, which peers answer and servers do not (rule F2)", f.Header)
	}
	if err != nil {
		s.out = wire.AppendError(s.out, f.Kind, f.ID, err)
	} else {
		s.out = wire.AppendReply(s.out, f.Kind, f.ID, reply)
	}
	return nil
}

func (s *Session) publish(m *wire.Publish) (wire.Message, error) {
	begin := time.Now()
	revision, err := s.host.Registry.Publish(s.device, m)
	if err == nil {
		s.host.Facts.Published(m.Group, m.Name, m.Content, m.Head)
	}
	s.audit("publish", object(m.Group, m.Name), m.Content, begin, err)
	return &wire.MutationReply{Revision: revision}, err
}

func (s *Session) unpublish(m *wire.Unpublish) (wire.Message, error) {
	begin := time.Now()
	revision, err := s.host.Registry.Unpublish(s.device, m)
	if err == nil {
		s.host.Facts.Unpublished(m.Group, m.Name)
	}
	s.audit("unpublish", object(m.Group, m.Name), shoal.Object{ID: m.File}, begin, err)
	return &wire.MutationReply{Revision: revision}, err
}

func (s *Session) list(m *wire.List) (wire.Message, error) {
	revision, entries, more, err := s.host.Registry.List(m.Group, m.After, int(m.Limit))
	s.reads.List(err)
	s.host.Swarms.Count(m.Group, entries)
	return &wire.ListReply{Revision: revision, Entries: entries, More: more}, err
}

func (s *Session) lookup(m *wire.Lookup) (wire.Message, error) {
	revision, found, err := s.host.Registry.Lookup(m)
	s.reads.Lookup(err)
	if err != nil {
		return nil, err
	}
	sources, whole, partial := s.offers.Sources(shoal.Swarm{Group: m.Group, Object: found.Content}, time.Now())
	return &wire.LookupReply{
		Revision: revision, Name: found.Name, Content: found.Content, Whole: whole, Partial: partial,
		Facts: found.Facts, Sources: sources,
	}, nil
}

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

func (s *Session) announce(m *wire.Announce, expires time.Time) (err error) {
	defer func(begin time.Time) {
		if err != nil { // else it is what every download says all the time
			s.audit("announce", "", shoal.Object{}, begin, err)
		}
	}(time.Now())
	for _, o := range m.Offers {
		if err := s.host.Registry.CheckGroup(o.Swarm.Group); err != nil {
			return err
		}
	}
	var candidates []byte
	if len(m.Candidates) > 0 {
		candidates = bytes.Clone(m.Candidates) // it aliases the frame
	}
	return s.offers.Announce(candidates, expires, m.Offers)
}
