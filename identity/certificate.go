package identity

import (
	"cmp"
	"slices"
	"time"

	"shoal"
	"shoal/wire"
)

// CertifyServer is the realm's statement that server serves it until the given time from now. Like everything that a
// realm certifies, it is dated back by a day: those who check it, or the machine that keeps the root key, may have
// another idea of the time.
func CertifyServer(realm *Key, server [32]byte, now time.Time, lasts time.Duration) []byte {
	return issue(realm, SaysServerKey, server[:], now.Add(-datedBack), lasts+datedBack)
}

// CertifyTicketKey is the realm's statement that key signs its tickets until the given time from now.
func CertifyTicketKey(realm *Key, key [32]byte, now time.Time, lasts time.Duration) []byte {
	return issue(realm, SaysTicketKey, key[:], now.Add(-datedBack), lasts+datedBack)
}

// NameSuccessor is old's statement that successor takes its place, be it as a realm's root key, a server's, or a ticket
// key. Who trusts old goes by it until the given time from now; a chain ends when the first of its statements does.
func NameSuccessor(old *Key, successor [32]byte, now time.Time, lasts time.Duration) []byte {
	return issue(old, SaysSuccessor, successor[:], now.Add(-datedBack), lasts+datedBack)
}

// RevokeKey is the realm's statement that nothing counts that goes through key. It should last as long as what
// certified that key.
func RevokeKey(realm *Key, key [32]byte, now time.Time, lasts time.Duration) []byte {
	return issue(realm, SaysRevoked, key[:], now.Add(-datedBack), lasts+datedBack)
}

// Chain joins statements (or chains), each by the key that the one before it names, into what carries them together. The
// error has code Limit where it would be too long for every verifier.
func Chain(parts ...[]byte) ([]byte, error) {
	chain := slices.Concat(parts...)
	if len(chain) > wire.MaxStatement {
		return nil, shoal.Errorf(shoal.Limit, "a chain of %d bytes; at most %d can be carried", len(chain), wire.MaxStatement)
	}
	if _, err := parseChain(chain); err != nil {
		return nil, shoal.Errorf(shoal.Limit, "joining a chain, which has at most %d statements: %w", maxChain, err)
	}
	return chain, nil
}

// Statements is how many statements a chain has; 0 where it is none.
func Statements(chain []byte) int {
	if len(chain) == 0 {
		return 0
	}
	all, err := parseChain(chain)
	if err != nil {
		return 0
	}
	return len(all)
}

// Expires is when the first statement of a chain ends. The chain must have been verified before.
func Expires(chain []byte) (time.Time, error) {
	all, err := parseChain(chain)
	if err != nil {
		return time.Time{}, err
	}
	first := slices.MinFunc(all, func(a, b *statement) int { return cmp.Compare(a.expires, b.expires) })
	return time.UnixMilli(first.expires), nil
}

// VerifyServer checks that realm certified server, maybe by way of successors. The error has code Untrusted.
func VerifyServer(certificate []byte, realm shoal.RealmKey, server [32]byte, now time.Time) error {
	_, err := NewAuthority(realm).VerifyServer(certificate, server, now)
	return err
}

// VerifyServer checks that the realm certified server (rule H7), and returns the realm's root key after all successions:
// the one to be pinned from now on. The error has code Untrusted.
func (a *Authority) VerifyServer(certificate []byte, server [32]byte, now time.Time) (shoal.RealmKey, error) {
	before, last, err := a.split(certificate)
	if err != nil {
		return a.root, err
	}
	at, err := a.follow(before, now)
	if err != nil {
		return a.root, err
	}
	if at, err = a.advance(at, last, now); err != nil {
		return a.root, err
	}
	switch {
	case at.role != serverRole:
		return a.root, shoal.Errorf(shoal.Untrusted, "the realm's certificate is for no server: %w", RefusedChain)
	case at.key != server:
		return a.root, shoal.Errorf(shoal.Untrusted, "the realm's certificate is for another server: %w", RefusedHolder)
	}
	return at.root, nil
}

// CertifyingRealm is the realm that a certificate claims to be by, unverified: for showing it at the first contact. After
// successions it is the newest.
func CertifyingRealm(certificate []byte) (realm shoal.RealmKey, err error) {
	all, err := parseChain(certificate)
	if err != nil {
		return realm, err
	}
	i := slices.IndexFunc(all, func(s *statement) bool { return s.says == SaysServerKey })
	if i < 0 {
		return realm, shoal.Errorf(shoal.Untrusted, "a certificate that is for no server: %w", RefusedChain)
	}
	return all[i].issuer, nil
}
