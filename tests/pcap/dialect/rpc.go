package dialect

import (
	"encoding/binary"
	"fmt"
	"time"

	"shoal/rpclog"
	"shoal/tests/pcap/check"
)

// Numbers of RFC 5531, and of RFC 9289.
const (
	lastFragment = 1 << 31 // in a record mark
	call         = 0
	reply        = 1
	rpcVersion   = 2
	accepted     = 0
	success      = 0
	authTLS      = 7
)

// maxHeader is how much of a message is looked at: credentials and verifiers have at most 400 bytes each.
const maxHeader = 1024

// RPCStream reads ONC RPC over TCP (RFC 5531 section 11).
type RPCStream struct {
	calls  calls
	sides  [2]record
	secure func() // called where TLS follows
	tls    bool
}

// NewRPCStream is a Reader that calls secure when the two sides have agreed on TLS.
func NewRPCStream(o Observer, secure func()) *RPCStream {
	return &RPCStream{calls: calls{observer: o, open: map[uint32]*openCall{}}, secure: secure}
}

// record is one being read.
type record struct {
	mark  []byte // being read
	left  int64  // bytes of the fragment to come
	last  bool   // it is the record's last one
	begin []byte // of the message
	size  int64  // of the record so far
	blind bool   // something was lost
}

func (s *RPCStream) Data(from check.Side, at time.Time, b []byte) {
	r := &s.sides[from]
	if r.blind && len(b) >= 12 && (isCall(b[4:]) || isReply(b[4:])) {
		*r = record{}
	}
	for len(b) > 0 && !r.blind && !s.tls {
		if r.left == 0 {
			n := min(4-len(r.mark), len(b))
			r.mark, b = append(r.mark, b[:n]...), b[n:]
			if len(r.mark) < 4 {
				return
			}
			mark := binary.BigEndian.Uint32(r.mark)
			r.left, r.last, r.mark = int64(mark&^lastFragment), mark&lastFragment != 0, r.mark[:0]
		}
		n := min(r.left, int64(len(b)))
		r.take(b[:n])
		b = b[n:]
		if r.left == 0 && r.last {
			s.message(from, at, r)
		}
	}
}

func (r *record) take(b []byte) {
	r.left -= int64(len(b))
	r.size += int64(len(b))
	r.begin = append(r.begin, b[:min(len(b), maxHeader-len(r.begin))]...)
}

func (s *RPCStream) message(from check.Side, at time.Time, r *record) {
	agreed := s.calls.message(from, at, r.begin, r.size)
	*r = record{mark: r.mark, begin: r.begin[:0]}
	if agreed {
		s.tls = true
		s.secure()
	}
}

func (s *RPCStream) Lost(from check.Side, n int64) {
	r := &s.sides[from]
	if n < 0 || n >= r.left || len(r.begin) < maxHeader {
		*r = record{blind: true}
		return
	}
	r.left -= n
	r.size += n
}

// RPCDatagrams reads ONC RPC over UDP.
type RPCDatagrams struct{ calls calls }

// NewRPCDatagrams is a Reader of datagrams.
func NewRPCDatagrams(o Observer) *RPCDatagrams {
	return &RPCDatagrams{calls{observer: o, open: map[uint32]*openCall{}}}
}

func (d *RPCDatagrams) Data(from check.Side, at time.Time, b []byte) {
	d.calls.message(from, at, b, int64(len(b)))
}

// Lost has no meaning: datagrams do not depend on each other.
func (d *RPCDatagrams) Lost(check.Side, int64) {}

// IsCall reports whether a datagram is a call of ONC RPC.
func IsCall(b []byte) bool { return len(b) >= 24 && isCall(b) }

func isCall(b []byte) bool {
	return len(b) >= 12 && binary.BigEndian.Uint32(b[4:]) == call && binary.BigEndian.Uint32(b[8:]) == rpcVersion
}

func isReply(b []byte) bool { return len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) == reply }

// calls are those of one conversation that wait for their answers.
type calls struct {
	observer Observer
	open     map[uint32]*openCall
}

type openCall struct {
	Call
	tls bool // it asks for TLS
}

// message takes a call or a reply, and reports whether TLS follows.
func (c *calls) message(from check.Side, at time.Time, b []byte, size int64) (tls bool) {
	switch {
	case from == check.Initiator && len(b) >= 24 && isCall(b):
		xid := binary.BigEndian.Uint32(b)
		if c.open[xid] != nil || len(c.open) == maxCalls {
			return false // sent again, as datagrams are, or more than anybody waits for
		}
		asked := &openCall{Call{Name: procedure(b[12:24]), At: at, Size: size}, len(b) >= 28 && binary.BigEndian.Uint32(b[24:]) == authTLS}
		c.open[xid] = asked
		c.observer.Called(&asked.Call)
	case from == check.Responder && isReply(b):
		xid := binary.BigEndian.Uint32(b)
		asked := c.open[xid]
		if asked == nil {
			return false
		}
		delete(c.open, xid)
		asked.Answer, asked.Back, asked.Failed = at, size, !succeeded(b)
		c.observer.Answered(&asked.Call)
		return asked.tls && !asked.Failed
	}
	return false
}

// succeeded reports whether a reply says so: MSG_ACCEPTED, a verifier, SUCCESS.
func succeeded(b []byte) bool {
	if len(b) < 20 || binary.BigEndian.Uint32(b[8:]) != accepted {
		return false
	}
	verifier := int64(binary.BigEndian.Uint32(b[16:]))
	status := 20 + (verifier+3)&^3
	return status+4 <= int64(len(b)) && binary.BigEndian.Uint32(b[status:]) == success
}

// procedure names what a call's program, version and procedure are.
func procedure(b []byte) string {
	program, number := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[8:])
	if program == rpclog.Program {
		switch number {
		case rpclog.ProcNull:
			return "NULL"
		case rpclog.ProcAppend:
			return "APPEND"
		case rpclog.ProcStats:
			return "STATS"
		}
		return fmt.Sprintf("procedure %d", number)
	}
	return fmt.Sprintf("program %d procedure %d", program, number)
}
