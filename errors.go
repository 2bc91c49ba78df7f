package shoal

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Code classifies an error. Codes are a closed, append-only set: they cross the wire as numbers (wire/PROTOCOL.md has
// the table) and decide exit codes. A Code is itself an error, so errors.Is(err, shoal.NotFound) asks for one.
type Code uint32

// The codes. A number is never reused or given another meaning.
const (
	Internal     Code = 1  // a fault of the program that reports it
	BadRequest   Code = 2  // the request is malformed or breaks a rule; sending it again cannot help
	Unsupported  Code = 3  // a version, kind or option the other side does not have
	NotFound     Code = 4  // no such thing, or none the asker may know of
	NameTaken    Code = 5  // the name stands for other content
	Denied       Code = 6  // the asker is known, and may not do this
	Untrusted    Code = 7  // an identity or signature does not check out
	Limit        Code = 8  // a limit on size, number or rate is reached
	Busy         Code = 9  // try again later
	Changed      Code = 10 // the file is no longer what was published; it is withdrawn
	NotHeld      Code = 11 // the piece is not here (yet)
	Canceled     Code = 12 // given up on request
	Corrupt      Code = 13 // bytes do not match their hash
	NoSpace      Code = 14 // the disk is too full
	Exists       Code = 15 // something else stands where this should go
	Unreachable  Code = 16 // the other side cannot be reached, or went away
	NoSources    Code = 17 // nobody who has the missing pieces can be reached
	StaleRequest Code = 18 // a sequence number that was used before, whose outcome is no longer stored
)

var codeNames = map[Code]string{
	Internal: "internal", BadRequest: "bad-request", Unsupported: "unsupported", NotFound: "not-found",
	NameTaken: "name-taken", Denied: "denied", Untrusted: "untrusted", Limit: "limit", Busy: "busy",
	Changed: "changed", NotHeld: "not-held", Canceled: "canceled", Corrupt: "corrupt", NoSpace: "no-space",
	Exists: "exists", Unreachable: "unreachable", NoSources: "no-sources", StaleRequest: "stale-request",
}

// Known reports whether c is one of the codes above.
func (c Code) Known() bool { return codeNames[c] != "" }

// Error returns the code's name, such as "not-found".
func (c Code) Error() string {
	if name := codeNames[c]; name != "" {
		return name
	}
	return fmt.Sprintf("code-%d", uint32(c))
}

// Error is a Code with a text for people: what failed, why, and what to do.
type Error struct {
	Code Code
	Text string
	err  error // what %w wrapped, if anything
}

// Errorf makes an Error; %w in format wraps as fmt.Errorf does.
func Errorf(code Code, format string, args ...any) error {
	wrapped := fmt.Errorf(format, args...)
	e := &Error{Code: code, Text: wrapped.Error(), err: errors.Unwrap(wrapped)}
	if _, several := wrapped.(interface{ Unwrap() []error }); several {
		e.err = wrapped
	}
	return e
}

func (e *Error) Error() string { return e.Text }

// Is reports whether target is e's code.
func (e *Error) Is(target error) bool { return target == error(e.Code) }

func (e *Error) Unwrap() error { return e.err }

// CodeOf returns the code of the outermost Error in err's chain; Canceled for context.Canceled; Unreachable for a
// deadline that ran out, a context's or a connection's; otherwise Internal.
func CodeOf(err error) Code {
	var e *Error
	var code Code
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &code):
		return code
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Unreachable
	}
	return Internal
}
