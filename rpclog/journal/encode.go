package journal

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"shoal/rpclog"
)

// timeLayout is RFC 3339 with a fixed length, so that times compare as text. They are always UTC.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// request is a batch on its way to the writer, encoded.
type request struct {
	batch    *rpclog.Batch
	lines    []byte
	ends     []int // where each entry's line ends
	prefix   []byte
	suffix   []byte
	answered chan struct{} // by the writer, once; result and err are set then
	result   rpclog.Result
	err      error
}

var requests = sync.Pool{New: func() any { return new(request) }}

// newRequest encodes a batch: one line an entry.
func newRequest(b *rpclog.Batch, from Origin) *request {
	r := requests.Get().(*request)
	r.batch, r.answered = b, make(chan struct{}, 1)
	r.prefix = append(r.prefix[:0], `,"device":"`...)
	r.prefix = append(r.prefix, b.Sender.Device.String()...)
	r.prefix = append(r.prefix, `","process":`...)
	r.prefix = strconv.AppendUint(r.prefix, b.Sender.Process, 10)
	r.prefix = append(r.prefix, `,"seq":`...)
	r.suffix = appendOrigin(r.suffix[:0], from)
	r.suffix = append(r.suffix, '}', '\n')
	var clock clock
	for i := range b.Entries {
		r.lines = append(r.lines, `{"time":"`...)
		r.lines = clock.append(r.lines, b.Entries[i].Time)
		r.lines = append(r.lines, '"')
		if level := b.Entries[i].Level; level != rpclog.NoLevel {
			r.lines = append(append(append(r.lines, `,"level":"`...), level.String()...), '"')
		}
		r.lines = append(r.lines, r.prefix...)
		r.lines = strconv.AppendUint(r.lines, b.First+uint64(i), 10)
		r.lines = appendEntry(r.lines, &b.Entries[i])
		r.lines = append(r.lines, r.suffix...)
		r.ends = append(r.ends, len(r.lines))
	}
	return r
}

// release gives r back, for another batch.
func (r *request) release() {
	const large = 4 << 20 // bytes: more than any but a strange batch needs
	if cap(r.lines) > large {
		r.lines = nil
	}
	r.batch, r.lines, r.ends, r.err = nil, r.lines[:0], r.ends[:0], nil
	r.result = rpclog.Result{}
	requests.Put(r)
}

// clock formats times; those of one second share the work.
type clock struct {
	second int64
	text   []byte // up to the second
}

func (c *clock) append(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != c.second || c.text == nil {
		c.second = second
		c.text = t.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, c.text...)
	n := len(b)
	b = append(b, "000000000Z"...)
	for i, v := n+8, t.Nanosecond(); v > 0; i, v = i-1, v/10 {
		b[i] = '0' + byte(v%10)
	}
	return b
}

// appendEntry appends what of an entry follows its number.
func appendEntry(b []byte, e *rpclog.Entry) []byte {
	if e.Lost > 0 {
		b = strconv.AppendUint(append(b, `,"lost":`...), e.Lost, 10)
	}
	b = appendNamed(b, `,"message":`, e.Message)
	b = appendNamed(b, `,"user":`, e.User)
	b = appendNamed(b, `,"op":`, e.Operation)
	b = appendNamed(b, `,"object":`, e.Object)
	b = appendNamed(b, `,"outcome":`, e.Outcome)
	b = appendNamed(b, `,"remote":`, e.Remote)
	if e.Duration != 0 {
		b = appendMilliseconds(append(b, `,"duration":`...), e.Duration)
	}
	if len(e.Fields) == 0 {
		return b
	}
	b = append(b, `,"fields":{`...)
	for i, f := range e.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, f.Name), ':')
		b = appendValue(b, f.Value)
	}
	return append(b, '}')
}

func appendNamed(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

// appendMilliseconds appends d exactly.
func appendMilliseconds(b []byte, d time.Duration) []byte {
	v := uint64(d)
	if d < 0 {
		b, v = append(b, '-'), -v
	}
	b = strconv.AppendUint(b, v/1e6, 10)
	fraction := v % 1e6
	if fraction == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(1e5); fraction > 0; unit /= 10 {
		b = append(b, '0'+byte(fraction/unit))
		fraction %= unit
	}
	return b
}

func appendOrigin(b []byte, from Origin) []byte {
	b = appendString(append(b, `,"from":{"address":`...), from.Address)
	if s := from.System; s != nil {
		b = appendString(append(b, `,"auth_sys":{"machine":`...), s.Machine)
		b = strconv.AppendUint(append(b, `,"uid":`...), uint64(s.UID), 10)
		b = strconv.AppendUint(append(b, `,"gid":`...), uint64(s.GID), 10)
		b = append(b, '}')
	}
	return append(b, '}')
}

// maxDepth is how deep arrays and objects in a value may be nested: no reader of the log has to fear for its stack.
const maxDepth = 32

// appendValue appends a value of a stranger's: as it is where that is JSON, else as a string.
func appendValue(b []byte, v string) []byte {
	if isScalar(v) {
		return append(b, v...)
	}
	start := len(b)
	b = append(b, v...)
	if raw := b[start:]; tooDeep(raw) || !json.Valid(raw) {
		return appendString(b[:start], v)
	}
	return appendJSON(b[:start], v)
}

// isScalar recognizes the values that are most frequent, and need no change: plain strings, whole numbers, and words.
func isScalar(v string) bool {
	if v == "" {
		return false
	}
	switch first := v[0]; {
	case first == '"':
		for i := 1; i < len(v)-1; i++ {
			if !plain[v[i]] {
				return false
			}
		}
		return len(v) > 1 && v[len(v)-1] == '"'
	case first == '0':
		return len(v) == 1
	case first >= '1' && first <= '9':
		for i := 1; i < len(v); i++ {
			if v[i] < '0' || v[i] > '9' {
				return false
			}
		}
		return true
	}
	return v == "true" || v == "false" || v == "null"
}

// tooDeep finds nesting beyond maxDepth in what may be JSON.
func tooDeep(v []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '[' || c == '{'):
			if depth++; depth > maxDepth {
				return true
			}
		case !quoted && (c == ']' || c == '}'):
			depth--
		}
	}
	return false
}
