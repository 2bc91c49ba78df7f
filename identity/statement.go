package identity

import (
	"net/netip"
	"time"

	"shoal"
	"shoal/wire"
	"shoal/xdr"
)

// Kind is what a statement says.
type Kind uint32

// The kinds of statement.
const (
	SaysServerKey  Kind = 1 // by a realm: this key serves it
	SaysCandidates Kind = 2 // by a device: it accepts connections here
)

const (
	statementContext = "shoal/1 statement"
	maxStatementBody = 2048 // bytes
	maxCandidates    = 16
	issuedAhead      = time.Minute // how far in the future a statement may have been issued: clocks differ
)

// statement is the one format for everything signed that is carried by others (PROTOCOL.md section 5).
type statement struct {
	says            Kind
	issuer          [32]byte
	issued, expires int64 // milliseconds since 1970 UTC
	body            []byte
	proof           wire.Signature
}

func (s *statement) appendSignedPart(b []byte) []byte {
	b = xdr.AppendUint32(b, uint32(s.says))
	b = xdr.AppendFixed(b, s.issuer[:])
	b = xdr.AppendInt64(b, s.issued)
	b = xdr.AppendInt64(b, s.expires)
	return xdr.AppendOpaque(b, s.body)
}

func (s *statement) signedPart() []byte {
	return s.appendSignedPart(xdr.AppendString(nil, statementContext))
}

// issue makes a statement by key that holds from now on for the given time.
func issue(key *Key, says Kind, body []byte, now time.Time, lasts time.Duration) []byte {
	s := statement{
		says: says, issuer: key.public, body: body,
		issued: now.UnixMilli(), expires: now.Add(lasts).UnixMilli(),
	}
	s.proof = key.sign(s.signedPart())
	return xdr.AppendFixed(s.appendSignedPart(nil), s.proof[:])
}

func parseStatement(b []byte) (*statement, error) {
	d := xdr.NewDecoder(b)
	s := &statement{says: Kind(d.Uint32())}
	copy(s.issuer[:], d.Fixed(len(s.issuer)))
	s.issued, s.expires = d.Int64(), d.Int64()
	s.body = d.Opaque(maxStatementBody)
	copy(s.proof[:], d.Fixed(len(s.proof)))
	if err := d.Finish(); err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "a statement that cannot be read: %w", err)
	}
	return s, nil
}

// verifyStatement returns the body of a statement that is of kind says, by issuer, and holds at now (rule C1). Every
// statement is accepted here or nowhere. The error has code Untrusted.
func verifyStatement(b []byte, says Kind, issuer [32]byte, now time.Time) ([]byte, error) {
	s, err := parseStatement(b)
	switch {
	case err != nil:
		return nil, err
	case s.says != says:
		return nil, shoal.Errorf(shoal.Untrusted, "a statement of kind %d where one of kind %d belongs", s.says, says)
	case s.issuer != issuer:
		return nil, shoal.Errorf(shoal.Untrusted, "a statement by another key than it should be")
	case !verify(s.issuer, s.signedPart(), s.proof):
		return nil, shoal.Errorf(shoal.Untrusted, "a statement whose signature is wrong")
	case now.UnixMilli() >= s.expires:
		return nil, shoal.Errorf(shoal.Untrusted, "a statement that expired at %v", time.UnixMilli(s.expires).UTC())
	case now.Add(issuedAhead).UnixMilli() < s.issued:
		return nil, shoal.Errorf(shoal.Untrusted, "a statement from the future, %v", time.UnixMilli(s.issued).UTC())
	}
	return s.body, nil
}

// Expires is when a statement ends, which must have been verified before.
func Expires(statement []byte) (time.Time, error) {
	s, err := parseStatement(statement)
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(s.expires), nil
}

// CertifyServer is the realm's statement that server serves it until the given time from now. It is dated back by a
// day, because a client checks it by its own clock.
func CertifyServer(realm *Key, server [32]byte, now time.Time, lasts time.Duration) []byte {
	const back = 24 * time.Hour
	return issue(realm, SaysServerKey, server[:], now.Add(-back), lasts+back)
}

// VerifyServer checks that realm certified server. The error has code Untrusted.
func VerifyServer(certificate []byte, realm shoal.RealmKey, server [32]byte, now time.Time) error {
	body, err := verifyStatement(certificate, SaysServerKey, realm, now)
	if err != nil {
		return err
	}
	if len(body) != len(server) || [32]byte(body) != server {
		return shoal.Errorf(shoal.Untrusted, "the realm's certificate is for another server")
	}
	return nil
}

// CertifyingRealm is the realm that a certificate claims to be by, unverified: for showing it at the first contact.
func CertifyingRealm(certificate []byte) (shoal.RealmKey, error) {
	s, err := parseStatement(certificate)
	if err != nil {
		return shoal.RealmKey{}, err
	}
	return s.issuer, nil
}

// Candidate is one address at which a process of a device accepts connections.
type Candidate struct {
	Security wire.Security
	Addr     netip.AddrPort
}

// SignCandidates is device's statement that it accepts connections at these addresses, best first; at most 16 are
// kept.
func SignCandidates(device *Key, candidates []Candidate, now time.Time, lasts time.Duration) []byte {
	candidates = candidates[:min(len(candidates), maxCandidates)]
	b := xdr.AppendUint32(nil, uint32(len(candidates)))
	for _, c := range candidates {
		b = xdr.AppendUint32(b, uint32(c.Security))
		b = xdr.AppendString(b, c.Addr.Addr().String())
		b = xdr.AppendUint32(b, uint32(c.Addr.Port()))
	}
	return issue(device, SaysCandidates, b, now, lasts)
}

// VerifyCandidates returns the addresses of a statement by device. The error has code Untrusted.
func VerifyCandidates(b []byte, device shoal.DeviceID, now time.Time) ([]Candidate, error) {
	body, err := verifyStatement(b, SaysCandidates, device, now)
	if err != nil {
		return nil, err
	}
	d := xdr.NewDecoder(body)
	candidates := make([]Candidate, d.Count(maxCandidates, 12))
	for i := range candidates {
		security := wire.DecodeSecurity(d)
		host, err := netip.ParseAddr(d.String(255))
		port := d.Uint32()
		if d.Err() == nil && (err != nil || host.Zone() != "" || port < 1 || port > 65535) {
			d.Fail("a candidate that is no IP address and port (rule C2)")
		}
		candidates[i] = Candidate{security, netip.AddrPortFrom(host, uint16(port))}
	}
	if err := d.Finish(); err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "candidates that cannot be read: %w", err)
	}
	return candidates, nil
}
