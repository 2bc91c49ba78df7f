// Package wire is the Shoal protocol on the wire: frames, messages and their limits, as PROTOCOL.md and shoal.x in
// this folder define them. It holds no state of a conversation: who may send what when is for its users.
package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"shoal"
	"shoal/xdr"
)

// Version is the protocol's version, and ALPN its name in TLS.
const (
	Version = 1
	ALPN    = "shoal/1"
)

// HeaderSize is the size of a frame's header, in bytes.
const HeaderSize = 12

// Flags of a frame.
type Flags uint16

// A frame has no flags (a request or an event), FlagReply, or both.
const (
	FlagReply Flags = 1
	FlagError Flags = 2
)

// Header is what stands before a frame's body (PROTOCOL.md section 3).
type Header struct {
	Length uint32 // of the body, in bytes
	Kind   Kind
	Flags  Flags
	ID     uint32
}

// Frame is one frame as read. Body aliases the reader's buffer and is valid until the next read. Of a PIECE (the reply
// to REQUEST) Body is only the head; Data bytes of the block follow on the connection.
type Frame struct {
	Header
	Body   []byte
	Data   int
	Passed bool // the body was passed over, as Conn.Large said
}

// OwnBody is Body, to keep: a copy, unless it is so large that it was made for this frame alone.
func (f Frame) OwnBody() []byte {
	if len(f.Body) > readBuffer {
		return f.Body
	}
	return bytes.Clone(f.Body)
}

// IsReply reports whether the frame answers a request.
func (h Header) IsReply() bool { return h.Flags&FlagReply != 0 }

// IsPiece reports whether the frame carries a block.
func (h Header) IsPiece() bool { return h.Kind == KindRequest && h.Flags == FlagReply }

func (h Header) String() string {
	what := "request"
	switch {
	case h.Flags&FlagError != 0:
		what = "error"
	case h.IsReply():
		what = "reply"
	case h.ID == 0:
		what = "event"
	}
	return fmt.Sprintf("%v %s %d, %d bytes", h.Kind, what, h.ID, h.Length)
}

// ParseHeader reads the HeaderSize bytes of a header and enforces rules F1 to F5 as far as one frame can show them. The
// error has code BadRequest and holds a Breach; the Header is as read even then.
func ParseHeader(b []byte) (Header, error) {
	h := readHeader(b)
	return h, h.check()
}

// IsHeader reports whether ParseHeader has no error for these bytes. It allocates nothing: who looks for a header in the middle
// of a stream asks at every byte.
func IsHeader(b []byte) bool { return readHeader(b).flaw() == sound }

func readHeader(b []byte) Header {
	return Header{
		Length: binary.BigEndian.Uint32(b),
		Kind:   Kind(binary.BigEndian.Uint16(b[4:])),
		Flags:  Flags(binary.BigEndian.Uint16(b[6:])),
		ID:     binary.BigEndian.Uint32(b[8:]),
	}
}

// flaw is what is wrong with a header.
type flaw int

const (
	sound flaw = iota
	unknownKind
	unknownFlags
	answeredEvent
	answeredNothing
	wrongID
	tooLong
	tooShort
)

func (h Header) flaw() flaw {
	spec := h.Kind.row()
	switch {
	case spec == nil:
		return unknownKind
	case h.Flags != 0 && h.Flags != FlagReply && h.Flags != FlagReply|FlagError:
		return unknownFlags
	case spec.event && h.Flags != 0:
		return answeredEvent
	case h.Flags != 0 && h.ID == 0:
		return answeredNothing
	case spec.event != (h.ID == 0):
		return wrongID
	case h.Length > spec.limit(h.Flags):
		return tooLong
	case h.IsPiece() && h.Length < pieceHeadSize:
		return tooShort
	}
	return sound
}

func (h Header) check() error {
	switch h.flaw() {
	case unknownKind:
		return breaks("F2", "a frame of unknown kind %d", uint16(h.Kind))
	case unknownFlags:
		return breaks("F2", "a %v frame with flags %#x", h.Kind, uint16(h.Flags))
	case answeredEvent:
		return breaks("F5", "a reply to %v, which is an event", h.Kind)
	case answeredNothing:
		return breaks("F5", "a reply to %v %d, which is no request", h.Kind, h.ID)
	case wrongID:
		return breaks("F3", "a %v frame with id %d", h.Kind, h.ID)
	case tooLong:
		return breaks("F1", "a %v frame of %d bytes where %d are allowed", h.Kind, h.Length, h.Kind.row().limit(h.Flags))
	case tooShort:
		return breaks("X1", "a piece of %d bytes, shorter than its head", h.Length)
	}
	return nil
}

