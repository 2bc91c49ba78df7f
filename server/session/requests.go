package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shoal"
	"shoal/server/meta"
	"shoal/wire"
)

// handle answers one frame. An error ends the connection: errBye, errStopping, or one of code BadRequest for a rule that was
// broken.
func (s *Session) handle(ctx context.Context, f wire.Frame) error {
	if f.IsReply() {
		return shoal.Errorf(shoal.BadRequest, "%v, but a server asks nothing (rule F5)", f.Header)
	}
	row := &rules[f.Kind]
	if row.who == nobody {
		return wire.Unserved(f.Header, "a server")
	}
	if f.Passed {
		s.sit()
		s.out = wire.AppendError(s.out, f.Kind, f.ID, errLarge)
		return nil
	}
	m := s.request(f.Header)
	if err := wire.Decode(f.Body, m); err != nil {
		return err
	}
	if row.slow {
		if err := s.flush(); err != nil {
			return fmt.Errorf("%w: %w", errDeaf, err)
		}
	}
	reply, err := row.answer(s, ctx, m)
	if row.reads {
		s.reads.Other(err)
	}
	if err != nil {
		if ends, ok := errors.AsType[endError](err); ok {
			return ends.error
		}
		if ctx.Err() != nil && shoal.CodeOf(err) == shoal.Canceled {
			return errStopping // nobody took the request back: it may be asked for elsewhere, or later
		}
	}
	if err == nil && !s.settled && row.who != anyDevice {
		s.settle() // it has become a user's
	}
	s.sit()
	switch {
	case f.ID == 0: // an event
	case err != nil:
		s.out = wire.AppendError(s.out, f.Kind, f.ID, err)
	default:
		s.out = wire.AppendReply(s.out, f.Kind, f.ID, reply)
	}
	return nil
}

var errLarge = shoal.Errorf(shoal.Busy, "many devices that are not logged in ask for much; log in (shoal login NAME), or try again later")

// request returns a message to decode a frame into: one that is used again for what is asked most.
func (s *Session) request(h wire.Header) wire.Message {
	if h.Kind == wire.KindLookup {
		s.sit()
		return &s.desk.asked
	}
	return wire.NewMessage(h)
}

// endError is an answer that ends the connection.
type endError struct{ error }

func (s *Session) bye(_ context.Context, m *wire.Bye) (*wire.Empty, error) {
	s.log.Debug().AnErr("bye", m.Err()).Send()
	return nil, endError{errBye}
}

func (s *Session) ping(context.Context, *wire.Empty) (*wire.Empty, error) {
	return new(wire.Empty), nil
}

// cancel does nothing: what it is about has been answered (rule P9).
func (s *Session) cancel(context.Context, *wire.Cancel) (*wire.Empty, error) { return nil, nil }

// mutate carries out a mutation once (rule S1), and returns when it is in the registry. It goes on when the server stops,
// for a while, and where nobody knows what became of it then, the connection ends without an answer.
func (s *Session) mutate(ctx context.Context, sequence uint64, m meta.Mutation) (meta.Outcome, error) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(stopPatience, cancel)
		context.AfterFunc(patient, func() { timer.Stop() })
	})
	defer stop()
	o, err := s.host.Mutate(patient, meta.ID{Device: s.device, Sequence: sequence}, m)
	if patient.Err() != nil && err != nil {
		return o, endError{errStopping}
	}
	return o, err
}

func (s *Session) publish(ctx context.Context, m *wire.Publish) (*wire.MutationReply, error) {
	begin := time.Now()
	o, err := s.publishOnce(ctx, m)
	if err == nil {
		s.host.Facts.Published(m.Group, m.Name, m.Content, m.Head)
	}
	s.audit("publish", object(m.Group, m.Name), m.Content, begin, err)
	return &wire.MutationReply{Revision: o.Revision}, err
}

// publishOnce carries out PUBLISH, once the manifest that comes with mirrors has been verified (rule W3).
func (s *Session) publishOnce(ctx context.Context, m *wire.Publish) (o meta.Outcome, err error) {
	if len(m.Mirrors) > 0 {
		if err := checkKept(m); err != nil {
			return o, err
		}
	}
	return s.mutate(ctx, m.Sequence, &meta.Publish{
		Group: m.Group, Name: m.Name, Content: m.Content, Mirrors: m.Mirrors, Manifest: m.Manifest,
	})
}

func (s *Session) unpublish(ctx context.Context, m *wire.Unpublish) (*wire.MutationReply, error) {
	begin := time.Now()
	o, err := s.mutate(ctx, m.Sequence, &meta.Unpublish{Group: m.Group, Name: m.Name, File: m.File})
	if err == nil {
		s.host.Facts.Unpublished(m.Group, m.Name)
	}
	s.audit("unpublish", object(m.Group, m.Name), shoal.Object{ID: m.File}, begin, err)
	return &wire.MutationReply{Revision: o.Revision}, err
}

func (s *Session) list(ctx context.Context, m *wire.List) (*wire.ListReply, error) {
	if err := s.upToDate(ctx); err != nil {
		return nil, err
	}
	revision, entries, more, err := s.host.Registry.List(s.device, m.Group, m.After, int(m.Limit))
	s.reads.List(err)
	s.host.Swarms.Count(m.Group, entries)
	return &wire.ListReply{Revision: revision, Entries: entries, More: more}, err
}

func (s *Session) lookup(ctx context.Context, m *wire.Lookup) (*wire.LookupReply, error) {
	if err := s.upToDate(ctx); err != nil {
		return nil, err
	}
	revision, found, mirrors, err := s.host.Registry.Lookup(s.device, m)
	s.reads.Lookup(err)
	if err != nil {
		return nil, err
	}
	d := s.desk // where m is from
	d.found = wire.LookupReply{
		Revision: revision, Name: found.Name, Content: found.Content, Facts: found.Facts,
		Mirrors: mirrors, PrivateMirrors: s.host.PrivateMirrors,
	}
	d.sources, d.found.Availability, d.found.Missing = s.offers.Sources(
		d.sources[:0], shoal.Swarm{Group: m.Group, Object: found.Content}, time.Now())
	d.found.Sources = d.sources
	if d.found.Whole+d.found.Partial == 0 {
		d.all[0] = shoal.Span{Count: uint32(found.Content.Pieces())}
		d.found.Missing = d.all[:]
	}
	return &d.found, nil
}

// upToDate returns when the registry has all that was acknowledged before, by whichever server.
func (s *Session) upToDate(ctx context.Context) error {
	if s.host.Barrier == nil {
		return nil
	}
	return s.host.Barrier(ctx)
}
