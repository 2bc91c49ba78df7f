package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"shoal"
	"shoal/xdr"
)

// Limits of shoal.x, in bytes or elements.
const (
	MaxStatement  = 4096
	MaxSources    = 50
	MaxList       = 1000
	MaxOffers     = 500
	MaxMissing    = 256 // spans of pieces that nobody has
	MaxHave       = 1024
	MaxRecords    = 50
	MaxLines      = 524288
	MaxCursor     = 255
	MaxGrep       = 1024
	MaxSwarms     = 1024 // swarms that one connection may have joined (rule P2)
	MaxUsername   = 64
	MaxPassword   = 1024
	MaxCode       = 128            // of a code as typed
	MaxLabel      = 255            // of a device
	MaxDevices    = 64             // of a user
	MaxGrace      = 30 * 24 * 3600 // seconds
	maxText       = 1024
	maxSoftware   = 64
	maxHost       = 255
	maxUser       = 255 // of what may be a user's name
	maxOperation  = 64
	maxSiblings   = 27
	maxBitfield   = shoal.MaxPieces / 8
	maxTail       = 1024
	maxValues     = 65536 // blocks of shoal.BlockUnit in the longest piece
	pieceHeadSize = 8
)

// Message is one of the message types below. Append encodes; Decode checks and decodes. What was decoded aliases the
// frame's body, unless its type is a string or an array.
type Message interface {
	Append(b []byte) []byte
	decode(d *xdr.Decoder)
}

// Sequence is where a mutation has its sequence number (rule S1); nil for other messages.
func Sequence(m Message) *uint64 {
	switch m := m.(type) {
	case *Publish:
		return &m.Sequence
	case *Unpublish:
		return &m.Sequence
	case *Register:
		return &m.Sequence
	case *Login:
		return &m.Sequence
	case *Logout:
		return &m.Sequence
	case *Account:
		return &m.Sequence
	case *PasswordChange:
		return &m.Sequence
	case *GroupChange:
		return &m.Sequence
	case *Invite:
		return &m.Sequence
	case *StopShare:
		return &m.Sequence
	}
	return nil
}

// Service is what an initiator wants to talk to.
type Service uint32

// The services.
const (
	ServiceServer Service = 1
	ServicePeer   Service = 2
)

// Security says how a connection is protected.
type Security uint32

// The securities. Neither side ever falls back from one to the other.
const (
	TLS       Security = 1
	Plaintext Security = 2
)

func (s Security) String() string {
	if s == Plaintext {
		return "plaintext"
	}
	return "TLS"
}

// Nonce is 32 fresh random bytes.
type Nonce [32]byte

// Signature is an Ed25519 signature.
type Signature [64]byte

// Empty is the body of PING, and of replies that say no more than "done".
type Empty struct{}

// ErrorReply answers a request that failed.
type ErrorReply struct {
	Code shoal.Code
	Text string
}

// NewErrorReply carries err's code and text; the details of an internal error stay here.
func NewErrorReply(err error) *ErrorReply {
	code := shoal.CodeOf(err)
	if code == shoal.Internal {
		return &ErrorReply{code, "internal error; the other side's log has the details"}
	}
	return &ErrorReply{code, cutText(err.Error())}
}

// Err is the error that the reply stands for.
func (m *ErrorReply) Err() error { return remoteError(m.Code, m.Text) }

// Bye says why the sender ends the connection.
type Bye ErrorReply

// NewBye carries err's code and text.
func NewBye(err error) *Bye { return (*Bye)(NewErrorReply(err)) }

// Err is the error that ended the connection.
func (m *Bye) Err() error { return remoteError(m.Code, m.Text) }

// Hello opens a connection.
type Hello struct {
	Version  uint32
	Wanted   Service
	Secured  Security
	Random   Nonce
	Device   shoal.DeviceID
	Software string
}

// HelloReply identifies the responder. Now is its time in milliseconds since 1970 UTC.
type HelloReply struct {
	Version     uint32
	Secured     Security
	Random      Nonce
	Identity    [32]byte
	Now         int64
	Certificate []byte
	Proof       Signature
	Software    string
}

// Auth proves who the initiator is.
type Auth struct{ Proof Signature }

// AuthReply ends the handshake. Observed is the initiator's IP address as the responder sees it.
type AuthReply struct {
	Session  uint64
	Observed string
}

