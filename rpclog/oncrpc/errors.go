package oncrpc

import (
	"errors"
	"fmt"

	"shoal"
)

// What a Handler returns for a procedure that there is not, and for arguments that cannot be decoded. They may be wrapped.
var (
	ErrProcUnavail error = &AcceptError{Stat: ProcUnavail}
	ErrGarbageArgs error = &AcceptError{Stat: GarbageArgs}
)

var (
	// ErrClosed is what calls end with when the Client is closed.
	ErrClosed = shoal.Errorf(shoal.Canceled, "the RPC client was closed")
	// ErrNoTLS means that the server was asked for TLS and does not offer it.
	ErrNoTLS = shoal.Errorf(shoal.Unsupported, "the RPC server does not offer TLS; start it with TLS, or call it without")
	// ErrRecord means that a record is over its limits.
	ErrRecord = errors.New("an RPC record is too large")
)

// RejectStat says why a call was denied (RFC 5531 section 9).
type RejectStat uint32

// The reasons to deny a call.
const (
	RPCMismatch RejectStat = 0
	AuthError   RejectStat = 1
)

// AuthStat says what is wrong with a credential or verifier (RFC 5531 section 9).
type AuthStat uint32

// What can be wrong.
const (
	AuthBadCred      AuthStat = 1
	AuthRejectedCred AuthStat = 2
	AuthBadVerf      AuthStat = 3
	AuthRejectedVerf AuthStat = 4
	AuthTooWeak      AuthStat = 5
	AuthInvalidResp  AuthStat = 6
	AuthFailed       AuthStat = 7
)

var authTexts = map[AuthStat]string{
	AuthBadCred: "the credential is malformed or of an unknown flavor", AuthRejectedCred: "the credential is no longer valid",
	AuthBadVerf: "the verifier is malformed", AuthRejectedVerf: "the verifier is no longer valid",
	AuthTooWeak: "it wants TLS, or a stronger credential", AuthInvalidResp: "the reply's verifier is not valid",
	AuthFailed: "authentication failed",
}

// Rejected is a call that the server denied (RFC 5531's MSG_DENIED). Its codes are shoal.Denied and shoal.Unsupported.
type Rejected struct {
	Stat      RejectStat
	Low, High uint32   // the RPC versions that the server speaks, of RPCMismatch
	Auth      AuthStat // of AuthError
}

func (r *Rejected) Error() string {
	if r.Stat == RPCMismatch {
		return fmt.Sprintf("the RPC server denied the call: it speaks versions %d to %d of RPC", r.Low, r.High)
	}
	if text := authTexts[r.Auth]; text != "" {
		return "the RPC server denied the call: " + text
	}
	return fmt.Sprintf("the RPC server denied the call: authentication error %d", r.Auth)
}

// Unwrap returns the error's code.
func (r *Rejected) Unwrap() error {
	if r.Stat == RPCMismatch {
		return shoal.Unsupported
	}
	return shoal.Denied
}

// AcceptStat says how an accepted call ended (RFC 5531 section 9).
type AcceptStat uint32

// The ways in which an accepted call fails.
const (
	success      AcceptStat = 0
	ProgUnavail  AcceptStat = 1
	ProgMismatch AcceptStat = 2
	ProcUnavail  AcceptStat = 3
	GarbageArgs  AcceptStat = 4
	SystemErr    AcceptStat = 5
)

// AcceptError is a call that was accepted and failed. Its codes are shoal.Unsupported, BadRequest and Internal.
type AcceptError struct {
	Stat      AcceptStat
	Low, High uint32 // the versions of the program that there are, of ProgMismatch
}

func (a *AcceptError) Error() string {
	switch a.Stat {
	case ProgUnavail:
		return "the RPC server does not have the program"
	case ProgMismatch:
		return fmt.Sprintf("the RPC server has versions %d to %d of the program", a.Low, a.High)
	case ProcUnavail:
		return "the RPC program does not have the procedure"
	case GarbageArgs:
		return "the RPC server cannot decode the arguments"
	}
	return "the RPC server failed to carry out the call"
}

// Unwrap returns the error's code.
func (a *AcceptError) Unwrap() error {
	switch a.Stat {
	case ProgUnavail, ProgMismatch, ProcUnavail:
		return shoal.Unsupported
	case GarbageArgs:
		return shoal.BadRequest
	}
	return shoal.Internal
}
