package check

import (
	"time"

	"shoal/wire"
)

// seek looks for the next frame in what follows a gap, and returns what follows its beginning: a header that can be right
// there, with a body that can be decoded.
func (s *stream) seek(at time.Time, b []byte) []byte {
	s.buf = append(s.buf, b...)
	for len(s.buf) >= wire.HeaderSize {
		if !wire.IsHeader(s.buf) {
			s.buf = s.buf[1:]
			continue
		}
		f := s.frame(at)
		size, err := f.bodySize(s.buf)
		if err != nil || !s.plausible(f) {
			s.buf = s.buf[1:]
			continue
		}
		if len(s.buf) < wire.HeaderSize+size {
			return nil // it is known when more has come
		}
		if !s.decodes(f, s.buf[wire.HeaderSize:wire.HeaderSize+size]) {
			s.buf = s.buf[1:]
			continue
		}
		found := s.buf
		s.buf, s.seeking = nil, false
		return found
	}
	return nil
}

// plausible reports whether a header can be one of the side's.
func (s *stream) plausible(f *Frame) bool {
	switch {
	case f.IsReply() != (s.from == Responder) && f.ID != 0:
		return false
	case f.ID == 0:
		return s.from == Initiator && fromInitiator[f.Kind] || s.from == Responder && (fromPeer[f.Kind] || fromServer[f.Kind])
	}
	return true
}

// decodes reports whether the body makes sense; of a PIECE, of which little can be told by itself, whether it was asked for,
// where that can be known.
func (s *stream) decodes(f *Frame, body []byte) bool {
	m := wire.NewMessage(f.Header)
	if wire.Decode(body, m) != nil {
		return false
	}
	head, isPiece := m.(*wire.PieceHead)
	if !isPiece {
		return true
	}
	if asked := s.conn.open[f.ID]; asked != nil && asked.Kind == wire.KindRequest {
		r, ok := asked.Message.(*wire.Request)
		return ok && *head == wire.PieceHead{Piece: r.Piece, Begin: r.Begin} && f.Data == int(r.Length)
	}
	return head.Piece < 1<<16 && head.Begin < 1<<30 && f.Data > 0 && f.Data <= 1<<20
}
