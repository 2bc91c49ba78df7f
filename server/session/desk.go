package session

import (
	"sync"

	"shoal"
	"shoal/wire"
)

// desk is what a session needs only while it has something to answer: most sessions are silent, most of the time.
type desk struct {
	out     []byte // a buffer for replies
	asked   wire.Lookup
	found   wire.LookupReply
	sources []wire.Source
	all     [1]shoal.Span // of an object's pieces, where nobody has any
}

// desks are those that nobody works at.
var desks = sync.Pool{New: func() any { return new(desk) }}

// sit gets the session a desk, if it has none.
func (s *Session) sit() {
	if s.desk == nil {
		s.desk = desks.Get().(*desk)
		s.out = append(s.desk.out[:0], s.out...)
	}
}

// rise gives the desk back. There must be nothing left to send.
func (s *Session) rise() {
	if d := s.desk; d != nil {
		if cap(s.out) <= keepReplies {
			d.out = s.out
		}
		clear(d.sources[:cap(d.sources)]) // what they refer to is not to outlive the sessions that it is of
		d.found = wire.LookupReply{}
		s.desk = nil
		desks.Put(d)
	}
	s.out = nil
}
