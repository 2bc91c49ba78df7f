package check

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/xdr"
)

// What follows reads and verifies statements by PROTOCOL.md alone, so that it does not share a mistake of package identity;
// and it says which rule is broken.

// fault is a rule that what was sent breaks by itself.
type fault struct {
	rule string
	text string
}

func wrong(rule, format string, args ...any) *fault {
	return &fault{rule, fmt.Sprintf(format, args...)}
}

// statement is one of a chain (PROTOCOL.md section 5).
type statement struct {
	says            identity.Kind
	issuer          [32]byte
	issued, expires int64 // milliseconds since 1970
	body            []byte
	proof           []byte
}

const (
	maxChain   = 8              // statements (rule C4)
	bodyAt     = 4 + 32 + 8 + 8 // where a statement's body begins, in bytes
	maxBody    = 2048           // bytes
	maxAhead   = time.Minute    // how far in the future a statement may have been issued (rule C1)
	maxRecords = 16             // candidates
)

// verifySignature is ed25519.Verify.
var verifySignature = func(key [32]byte, message, proof []byte) bool { return ed25519.Verify(key[:], message, proof) }

// parseChain takes a chain apart.
func parseChain(chain []byte) (all []*statement, _ *fault) {
	if len(chain) == 0 {
		return nil, wrong("C4", "a chain of nothing")
	}
	for len(chain) > 0 {
		if len(all) == maxChain {
			return nil, wrong("C4", "a chain of more than %d statements", maxChain)
		}
		d := xdr.NewDecoder(chain)
		s := &statement{says: identity.Kind(d.Uint32())}
		copy(s.issuer[:], d.Fixed(len(s.issuer)))
		s.issued, s.expires = d.Int64(), d.Int64()
		if len(chain) >= bodyAt+4 && binary.BigEndian.Uint32(chain[bodyAt:]) > maxBody {
			return nil, wrong("X2", "a statement with a body of more than %d bytes", maxBody)
		}
		s.body, s.proof = d.Opaque(maxBody), d.Fixed(64)
		if err := d.Err(); err != nil {
			return nil, wrong("X1", "a statement that cannot be read: %v", err)
		}
		all = append(all, s)
		chain = chain[bodyAt+4+(len(s.body)+3)/4*4+64:]
	}
	return all, nil
}

// xdrFault is what decoding found.
func xdrFault(what string, err error) *fault {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, xdr.ErrLength):
		return wrong("X2", "%s: %v", what, err)
	}
	return wrong("X1", "%s: %v", what, err)
}

// hold checks the signature and the times of one statement (rule C1).
func (s *statement) hold(at moment) *fault {
	b := xdr.AppendString(nil, "shoal/1 statement")
	b = xdr.AppendUint32(b, uint32(s.says))
	b = xdr.AppendFixed(b, s.issuer[:])
	b = xdr.AppendInt64(xdr.AppendInt64(b, s.issued), s.expires)
	b = xdr.AppendOpaque(b, s.body)
	switch {
	case !verifySignature(s.issuer, b, s.proof):
		return wrong("C1", "a statement with a wrong signature")
	case s.issued > at.latest.Add(maxAhead).UnixMilli():
		return wrong("C1", "a statement from the future: %v", time.UnixMilli(s.issued).UTC())
	case s.expires <= at.earliest.UnixMilli() && s.says != identity.SaysTicket:
		return wrong("C1", "a statement that expired at %v", time.UnixMilli(s.expires).UTC())
	}
	return nil
}

// moment is when something was, as far as a capture can tell.
type moment struct{ earliest, latest time.Time }

// about is the moment of what was captured at that time.
func about(at time.Time) moment { return moment{at.Add(-slack), at.Add(slack)} }

// key is the one that a statement names.
func (s *statement) key() (key [32]byte, _ *fault) {
	if len(s.body) != len(key) {
		return key, wrong("X1", "a key of %d bytes", len(s.body))
	}
	return [32]byte(s.body), nil
}

// readTicket takes a TICKET apart (rule C7).
func readTicket(s *statement) (*identity.Ticket, *fault) {
	d := xdr.NewDecoder(s.body)
	t := &identity.Ticket{Group: shoal.Group(d.String(shoal.MaxGroup))}
	copy(t.Device[:], d.Fixed(len(t.Device)))
	t.User = d.String(shoal.MaxName)
	t.Rights, t.Epoch, t.Grace = identity.Rights(d.Uint32()), d.Uint64(), time.Duration(d.Uint32())*time.Second
	t.Issued, t.Expires = time.UnixMilli(s.issued), time.UnixMilli(s.expires)
	if f := xdrFault("a ticket", d.Finish()); f != nil {
		return nil, f
	}
	_, group := shoal.ParseGroup(string(t.Group))
	_, user := shoal.ParseName(t.User)
	switch lasts := s.expires - s.issued; {
	case group != nil || user != nil:
		return nil, wrong("C7", "a ticket of the group %q for the user %q", t.Group, t.User)
	case lasts < 1 || lasts > (10*time.Minute).Milliseconds():
		return nil, wrong("C7", "a ticket of %d ms", lasts)
	case t.Grace > 30*24*time.Hour:
		return nil, wrong("C7", "a ticket with a grace of %v", t.Grace)
	}
	return t, nil
}

// readCandidates takes CANDIDATES apart (rule C2).
func readCandidates(s *statement) ([]identity.Candidate, *fault) {
	d := xdr.NewDecoder(s.body)
	all := make([]identity.Candidate, d.Count(maxRecords, 12))
	for i := range all {
		security, host, port := wire.DecodeSecurity(d), d.String(255), d.Uint32()
		addr, err := netip.ParseAddr(host)
		if d.Err() == nil && (err != nil || addr.Zone() != "" || port < 1 || port > 65535) {
			return nil, wrong("C2", "the candidate %q, %d", host, port)
		}
		all[i] = identity.Candidate{Security: security, Addr: netip.AddrPortFrom(addr, uint16(port))}
	}
	return all, xdrFault("candidates", d.Finish())
}
