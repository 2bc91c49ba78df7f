package wire

import "shoal/xdr"

// lastLevel is the highest log_level.
const lastLevel = 7

// Log asks for lines of the realm's log; what is empty or 0 does not restrict. Since is in milliseconds since 1970 UTC.
type Log struct {
	User       string
	Operation  string
	Level      uint32 // this or above; as rpclog.Level
	Since      int64
	Grep       string // a regular expression
	Unverified bool
	Last       uint32
	After      string // Next of an earlier reply
}

// LogReply is a part of the log. Lines has whole ones, each a JSON object and a newline.
type LogReply struct {
	Lines []byte
	Next  string
	More  bool
}

func (m *Log) Append(b []byte) []byte {
	b = xdr.AppendString(b, m.User)
	b = xdr.AppendString(b, m.Operation)
	b = xdr.AppendUint32(b, m.Level)
	b = xdr.AppendInt64(b, m.Since)
	b = xdr.AppendString(b, m.Grep)
	b = xdr.AppendBool(b, m.Unverified)
	b = xdr.AppendUint32(b, m.Last)
	return xdr.AppendString(b, m.After)
}

func (m *Log) decode(d *xdr.Decoder) {
	m.User = text(d, maxUser)
	m.Operation = text(d, maxOperation)
	m.Level = enumFrom(d, "log_level", 0, lastLevel)
	m.Since = d.Int64()
	m.Grep = text(d, MaxGrep)
	m.Unverified = d.Bool()
	m.Last = d.Uint32()
	m.After = text(d, MaxCursor)
}

func (m *LogReply) Append(b []byte) []byte {
	b = xdr.AppendOpaque(b, m.Lines)
	b = xdr.AppendString(b, m.Next)
	return xdr.AppendBool(b, m.More)
}

func (m *LogReply) decode(d *xdr.Decoder) {
	m.Lines = d.Opaque(MaxLines)
	m.Next = text(d, MaxCursor)
	m.More = d.Bool()
}
