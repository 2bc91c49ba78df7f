package sender

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

// parse makes an entry of a line that zerolog wrote: a JSON object. What is none becomes the message. now stands in for
// the time where there is none. e's Fields are written over; its strings may alias line.
func parse(e *rpclog.Entry, level zerolog.Level, line []byte, now time.Time) {
	*e = rpclog.Entry{Time: now, Level: levelOf(level), Fields: e.Fields[:0]}
	line = bytes.TrimSpace(line)
	s := unsafe.String(unsafe.SliceData(line), len(line)) // the pump makes no garbage, which its callers would have to help to collect
	if s == "" || s[0] != '{' || !json.Valid(line) {
		e.Message = strings.ToValidUTF8(s, "\uFFFD")
		return
	}
	// Valid JSON needs no checks from here on.
	for rest := strings.TrimLeft(s[1:], jsonSpace); rest[0] != '}'; {
		var name, value string
		name, rest = cutValue(rest)
		rest = strings.TrimLeft(rest, jsonSpace+":")
		value, rest = cutValue(rest)
		rest = strings.TrimLeft(rest, jsonSpace+",")
		if name = text(name); !place(e, name, value) {
			e.Fields = append(e.Fields, rpclog.Field{Name: name, Value: value})
		}
	}
}

const jsonSpace = " \t\r\n"

// cutValue cuts a JSON value off the front of valid JSON.
func cutValue(s string) (value, rest string) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return s[:i+1], s[i+1:]
			}
		case '{', '[':
			depth++
		case '}', ']', ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 { // the end of a number or a word
				return s[:i], s[i:]
			}
			if s[i] == '}' || s[i] == ']' {
				if depth--; depth == 0 {
					return s[:i+1], s[i+1:]
				}
			}
		}
	}
	return s, ""
}

// text returns what a JSON string says, and of other values their JSON.
func text(value string) string {
	if value[0] != '"' {
		return value
	}
	if inside := value[1 : len(value)-1]; strings.IndexByte(inside, '\\') < 0 {
		return inside
	}
	var s string
	_ = json.Unmarshal([]byte(value), &s) // it is valid
	return s
}

// place gives a value the place that it has in an entry of its own, unless there is none, or it is taken, or the value
// is not of its kind.
func place(e *rpclog.Entry, name, value string) bool {
	var at *string
	switch name {
	case zerolog.TimestampFieldName:
		t, err := time.Parse(time.RFC3339Nano, text(value))
		if err != nil || t.Year() < 1700 || t.Year() > 2200 { // beyond which nanoseconds since 1970 do not fit
			return false
		}
		e.Time = t
		return true
	case zerolog.LevelFieldName:
		l, err := rpclog.ParseLevel(text(value))
		if err == nil {
			e.Level = l
		}
		return err == nil
	case rpclog.KeyDuration:
		ms, err := strconv.ParseFloat(value, 64)
		if err != nil || e.Duration != 0 || math.Abs(ms) > float64(math.MaxInt64)/2e6 {
			return false
		}
		e.Duration = time.Duration(math.Round(ms * 1e6))
		return true
	case zerolog.MessageFieldName:
		at = &e.Message
	case rpclog.KeyUser:
		at = &e.User
	case rpclog.KeyOperation:
		at = &e.Operation
	case rpclog.KeyObject:
		at = &e.Object
	case rpclog.KeyOutcome:
		at = &e.Outcome
	case rpclog.KeyRemote:
		at = &e.Remote
	default:
		return false
	}
	if *at != "" {
		return false
	}
	*at = text(value)
	return true
}

func levelOf(l zerolog.Level) rpclog.Level {
	if l < zerolog.TraceLevel || l > zerolog.PanicLevel {
		return rpclog.NoLevel
	}
	return rpclog.Level(l - zerolog.TraceLevel)
}
