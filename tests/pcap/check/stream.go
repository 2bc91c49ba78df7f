package check

import (
	"errors"
	"time"

	"shoal/wire"
)

const pieceHead = 8 // bytes of a PIECE before the block

// Frame is one frame as captured.
type Frame struct {
	Conn  *Conn
	From  Side
	Began time.Time // when its first byte was captured
	At    time.Time // when its last byte was
	Index int       // among the frames of its sender, from 0
	wire.Header
	Message wire.Message // decoded; nil where that is not possible
	Body    []byte       // as captured, without the block of a PIECE
	Data    int          // bytes of the block of a PIECE
	Missing int          // how many of these the capture does not have
	Request *Frame       // that a reply answers; nil where it was not captured
	Handle  *Handle      // that it is about, between peers; nil where it is not known

	ask ask // of a request
}

// stream cuts the bytes of one direction into frames.
type stream struct {
	conn    *Conn
	from    Side
	index   int
	buf     []byte // of the frame that is being read: header and body
	began   time.Time
	head    *Frame // that frame, when its header is there
	size    int    // of its body, without the block of a PIECE
	piece   *Frame // a PIECE whose block is being read
	left    int    // bytes of it to come
	skip    int    // bytes of a frame to come that is not known in full
	seeking bool   // there is no saying where the next frame begins
	unsure  int    // so many frames must be right until it is believed that the first of them was one
	dead    bool   // what follows makes no sense
}

// feed takes the next bytes.
func (s *stream) feed(at time.Time, b []byte) {
	if h10 := s.conn.bye[s.from]; h10 != nil && len(b) > 0 && !s.dead {
		s.dead = true
		s.conn.breakOff(&Frame{Conn: s.conn, From: s.from, At: at, Index: s.index}, "H10", "%d bytes after BYE", len(b))
	}
	for len(b) > 0 && !s.dead {
		switch {
		case s.skip > 0:
			n := min(s.skip, len(b))
			s.skip, b = s.skip-n, b[n:]
		case s.piece != nil:
			n := min(s.left, len(b))
			s.conn.block(s.piece, b[:n])
			s.left, b = s.left-n, b[n:]
			s.endPiece(at)
		case s.seeking:
			b = s.seek(b)
		default:
			b = s.read(at, b)
		}
	}
}

// read takes the bytes of one header or body from b, and returns the rest.
func (s *stream) read(at time.Time, b []byte) []byte {
	if len(s.buf) == 0 {
		s.began = at
	}
	if s.head == nil {
		if b = s.fill(b, wire.HeaderSize); s.index == 0 && len(s.buf) >= 3 && isTLS(s.buf) {
			s.refuseTLS(at)
			return nil
		}
		if len(s.buf) < wire.HeaderSize {
			return b
		}
		var err error
		s.head = s.frame(at)
		if s.size, err = s.head.bodySize(s.buf); err != nil {
			return s.refuse(err, b)
		}
	}
	if b = s.fill(b, wire.HeaderSize+s.size); len(s.buf) < wire.HeaderSize+s.size {
		return b
	}
	f := s.head
	if s.unsure > 0 {
		if !s.plausible(f) || !s.decodes(f, s.buf[wire.HeaderSize:]) {
			return s.doubt(b)
		}
		s.unsure--
	}
	f.At = at
	s.complete(f)
	return b
}

// refuse takes a header that is against a rule.
func (s *stream) refuse(err error, b []byte) []byte {
	if s.unsure > 0 {
		return s.doubt(b)
	}
	s.dead = true
	s.conn.refuse(s.head, err)
	return nil
}

// fill moves bytes from b until the buffer has n, and returns the rest.
func (s *stream) fill(b []byte, n int) []byte {
	take := min(max(0, n-len(s.buf)), len(b))
	s.buf = append(s.buf, b[:take]...)
	return b[take:]
}

func (s *stream) frame(at time.Time) *Frame {
	return &Frame{Conn: s.conn, From: s.from, Began: s.began, At: at, Index: s.index}
}

// bodySize reads the header at the beginning of b and returns how long what follows is, without the block of a PIECE.
func (f *Frame) bodySize(b []byte) (size int, err error) {
	f.Header, err = wire.ParseHeader(b[:wire.HeaderSize])
	size = int(f.Length)
	if f.IsPiece() {
		f.Data, size = size-pieceHead, pieceHead
	}
	return size, err
}

// complete hands a frame on whose header and body are in the buffer.
func (s *stream) complete(f *Frame) {
	f.Body = s.buf[wire.HeaderSize:len(s.buf):len(s.buf)]
	s.buf, s.head = nil, nil // they are handed on
	s.index++
	f.decode()
	if f.IsPiece() {
		s.piece, s.left = f, f.Data
		s.conn.beginBlock(f)
		s.endPiece(f.At)
		return
	}
	s.conn.take(f)
}

// endPiece hands a PIECE on when all of its block has come.
func (s *stream) endPiece(at time.Time) {
	if s.left > 0 {
		return
	}
	f := s.piece
	s.piece, f.At = nil, at
	s.conn.take(f)
}

// lose passes over n bytes that were not captured, n < 0 for any number.
func (s *stream) lose(n int64) {
	if s.dead {
		return
	}
	if s.piece != nil {
		in := s.left
		if n >= 0 {
			in = int(min(n, int64(in)))
			n -= int64(in)
		}
		s.losePiece(in)
		s.endPiece(s.piece.At)
		if n == 0 {
			return
		}
	}
	s.conn.lose()
	if s.skip == 0 {
		if s.skip = s.rest(); s.skip > 0 {
			s.index++
		}
	}
	if n >= 0 && n <= int64(s.skip) {
		s.skip -= int(n)
	} else {
		s.seeking, s.skip = true, 0
	}
	s.buf, s.head = nil, nil
}

// rest is how many bytes of a frame whose header is known are to come.
func (s *stream) rest() int {
	if s.head == nil {
		return 0
	}
	return wire.HeaderSize + s.size + s.head.Data - len(s.buf)
}

func (s *stream) losePiece(n int) {
	s.piece.Missing += n
	s.left -= n
	s.conn.loseBlock(s.piece, n)
}

// decode reads the message, and holds what it would be encoded as against what was captured.
func (f *Frame) decode() {
	m := wire.NewMessage(f.Header)
	if err := wire.Decode(f.Body, m); err != nil {
		f.Conn.refuse(f, err)
		return
	}
	f.Message = m
	again := wire.AppendFrame(make([]byte, 0, wire.HeaderSize+len(f.Body)), f.Header, m)
	if string(again[wire.HeaderSize:]) != string(f.Body) {
		f.Conn.breakOff(f, "X1", "it is encoded otherwise than as XDR says")
	}
}

// ruleOf is the rule that decoding found broken.
func ruleOf(err error) string {
	var named *wire.Breach
	if errors.As(err, &named) {
		return named.Rule
	}
	return "X1"
}

// isTLS recognises a record of TLS: a handshake or an alert (RFC 8446 section 5.1).
func isTLS(b []byte) bool { return (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 }

func (s *stream) refuseTLS(at time.Time) {
	s.dead = true
	s.conn.breakOff(s.frame(at), "T2", "TLS on a connection in plaintext")
}
