// Package frames makes conversations out of a fuzzer's bytes: frames of any kind, in any order, most of them well made and
// about things that the other side knows, so that the fuzzer gets past the decoders, to what remembers.
package frames

import (
	"encoding/binary"
	"time"

	"shoal/wire"
)

// events are the kinds whose frames have no id.
var events = map[wire.Kind]bool{
	wire.KindBye: true, wire.KindCancel: true, wire.KindHave: true, wire.KindWithdraw: true, wire.KindChoke: true, wire.KindUnchoke: true,
	wire.KindEpoch: true, wire.KindGone: true, wire.KindRevoked: true,
}

// A Step is what one side does next: it writes Bytes, and then waits.
type Step struct {
	Bytes []byte
	Wait  time.Duration
}

// Next is the next step of who opened a connection, with requests and events of the kinds given. It reports whether there
// was anything left to make it of.
func (s *Script) Next(kinds []wire.Kind) (Step, bool) {
	if len(s.rest) == 0 {
		return Step{}, false
	}
	how := s.Byte()
	if how >= 250 {
		return Step{Wait: time.Duration(1+s.Byte()) * time.Second}, true
	}
	kind := kinds[int(how)%len(kinds)]
	m := s.Message(wire.Header{Kind: kind})
	if events[kind] {
		return Step{Bytes: s.spoil(wire.AppendEvent(nil, kind, m))}, true
	}
	s.id++
	return Step{Bytes: s.spoil(wire.AppendRequest(nil, kind, s.id, m))}, true
}

// Answer is what a responder says to a request: its right answer, if there is one, or another. Events of the kinds given
// may come before or after. When the script is over, everything gets its right answer.
func (s *Script) Answer(to wire.Header, right []byte, kinds []wire.Kind) Step {
	var out []byte
	for len(kinds) > 0 && s.Byte()%8 == 1 { // 0 is what comes when nothing is left
		kind := kinds[int(s.Byte())%len(kinds)]
		out = s.spoil(wire.AppendEvent(out, kind, s.Message(wire.Header{Kind: kind})))
	}
	reply := wire.Header{Kind: to.Kind, Flags: wire.FlagReply, ID: to.ID}
	switch how := s.Byte() % 16; {
	case how < 6 && right != nil:
		return Step{Bytes: append(out, right...)}
	case how == 14: // what was not asked
		reply.ID = s.Number()
	case how == 15: // nothing, for a while or for ever
		return Step{Bytes: out, Wait: time.Duration(s.Byte()) * time.Second}
	case how > 10:
		reply.Flags |= wire.FlagError
	}
	if reply.IsPiece() {
		data := s.Bytes(int(s.Byte()))
		head := *s.Message(reply).(*wire.PieceHead)
		return Step{Bytes: append(wire.AppendPieceHead(out, reply.ID, head, uint32(len(data))), data...)}
	}
	m := s.Message(reply)
	if reply.Flags&wire.FlagError != 0 {
		m := m.(*wire.ErrorReply)
		return Step{Bytes: s.spoil(append(out, wire.AppendError(nil, reply.Kind, reply.ID, m.Err())...))}
	}
	return Step{Bytes: s.spoil(wire.AppendReply(out, reply.Kind, reply.ID, m))}
}

// spoil does something to the last of frames, sometimes.
func (s *Script) spoil(b []byte) []byte {
	if len(b) < wire.HeaderSize {
		return b
	}
	switch s.Byte() {
	case 200: // cut off
		return b[:len(b)-1-int(s.Byte())%len(b)]
	case 201: // of another kind, with flags
		binary.BigEndian.PutUint32(b[4:], s.Number())
	case 202: // with another id
		binary.BigEndian.PutUint32(b[8:], s.Number())
	case 203: // longer or shorter than it says
		binary.BigEndian.PutUint32(b, s.Number())
	case 204: // one byte of it another
		b[int(s.Byte())%len(b)] = s.Byte()
	case 205: // twice
		return append(b, b...)
	case 206: // and noise
		return append(b, s.Bytes(int(s.Byte()))...)
	}
	return b
}
