package meta

import (
	"shoal"
	"shoal/xdr"
)

// SetRealm replaces the realm's keys and statements, for whoever holds the state folder. The code of the first user is
// kept only while there has been no user. The error's code is Denied or Changed (the root key is not Was).
type SetRealm struct {
	Was        shoal.RealmKey // the root key up to now, zero where there is none
	Root       shoal.RealmKey
	Tickets    [][]byte // at most 64 of at most 4 KiB each
	Successors [][]byte // likewise
	FirstCode  [32]byte // SHA-256 of the code that makes the first user; zero to leave it as it is
}

func (m *SetRealm) check() error {
	for _, all := range [][][]byte{m.Tickets, m.Successors} {
		if len(all) > maxKeys {
			return shoal.Errorf(shoal.BadRequest, "a realm can have %d statements of a kind, not %d", maxKeys, len(all))
		}
		for _, s := range all {
			if len(s) > maxKey {
				return shoal.Errorf(shoal.BadRequest, "a statement can have %d bytes, not %d", maxKey, len(s))
			}
		}
	}
	return nil
}

func (m *SetRealm) append(b []byte) []byte {
	b = xdr.AppendFixed(xdr.AppendFixed(b, m.Was[:]), m.Root[:])
	b = appendStatements(appendStatements(b, m.Tickets), m.Successors)
	return xdr.AppendFixed(b, m.FirstCode[:])
}

func (m *SetRealm) decide(t *transaction) error {
	if !t.id.Holder {
		return shoal.Errorf(shoal.Denied, "only whoever holds the server's state folder may change the realm's keys")
	}
	r := &Realm{}
	t.load(r)
	if r.Root != m.Was {
		return shoal.Errorf(shoal.Changed, "the realm's root key is %v, not %v: another server changed it; look at it again", r.Root, m.Was)
	}
	r.Root, r.Tickets, r.Successors = m.Root, m.Tickets, m.Successors
	if m.FirstCode != [32]byte{} && !r.Settled {
		r.FirstCode = m.FirstCode
	}
	t.put(r)
	return nil
}
