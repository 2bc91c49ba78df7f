package identity

import (
	"math"
	"sync"
	"time"

	"shoal"
	"shoal/xdr"
)

const (
	maxChain   = 8    // statements in a chain (rule C4)
	maxRevoked = 1024 // keys whose revocation an Authority remembers
	maxKnown   = 32   // chains that an Authority remembers as good; a realm has a few at a time
)

// role is what the key that a chain has reached may do.
type role int

const (
	rootRole   role = iota // anything: it is the realm's root, or took its place
	serverRole             // answer as a server of the realm
	ticketRole             // sign tickets
)

// step is the table of rule C5: what a statement by a key in one role makes of the key that it names.
func step(from role, says Kind) (to role, ok bool) {
	switch {
	case says == SaysSuccessor:
		return from, true
	case from == rootRole && says == SaysServerKey:
		return serverRole, true
	case from == rootRole && says == SaysTicketKey:
		return ticketRole, true
	}
	return from, false
}

// link is where a chain has got to: a key, its role, and when the statements so far hold.
type link struct {
	root            shoal.RealmKey // the realm's root key after all successions
	key             [32]byte
	role            role
	issued, expires int64 // the latest and the earliest of the statements, in milliseconds since 1970
}

// Authority is one realm's word: it accepts what chains to the realm's root key, by way of that key's successors, and
// goes through no key that was revoked. Safe for concurrent use.
type Authority struct {
	root shoal.RealmKey

	mu      sync.Mutex // guards what is below
	revoked map[[32]byte]time.Time
	known   map[string]link // by the bytes of a chain: those that were good since the last revocation
	changes int             // of revoked
}

// NewAuthority trusts the realm with that root key.
func NewAuthority(root shoal.RealmKey) *Authority {
	return &Authority{root: root, revoked: map[[32]byte]time.Time{}, known: map[string]link{}}
}

// Root is the key that everything must chain to.
func (a *Authority) Root() shoal.RealmKey { return a.root }

// VerifyRevocation checks a chain that ends in REVOKED, and returns the key that it is about and when it expires. It is
// not taken note of. The error has code Untrusted.
func (a *Authority) VerifyRevocation(chain []byte, now time.Time) (key [32]byte, expires time.Time, err error) {
	before, last, err := a.split(chain)
	if err != nil {
		return key, expires, err
	}
	l, err := a.follow(before, now)
	if err != nil {
		return key, expires, err
	}
	if l.role != rootRole || last.says != SaysRevoked {
		return key, expires, shoal.Errorf(shoal.Untrusted, "a revocation that is none by the realm: %w", RefusedChain)
	}
	if err := last.verify(l.key, now); err != nil {
		return key, expires, err
	}
	key, err = namedKey(last)
	return key, time.UnixMilli(last.expires), err
}

// VerifySuccession checks a chain of SUCCESSORs, and returns the root key that it leads to: the Authority's own one where
// the chain is empty. The error has code Untrusted.
func (a *Authority) VerifySuccession(chain []byte, now time.Time) (shoal.RealmKey, error) {
	if len(chain) == 0 {
		return a.root, nil
	}
	before, last, err := a.split(chain)
	if err != nil {
		return a.root, err
	}
	at, err := a.follow(before, now)
	if err == nil {
		at, err = a.advance(at, last, now)
	}
	if err != nil {
		return a.root, err
	}
	if at.role != rootRole {
		return a.root, shoal.Errorf(shoal.Untrusted, "a chain that leads to no root key of the realm: %w", RefusedChain)
	}
	return at.root, nil
}

// Revoke takes note of a revocation: of a chain that ends in REVOKED (rule C6). It counts until the statement expires.
// The error has code Untrusted, or Limit where too many are remembered.
func (a *Authority) Revoke(chain []byte, now time.Time) error {
	key, until, err := a.VerifyRevocation(chain, now)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, until := range a.revoked {
		if !now.Before(until) {
			delete(a.revoked, key)
		}
	}
	if was, known := a.revoked[key]; !known && len(a.revoked) >= maxRevoked {
		return shoal.Errorf(shoal.Limit, "the realm revoked more than %d keys; ask its keeper to rotate the key that certified them", maxRevoked)
	} else if until.After(was) {
		a.revoked[key] = until
	}
	a.changes++
	clear(a.known)
	return nil
}