// Unserved is the end of a connection for a frame of an initiator that has no place there. to is who got it, such as "a peer".
func Unserved(h Header, to string) error {
	switch {
	case h.Kind == KindHello || h.Kind == KindAuth:
		return shoal.Errorf(shoal.BadRequest, "a second %v (rule H1)", h.Kind)
	case h.ID == 0:
		return shoal.Errorf(shoal.BadRequest, "%v, which no initiator sends to %s (rule F6)", h, to)
	}
	return shoal.Errorf(shoal.BadRequest, "%v, which %s does not serve (rule F2)", h, to)
}

func (h Header) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, h.Length)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Kind))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Flags))
	return binary.BigEndian.AppendUint32(b, h.ID)
}

// AppendRequest appends a request with the given id, not 0.
func AppendRequest(b []byte, k Kind, id uint32, m Message) []byte {
	return AppendFrame(b, Header{Kind: k, ID: id}, m)
}

// AppendEvent appends an event.
func AppendEvent(b []byte, k Kind, m Message) []byte { return AppendFrame(b, Header{Kind: k}, m) }

// AppendReply appends the reply to a request.
func AppendReply(b []byte, k Kind, id uint32, m Message) []byte {
	return AppendFrame(b, Header{Kind: k, Flags: FlagReply, ID: id}, m)
}

// AppendError appends the error that answers a request: err's code and its text, cut at the protocol's limit.
func AppendError(b []byte, k Kind, id uint32, err error) []byte {
	return AppendFrame(b, Header{Kind: k, Flags: FlagReply | FlagError, ID: id}, NewErrorReply(err))
}

// AppendPieceHead appends the beginning of a PIECE; length bytes of the block must follow on the connection.
func AppendPieceHead(b []byte, id uint32, head PieceHead, length uint32) []byte {
	h := Header{Length: pieceHeadSize + length, Kind: KindRequest, Flags: FlagReply, ID: id}
	return head.Append(h.append(b))
}

// AppendFrame appends a frame of that kind, those flags and that id with m as its body, be it right or not.
func AppendFrame(b []byte, h Header, m Message) []byte {
	start := len(b)
	b = m.Append(h.append(b))
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-HeaderSize))
	return b
}

// Decode reads the body of a frame into m, whose type must be that of the frame's kind. The error has code BadRequest.
// A message that was decoded into before is no different from a new one, but keeps what strings it can.
func Decode(body []byte, m Message) error {
	d := decoders.Get().(*xdr.Decoder)
	*d = *xdr.NewDecoder(body)
	m.decode(d)
	err := d.Finish()
	*d = xdr.Decoder{}
	decoders.Put(d)
	if err != nil {
		return refused(m, err)
	}
	return nil
}

// decoders are those that are not in use.
var decoders = sync.Pool{New: func() any { return new(xdr.Decoder) }}

// DecodePieceHead is Decode for the Body of a PIECE. It allocates nothing.
func DecodePieceHead(body []byte) (PieceHead, error) {
	var head PieceHead
	d := xdr.NewDecoder(body)
	head.decode(d)
	if err := d.Finish(); err != nil {
		return PieceHead{}, refused(new(PieceHead), err)
	}
	return head, nil
}

// refused is why m could not be decoded, with the rule that was broken.
func refused(m Message, err error) error {
	var named *Breach
	switch {
	case errors.As(err, &named):
		return shoal.Errorf(shoal.BadRequest, "decoding %T: %w", m, err)
	case errors.Is(err, xdr.ErrLength):
		return breaks("X2", "decoding %T: %w", m, err)
	}
	return breaks("X1", "decoding %T: %w", m, err)
}

// Breach is why what was read well is refused: the number of the rule that is broken, and how. Rule F7 wants the rule told.
type Breach struct {
	Rule string
	err  error
}

func (b *Breach) Error() string { return fmt.Sprintf("%v (rule %s)", b.err, b.Rule) }

func (b *Breach) Unwrap() error { return b.err }

// breaks makes an error of code BadRequest that is a Breach of the rule.
func breaks(rule, format string, args ...any) error {
	return shoal.Errorf(shoal.BadRequest, "%w", &Breach{rule, fmt.Errorf(format, args...)})
}

// check fails the decoding by err, if there is one, as a breach of the rule.
func check(d *xdr.Decoder, rule string, err error) {
	if err != nil {
		d.Fail("%w", &Breach{rule, err})
	}
}

// NewMessage returns an empty message of the type that frames with header h carry. h must come from a Conn.
func NewMessage(h Header) Message {
	switch {
	case h.Flags&FlagError != 0:
		return new(ErrorReply)
	case h.IsReply():
		return rows[h.Kind].reply()
	}
	return rows[h.Kind].request()
}
