package dialect

import (
	"time"

	"golang.org/x/crypto/cryptobyte"

	"shoal/tests/pcap/check"
)

// Numbers of RFC 8446, RFC 6066 and RFC 7301.
const (
	recordHandshake = 22
	clientHello     = 1
	extensionName   = 0
	extensionALPN   = 16
	maxClientHello  = 32 << 10
)

// TLSStream reads what a client says in clear: whom it wants, and which protocols it offers.
type TLSStream struct {
	hello func(name string, protocols []string) // called once, when that is known; not fit for a terminal
	begin []byte                                // records of the client
	done  bool
}

// NewTLSStream is a Reader.
func NewTLSStream(hello func(name string, protocols []string)) *TLSStream {
	return &TLSStream{hello: hello}
}

func (s *TLSStream) Data(from check.Side, _ time.Time, b []byte) {
	if from != check.Initiator || s.done {
		return
	}
	s.begin = append(s.begin, b[:min(len(b), maxClientHello-len(s.begin))]...)
	message, whole := handshakeMessage(s.begin)
	if !whole && len(s.begin) < maxClientHello {
		return
	}
	if name, protocols, ok := parseClientHello(message); ok {
		s.hello(name, protocols)
	}
	s.end()
}

func (s *TLSStream) end() { s.done, s.begin = true, nil }

func (s *TLSStream) Lost(from check.Side, _ int64) {
	if from == check.Initiator {
		s.end()
	}
}

// handshakeMessage is the first one in the records at the beginning of b; whole is false where more is needed.
func handshakeMessage(b []byte) (message []byte, whole bool) {
	records := cryptobyte.String(b)
	var all []byte
	for {
		var kind uint8
		var version uint16
		var fragment cryptobyte.String
		if !records.ReadUint8(&kind) || !records.ReadUint16(&version) || !records.ReadUint16LengthPrefixed(&fragment) {
			return nil, false
		}
		if kind != recordHandshake || len(fragment) == 0 {
			return nil, true
		}
		all = append(all, fragment...)
		content := cryptobyte.String(all)
		var of uint8
		var body cryptobyte.String
		if content.ReadUint8(&of) && content.ReadUint24LengthPrefixed(&body) {
			if of != clientHello {
				return nil, true
			}
			return body, true
		}
	}
}

// parseClientHello reads the extensions that tell the server's name and the protocols (RFC 8446 section 4.1.2).
func parseClientHello(message []byte) (name string, protocols []string, ok bool) {
	s := cryptobyte.String(message)
	var extensions, skipped cryptobyte.String
	if !s.Skip(2+32) || !s.ReadUint8LengthPrefixed(&skipped) || !s.ReadUint16LengthPrefixed(&skipped) ||
		!s.ReadUint8LengthPrefixed(&skipped) || !s.ReadUint16LengthPrefixed(&extensions) {
		return "", nil, false
	}
	for !extensions.Empty() {
		var kind uint16
		var body, list cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			return "", nil, false
		}
		switch {
		case kind == extensionName && body.ReadUint16LengthPrefixed(&list):
			var of uint8
			var host cryptobyte.String
			if list.ReadUint8(&of) && list.ReadUint16LengthPrefixed(&host) {
				name = string(host)
			}
		case kind == extensionALPN && body.ReadUint16LengthPrefixed(&list):
			for !list.Empty() {
				var protocol cryptobyte.String
				if !list.ReadUint8LengthPrefixed(&protocol) {
					return "", nil, false
				}
				protocols = append(protocols, string(protocol))
			}
		}
	}
	return name, protocols, true
}
