package check

import "shoal/wire"

// seek looks for the next frame in what follows a gap, and returns what follows its beginning: a header that can be right
// there, with a body that can be decoded.
func (s *stream) seek(b []byte) []byte {
	s.buf = append(s.buf, b...)
	for len(s.buf) >= wire.HeaderSize {
		if !wire.IsHeader(s.buf) { // without an error of each byte
			s.buf = s.buf[1:]
			continue
		}
		var f Frame
		size, err := f.bodySize(s.buf)
		if err != nil || size > maxFound || !s.plausible(&f) {
			s.buf = s.buf[1:]
			continue
		}
		if len(s.buf) < wire.HeaderSize+size {
			return nil // it is known when more has come
		}
		if !s.decodes(&f, s.buf[wire.HeaderSize:wire.HeaderSize+size]) {
			s.buf = s.buf[1:]
			continue
		}
		if !s.followed(s.buf[wire.HeaderSize+size:], &f) {
			s.buf = s.buf[1:]
			continue
		}
		found := s.buf
		s.buf, s.seeking, s.unsure = nil, false, believed
		return found
	}
	return nil
}

// maxFound is how long the body of a frame may be, in bytes, for what follows a gap to begin with it: as much is decoded at each
// byte where one might be.
const maxFound = 1 << 10

// believed is how many frames must make sense after a gap until what makes none is held against the sender.
const believed = 3

// doubt goes back to seeking, a byte after where the last frame was thought to begin.
func (s *stream) doubt(b []byte) []byte {
	again := append(s.buf[1:len(s.buf):len(s.buf)], b...)
	s.buf, s.head, s.seeking = nil, nil, true
	return again
}

// followed reports whether what comes behind a frame, as far as it is there, can be the next one.
func (s *stream) followed(b []byte, f *Frame) bool {
	if f.Data >= len(b) {
		return true
	}
	var next Frame
	if b = b[f.Data:]; len(b) < wire.HeaderSize {
		return true
	}
	_, err := next.bodySize(b)
	return err == nil && s.plausible(&next)
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
