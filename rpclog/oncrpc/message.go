package oncrpc

import (
	"errors"
	"net"

	"shoal/xdr"
)

// The numbers of RFC 5531 section 9.
const (
	rpcVersion = 2

	typeCall  = 0
	typeReply = 1

	statAccepted = 0
	statDenied   = 1
)

// The flavors of credentials that are known here (RFC 5531 section 8.2 and RFC 9289 section 4.1).
const (
	AuthNone  = 0
	AuthUnix  = 1 // also called AUTH_SYS
	authShort = 2
	AuthTLS   = 7
)

// The limits of RFC 5531 section 8.2 and appendix A, in bytes where nothing else is said.
const (
	maxAuth    = 400
	maxMachine = 255
	maxGIDs    = 16 // group ids
)

// startTLS is the verifier of a server that is ready for TLS (RFC 9289 section 4.1).
const startTLS = "STARTTLS"

// AuthSys is what a caller says of itself (RFC 5531 appendix A). Anybody can say anything: it is worth a note in a log,
// and no right.
type AuthSys struct {
	Stamp    uint32
	Machine  string // at most 255 bytes, of any kind
	UID, GID uint32
	GIDs     []uint32 // at most 16
}

// Credential is what came with a call.
type Credential struct {
	Flavor uint32   // AuthNone, AuthUnix or AuthTLS
	Sys    *AuthSys // of AuthUnix alone
}

// Call is a call as a Handler sees it.
type Call struct {
	XID, Program, Version, Procedure uint32

	Credential Credential
	Args       []byte // aliases the record: valid until the handler returns
	Remote     net.Addr
	Secure     bool // it came over TLS
	// Proven is set by a handler to whom the caller has proven who it is: its connection then goes for others last.
	Proven bool
}

// errNotCall means that a record is not even the beginning of a call, so that nothing can be answered.
var errNotCall = errors.New("what was received is not an RPC call")

// parseCall reads the header of a call and leaves the rest in call.Args. The error is errNotCall, or the *Rejected to
// answer with; call.XID is right then.
func parseCall(record []byte, call *Call) error {
	d := xdr.NewDecoder(record)
	call.XID = d.Uint32()
	kind, version := d.Uint32(), d.Uint32()
	call.Program, call.Version, call.Procedure = d.Uint32(), d.Uint32(), d.Uint32()
	if d.Err() != nil || kind != typeCall {
		return errNotCall
	}
	if version != rpcVersion {
		return &Rejected{Stat: RPCMismatch, Low: rpcVersion, High: rpcVersion}
	}
	flavor := d.Uint32()
	body := d.Opaque(maxAuth)
	if d.Err() != nil {
		return badAuth(AuthBadCred)
	}
	d.Uint32() // the verifier's flavor: those of the credentials known here have nothing to verify
	verifier := d.Opaque(maxAuth)
	if d.Err() != nil {
		return badAuth(AuthBadVerf)
	}
	call.Args = record[callHeader+padded(len(body))+padded(len(verifier)):]
	return parseCredential(&call.Credential, flavor, body)
}

// The sizes of headers without bodies of credential and verifier, in bytes.
const (
	callHeader  = 10 * 4
	replyHeader = 6 * 4
)

func padded(n int) int { return (n + 3) &^ 3 }

func badAuth(why AuthStat) error { return &Rejected{Stat: AuthError, Auth: why} }

func parseCredential(c *Credential, flavor uint32, body []byte) error {
	*c = Credential{Flavor: flavor}
	switch flavor {
	case AuthNone:
		return nil
	case AuthTLS:
		if len(body) > 0 {
			return badAuth(AuthBadCred)
		}
		return nil
	case AuthUnix:
		return parseAuthSys(c, body)
	case authShort: // nobody was given any
		return badAuth(AuthRejectedCred)
	}
	return badAuth(AuthBadCred)
}

