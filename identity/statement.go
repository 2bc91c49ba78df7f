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
	SaysTicketKey  Kind = 3 // by a realm: this key signs its tickets
	SaysTicket     Kind = 4 // by a ticket key: what this device may do in this group
	SaysSuccessor  Kind = 5 // by any key of a realm: this key takes its place
	SaysRevoked    Kind = 6 // by a realm: nothing of this key counts any more
)

const (
	statementContext = "shoal/1 statement"
	maxStatementBody = 2048 // bytes
	maxCandidates    = 16
	issuedAhead      = time.Minute    // how far in the future a statement may have been issued: clocks differ
	datedBack        = 24 * time.Hour // what a realm certifies: it is checked by clocks that nobody has set yet
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

// decodeStatement reads the next statement; the error sticks to d.
func decodeStatement(d *xdr.Decoder) *statement {
	s := &statement{says: Kind(d.Uint32())}
	copy(s.issuer[:], d.Fixed(len(s.issuer)))
	s.issued, s.expires = d.Int64(), d.Int64()
	s.body = d.Opaque(maxStatementBody)
	copy(s.proof[:], d.Fixed(len(s.proof)))
	return s
}

// size is the length of the statement's encoding in bytes.
func (s *statement) size() int { return 4 + 32 + 8 + 8 + 4 + (len(s.body)+3)/4*4 + 64 }

func parseStatement(b []byte) (*statement, error) {
	d := xdr.NewDecoder(b)
	s := decodeStatement(d)
	if err := d.Finish(); err != nil {
		return nil, shoal.Errorf(shoal.Untrusted, "a statement that cannot be read: %w: %w", RefusedForm, err)
	}
	return s, nil
}

// verifyStatement returns the body of a statement that is of kind says, by issuer, and holds at now (rule C1). The
// error has code Untrusted.
func verifyStatement(b []byte, says Kind, issuer [32]byte, now time.Time) ([]byte, error) {
	s, err := parseStatement(b)
	if err != nil {
		return nil, err
	}
	if s.says != says {
		return nil, shoal.Errorf(shoal.Untrusted, "a statement of kind %d where one of kind %d belongs: %w", s.says, says, RefusedChain)
	}
	return s.body, s.verify(issuer, now)
}

// verify checks all of rule C1 but the kind. The error has code Untrusted.
func (s *statement) verify(issuer [32]byte, now time.Time) error {
	if err := s.verifyOrigin(issuer, now); err != nil {
		return err
	}
	if now.UnixMilli() >= s.expires {
		return shoal.Errorf(shoal.Untrusted, "a statement is refused: %w at %v", RefusedExpired, time.UnixMilli(s.expires).UTC())
	}
	return nil
}

// verifyOrigin checks that issuer made the statement before now. Every statement is accepted here or nowhere.
func (s *statement) verifyOrigin(issuer [32]byte, now time.Time) error {
	switch {
	case s.issuer != issuer:
		return shoal.Errorf(shoal.Untrusted, "a statement is by another key than it should be: %w", RefusedChain)
	case !verify(s.issuer, s.signedPart(), s.proof):
		return shoal.Errorf(shoal.Untrusted, "a statement is refused: %w", RefusedSignature)
	case now.Add(issuedAhead).UnixMilli() < s.issued:
		return shoal.Errorf(shoal.Untrusted, "a statement is refused: %w, %v", RefusedFuture, time.UnixMilli(s.issued).UTC())
	}
	return nil
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
	return readCandidates(body)
}

// readCandidates takes the body of CANDIDATES apart.
func readCandidates(body []byte) ([]Candidate, error) {
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