// isRevoked reports whether nothing that goes through key counts.
func (a *Authority) isRevoked(key [32]byte, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, revoked := a.revoked[key]
	return revoked && now.Before(until)
}

// parseChain reads the statements of a chain. The error has code Untrusted.
func parseChain(b []byte) ([]*statement, error) {
	var all []*statement
	for len(b) > 0 || len(all) == 0 {
		if len(all) == maxChain {
			return nil, shoal.Errorf(shoal.Untrusted, "a chain of more than %d statements: %w", maxChain, RefusedForm)
		}
		d := xdr.NewDecoder(b)
		s := decodeStatement(d)
		if err := d.Err(); err != nil {
			return nil, shoal.Errorf(shoal.Untrusted, "a statement that cannot be read: %w: %w", RefusedForm, err)
		}
		all = append(all, s)
		b = b[s.size():]
	}
	return all, nil
}

// split takes a chain apart from its last statement, leaving out what comes before the first one by the root (rule C4).
func (a *Authority) split(chain []byte) (before []byte, last *statement, err error) {
	all, err := parseChain(chain)
	if err != nil {
		return nil, nil, err
	}
	begin := 0
	for len(all) > 0 && all[0].issuer != a.root {
		begin += all[0].size()
		all = all[1:]
	}
	if len(all) == 0 {
		return nil, nil, shoal.Errorf(shoal.Untrusted, "statements by another key than the realm's, %v: %w", a.root, RefusedChain)
	}
	last = all[len(all)-1]
	return chain[begin : len(chain)-last.size()], last, nil
}

// follow goes from the root along a chain that begins there, all of which must hold at now.
func (a *Authority) follow(chain []byte, now time.Time) (link, error) {
	at := link{root: a.root, key: a.root, issued: math.MinInt64, expires: math.MaxInt64}
	if a.isRevoked(at.key, now) {
		return link{}, shoal.Errorf(shoal.Untrusted, "the realm's root key is not trusted any more: %w", RefusedRevoked)
	}
	if len(chain) == 0 {
		return at, nil
	}
	a.mu.Lock()
	known, ok := a.known[string(chain)]
	changes := a.changes
	a.mu.Unlock()
	if ms := now.UnixMilli(); ok && ms < known.expires && ms >= known.issued {
		return known, nil
	}
	all, err := parseChain(chain)
	if err != nil {
		return link{}, err
	}
	for _, s := range all {
		if at, err = a.advance(at, s, now); err != nil {
			return link{}, err
		}
	}
	if at.issued <= now.UnixMilli() { // else within the tolerance of clocks: it will be checked again
		a.remember(chain, at, changes)
	}
	return at, nil
}

// advance checks one statement of a chain that has got to at, and returns where it leads.
func (a *Authority) advance(at link, s *statement, now time.Time) (link, error) {
	to, ok := step(at.role, s.says)
	if !ok {
		return at, shoal.Errorf(shoal.Untrusted, "a statement of kind %d where it cannot stand: %w", s.says, RefusedChain)
	}
	if err := s.verify(at.key, now); err != nil {
		return at, err
	}
	key, err := namedKey(s)
	if err != nil {
		return at, err
	}
	if a.isRevoked(key, now) {
		return at, shoal.Errorf(shoal.Untrusted, "a statement is refused: %w", RefusedRevoked)
	}
	at.key, at.role = key, to
	if to == rootRole {
		at.root = key
	}
	at.issued, at.expires = max(at.issued, s.issued), min(at.expires, s.expires)
	return at, nil
}

// remember keeps a good chain, unless a key was revoked meanwhile. Only what the realm signed gets there, so strangers
// cannot push anything out.
func (a *Authority) remember(chain []byte, at link, changes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changes != changes {
		return
	}
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[string(chain)] = at
}

// namedKey is the body of a statement that names a key.
func namedKey(s *statement) (key [32]byte, err error) {
	if len(s.body) != len(key) {
		return key, shoal.Errorf(shoal.Untrusted, "a key of %d bytes: %w", len(s.body), RefusedForm)
	}
	return [32]byte(s.body), nil
}