func parseAuthSys(c *Credential, body []byte) error {
	d := xdr.NewDecoder(body)
	sys := &AuthSys{Stamp: d.Uint32(), Machine: d.String(maxMachine), UID: d.Uint32(), GID: d.Uint32()}
	if n := d.Count(maxGIDs, 4); n > 0 {
		sys.GIDs = make([]uint32, n)
		for i := range sys.GIDs {
			sys.GIDs[i] = d.Uint32()
		}
	}
	if d.Finish() != nil {
		return badAuth(AuthBadCred)
	}
	c.Sys = sys
	return nil
}

// appendSuccess appends the header of a reply whose results follow. Replies are encoded without go-nfs-client, whose
// encoder works by reflection: a test holds the bytes against it.
func appendSuccess(b []byte, xid uint32, verifier string) []byte {
	return xdr.AppendUint32(appendAccepted(b, xid, verifier), uint32(success))
}

func appendAccepted(b []byte, xid uint32, verifier string) []byte {
	b = xdr.AppendUint32(b, xid)
	b = xdr.AppendUint32(b, typeReply)
	b = xdr.AppendUint32(b, statAccepted)
	b = xdr.AppendUint32(b, AuthNone)
	return xdr.AppendString(b, verifier)
}

// appendError appends the reply that says err, a *Rejected or *AcceptError; anything else is SystemErr.
func appendError(b []byte, xid uint32, err error) []byte {
	if r, ok := errors.AsType[*Rejected](err); ok {
		b = xdr.AppendUint32(b, xid)
		b = xdr.AppendUint32(b, typeReply)
		b = xdr.AppendUint32(b, statDenied)
		b = xdr.AppendUint32(b, uint32(r.Stat))
		if r.Stat == RPCMismatch {
			return xdr.AppendUint32(xdr.AppendUint32(b, r.Low), r.High)
		}
		return xdr.AppendUint32(b, uint32(r.Auth))
	}
	a, ok := errors.AsType[*AcceptError](err)
	if !ok {
		a = &AcceptError{Stat: SystemErr}
	}
	b = xdr.AppendUint32(appendAccepted(b, xid, ""), uint32(a.Stat))
	if a.Stat == ProgMismatch {
		b = xdr.AppendUint32(xdr.AppendUint32(b, a.Low), a.High)
	}
	return b
}

// reply is a reply as the client sees it.
type reply struct {
	xid      uint32
	verifier string
	results  []byte // alias the record
	err      error  // a *Rejected or *AcceptError
}

// parseReply reads a reply. The error wraps xdr.ErrMalformed.
func parseReply(record []byte) (r reply, err error) {
	d := xdr.NewDecoder(record)
	r.xid = d.Uint32()
	if kind := d.Uint32(); kind != typeReply {
		d.Fail("a message of type %d where a reply was expected", kind)
	}
	switch stat := d.Uint32(); {
	case d.Err() != nil:
	case stat == statAccepted:
		parseAccepted(d, record, &r)
	case stat == statDenied:
		r.err = parseDenied(d)
	default:
		d.Fail("a reply that is neither accepted nor denied, but %d", stat)
	}
	if r.results == nil {
		err = d.Finish()
	}
	return r, err
}

func parseAccepted(d *xdr.Decoder, record []byte, r *reply) {
	d.Uint32() // the verifier's flavor
	r.verifier = d.String(maxAuth)
	switch stat := AcceptStat(d.Uint32()); {
	case d.Err() != nil:
	case stat == success:
		r.results = record[replyHeader+padded(len(r.verifier)):]
	case stat == ProgMismatch:
		r.err = &AcceptError{Stat: stat, Low: d.Uint32(), High: d.Uint32()}
	case stat <= SystemErr:
		r.err = &AcceptError{Stat: stat}
	default:
		d.Fail("a reply with an acceptance of %d", stat)
	}
}

func parseDenied(d *xdr.Decoder) error {
	switch stat := RejectStat(d.Uint32()); stat {
	case RPCMismatch:
		return &Rejected{Stat: stat, Low: d.Uint32(), High: d.Uint32()}
	case AuthError:
		return &Rejected{Stat: stat, Auth: AuthStat(d.Uint32())}
	default:
		d.Fail("a reply denied for %d", stat)
		return nil
	}
}
