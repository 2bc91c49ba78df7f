// Package rpclog is what the log service and its senders share: entries, batches and their proof, as log.x defines them.
// The service is in package rpclog/service, its never-blocking client in rpclog/sender, the ONC RPC transport in
// rpclog/oncrpc, and what lies on disk in rpclog/journal.
package rpclog

import (
	"time"

	"shoal"
	"shoal/xdr"
)

// The program of log.x.
const (
	Program = 0x2053484C
	Version = 1

	ProcNull   = 0
	ProcAppend = 1
	ProcStats  = 2
)

// The limits of log.x, in bytes where nothing else is said.
const (
	MaxArgs    = 512 << 10
	MaxEntries = 8192 // entries of a batch
	MaxName    = 64
	MaxUser    = 255
	MaxObject  = 1024
	MaxRemote  = 128
	MaxText    = 4096
	MaxFields  = 32 // fields of an entry
)

// Level says how much an entry matters.
type Level uint32

// The levels of log.x.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
	Fatal
	Panic
	NoLevel
)

var levelNames = [...]string{"trace", "debug", "info", "warn", "error", "fatal", "panic", ""}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "level?"
}

// ParseLevel reads what String returns. The error has code BadRequest.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if s == name {
			return Level(l), nil
		}
	}
	return 0, shoal.Errorf(shoal.BadRequest, "there is no level %q; there are: trace debug info warn error fatal panic", s)
}

// Field is whatever an entry says beside what has a place of its own.
type Field struct {
	Name  string
	Value string // JSON
}

// Entry is one line of a log. What does not apply is empty or zero.
type Entry struct {
	Time      time.Time
	Level     Level
	Lost      uint64 // entries of the sender that are missing in this one's place
	Message   string
	User      string
	Operation string
	Object    string
	Outcome   string
	Remote    string
	Duration  time.Duration
	Fields    []Field
}

// minEntry is what an entry takes in XDR at least, in bytes.
const minEntry = 8 + 4 + 8 + 6*4 + 8 + 4

// AppendEntry appends e in XDR. What is longer than log.x allows is cut, and surplus fields are left out: a log takes what
// it can get.
func AppendEntry(b []byte, e *Entry) []byte {
	b = xdr.AppendInt64(b, e.Time.UnixNano())
	b = xdr.AppendUint32(b, uint32(min(e.Level, NoLevel)))
	b = xdr.AppendUint64(b, e.Lost)
	b = xdr.AppendString(b, clip(e.Message, MaxText))
	b = xdr.AppendString(b, clip(e.User, MaxUser))
	b = xdr.AppendString(b, clip(e.Operation, MaxName))
	b = xdr.AppendString(b, clip(e.Object, MaxObject))
	b = xdr.AppendString(b, clip(e.Outcome, MaxName))
	b = xdr.AppendString(b, clip(e.Remote, MaxRemote))
	b = xdr.AppendInt64(b, int64(e.Duration))
	fields := e.Fields[:min(len(e.Fields), MaxFields)]
	b = xdr.AppendUint32(b, uint32(len(fields)))
	for _, f := range fields {
		b = xdr.AppendString(b, clip(f.Name, MaxName))
		b = xdr.AppendString(b, clip(f.Value, MaxText))
	}
	return b
}

func decodeEntry(d *xdr.Decoder, e *Entry) {
	e.Time = time.Unix(0, d.Int64()).UTC()
	if e.Level = Level(d.Uint32()); e.Level > NoLevel {
		d.Fail("level %d, which there is not", e.Level)
	}
	e.Lost = d.Uint64()
	e.Message = d.String(MaxText)
	e.User = d.String(MaxUser)
	e.Operation = d.String(MaxName)
	e.Object = d.String(MaxObject)
	e.Outcome = d.String(MaxName)
	e.Remote = d.String(MaxRemote)
	e.Duration = time.Duration(d.Int64())
	n := d.Count(MaxFields, 2*4)
	if n == 0 {
		return
	}
	e.Fields = make([]Field, n)
	for i := range e.Fields {
		e.Fields[i] = Field{Name: d.String(MaxName), Value: d.String(MaxText)}
	}
}

// clip cuts s to at most limit bytes, between characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit]
}
