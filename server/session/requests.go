package session

import (
	"bytes"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// handle answers one frame. An error ends the connection: errBye, or one of code BadRequest for a rule that was broken.
func (s *Session) handle(f wire.Frame) error {
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
	revision, err := s.host.Registry.Publish(s.device, m)
	s.log.Info().Str("group", string(m.Group)).Str("name", string(m.Name)).Stringer("file", m.Content.ID).
		Int64("size", m.Content.Size).Uint64("revision", revision).AnErr("refused", err).Msg("publish")
	return &wire.MutationReply{Revision: revision}, err
}

func (s *Session) unpublish(m *wire.Unpublish) (wire.Message, error) {
	revision, err := s.host.Registry.Unpublish(s.device, m)
	s.log.Info().Str("group", string(m.Group)).Str("name", string(m.Name)).Stringer("file", m.File).
		Uint64("revision", revision).AnErr("refused", err).Msg("unpublish")
	return &wire.MutationReply{Revision: revision}, err
}

func (s *Session) list(m *wire.List) (wire.Message, error) {
	revision, entries, more, err := s.host.Registry.List(m.Group, m.After, int(m.Limit))
	s.host.Swarms.Count(m.Group, entries)
	return &wire.ListReply{Revision: revision, Entries: entries, More: more}, err
}

func (s *Session) lookup(m *wire.Lookup) (wire.Message, error) {
	revision, found, err := s.host.Registry.Lookup(m)
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

func (s *Session) announce(m *wire.Announce, expires time.Time) error {
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
