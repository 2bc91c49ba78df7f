// Package dialect tells which protocol a captured conversation is in by how it begins, and reads of ONC RPC, HTTP and TLS what
// a report counts: calls and their answers, or whom a client wants. Shoal's own is read by package check.
package dialect

import (
	"bytes"
	"encoding/binary"
	"time"

	"shoal/tests/pcap/check"
	"shoal/wire"
)

// Dialect is a protocol.
type Dialect string

// The dialects.
const (
	Unknown Dialect = "unknown"
	Shoal   Dialect = "shoal"
	TLS     Dialect = "tls"
	RPC     Dialect = "rpc"
	HTTP    Dialect = "http"
)

// Reader reads a conversation in one dialect. As a stream.Handler it is told what the capture has and what not.
type Reader interface {
	Data(from check.Side, at time.Time, b []byte)
	Lost(from check.Side, n int64)
}

// Call is a request, and from the answer on, that.
type Call struct {
	Name   string // of what is called, as the caller says: not fit for a terminal
	At     time.Time
	Size   int64 // bytes of the request
	Answer time.Time
	Failed bool
	Back   int64 // bytes of the answer
}

// Observer is told of each call when it is made, and when it is answered.
type Observer interface {
	Called(*Call)
	Answered(*Call)
}

const (
	maxCalls  = 1024 // of a conversation, that wait for their answers
	firstCall = 28   // bytes by which the first call of ONC RPC over TCP is known
	helloMax  = 256
)

// Recognise tells the dialect of a conversation by the first bytes of who opened it. decided is false where more bytes may
// tell.
func Recognise(first []byte) (d Dialect, decided bool) {
	switch {
	case startsWith(first, []byte{0x16, 3}):
		return TLS, len(first) >= 2
	case isRequestLine(first):
		return HTTP, len(first) >= 8
	case len(first) < wire.HeaderSize:
		return Unknown, false
	case isHello(first):
		return Shoal, true
	case len(first) < firstCall:
		return Unknown, binary.BigEndian.Uint32(first[8:]) != 0 // no call
	case isCall(first[4:]) && binary.BigEndian.Uint32(first)&^lastFragment >= firstCall-4:
		return RPC, true
	}
	return Unknown, true
}

// startsWith reports whether b begins with prefix, as far as there is enough of b.
func startsWith(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return n > 0 && bytes.Equal(b[:n], prefix[:n])
}

// isHello reports whether a connection of Shoal's begins with b.
func isHello(b []byte) bool {
	h, err := wire.ParseHeader(b[:wire.HeaderSize])
	return err == nil && h.Kind == wire.KindHello && h.Flags == 0 && h.Length <= helloMax
}

// Midway looks in the middle of a conversation for a frame of Shoal's: where in b it begins, -1 for none, and which side sends
// such.
func Midway(b []byte) (at int, from check.Side) {
	tries := 0
	for at := 0; at+wire.HeaderSize <= len(b) && tries < maxTries; at++ {
		if !wire.IsHeader(b[at:]) {
			continue
		}
		tries++
		h, err := wire.ParseHeader(b[at : at+wire.HeaderSize])
		if err != nil || h.ID == 0 || h.Length == 0 || !decodes(h, b[at+wire.HeaderSize:]) {
			continue
		}
		if h.IsReply() {
			return at, check.Responder
		}
		return at, check.Initiator
	}
	return -1, 0
}

// maxTries is how many bodies are decoded in vain in one packet, at most.
const maxTries = 4

// decodes reports whether what follows a header is its body. It must be there, but for the block of a PIECE.
func decodes(h wire.Header, rest []byte) bool {
	size := int(h.Length)
	if h.IsPiece() {
		size = pieceHead
	}
	if len(rest) < size {
		return false
	}
	m := wire.NewMessage(h)
	if wire.Decode(rest[:size], m) != nil {
		return false
	}
	if head, ok := m.(*wire.PieceHead); ok { // which decodes from anything
		return head.Piece < 1<<16 && head.Begin%(16<<10) == 0 && head.Begin < 1<<30
	}
	return true
}

const pieceHead = 8 // bytes