func (*Empty) Append(b []byte) []byte { return b }
func (*Empty) decode(*xdr.Decoder)    {}

func (m *ErrorReply) Append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendUint32(b, uint32(m.Code)), m.Text)
}

func (m *ErrorReply) decode(d *xdr.Decoder) {
	m.Code = shoal.Code(d.Uint32())
	m.Text = text(d, maxText)
}

func (m *Bye) Append(b []byte) []byte { return (*ErrorReply)(m).Append(b) }
func (m *Bye) decode(d *xdr.Decoder)  { (*ErrorReply)(m).decode(d) }

func (m *Hello) Append(b []byte) []byte {
	b = xdr.AppendUint32(b, m.Version)
	b = xdr.AppendUint32(b, uint32(m.Wanted))
	b = xdr.AppendUint32(b, uint32(m.Secured))
	b = xdr.AppendFixed(b, m.Random[:])
	b = xdr.AppendFixed(b, m.Device[:])
	return xdr.AppendString(b, m.Software)
}

func (m *Hello) decode(d *xdr.Decoder) {
	m.Version = d.Uint32()
	m.Wanted = Service(enum(d, "service", uint32(ServicePeer)))
	m.Secured = DecodeSecurity(d)
	copy(m.Random[:], d.Fixed(len(m.Random)))
	copy(m.Device[:], d.Fixed(len(m.Device)))
	m.Software = text(d, maxSoftware)
}

func (m *HelloReply) Append(b []byte) []byte {
	b = xdr.AppendUint32(b, m.Version)
	b = xdr.AppendUint32(b, uint32(m.Secured))
	b = xdr.AppendFixed(b, m.Random[:])
	b = xdr.AppendFixed(b, m.Identity[:])
	b = xdr.AppendInt64(b, m.Now)
	b = xdr.AppendOpaque(b, m.Certificate)
	b = xdr.AppendFixed(b, m.Proof[:])
	return xdr.AppendString(b, m.Software)
}

func (m *HelloReply) decode(d *xdr.Decoder) {
	m.Version = d.Uint32()
	m.Secured = DecodeSecurity(d)
	copy(m.Random[:], d.Fixed(len(m.Random)))
	copy(m.Identity[:], d.Fixed(len(m.Identity)))
	m.Now = d.Int64()
	m.Certificate = d.Opaque(MaxStatement)
	copy(m.Proof[:], d.Fixed(len(m.Proof)))
	m.Software = text(d, maxSoftware)
}

func (m *Auth) Append(b []byte) []byte { return xdr.AppendFixed(b, m.Proof[:]) }
func (m *Auth) decode(d *xdr.Decoder)  { copy(m.Proof[:], d.Fixed(len(m.Proof))) }

func (m *AuthReply) Append(b []byte) []byte {
	return xdr.AppendString(xdr.AppendUint64(b, m.Session), m.Observed)
}

func (m *AuthReply) decode(d *xdr.Decoder) {
	m.Session = d.Uint64()
	m.Observed = text(d, maxHost)
}

// DecodeSecurity reads a Security.
func DecodeSecurity(d *xdr.Decoder) Security {
	return Security(enum(d, "security", uint32(Plaintext)))
}

// enum reads an enum whose values are 1 to last.
func enum(d *xdr.Decoder, what string, last uint32) uint32 { return enumFrom(d, what, 1, last) }

func enumFrom(d *xdr.Decoder, what string, first, last uint32) uint32 {
	v := d.Uint32()
	if d.Err() == nil && (v < first || v > last) {
		d.Fail("%s of %d", what, v)
	}
	return v
}

// text reads a string that is shown to people.
func text(d *xdr.Decoder, limit int) string {
	s := d.String(limit)
	if !utf8.ValidString(s) {
		d.Fail("text that is not UTF-8")
	}
	return s
}

// printable replaces what a terminal would obey; Error texts of strangers are shown to people.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// cutText makes s a text that the protocol can carry: UTF-8, and not too long. Errors may quote any bytes.
func cutText(s string) string {
	s = strings.ToValidUTF8(s, string(unicode.ReplacementChar))
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// remoteError makes a stranger's error one of ours, without what a terminal would obey.
func remoteError(code shoal.Code, text string) error {
	if !code.Known() {
		code = shoal.Internal
	}
	return shoal.Errorf(code, "%s", printable(text))
}
