package meta

import (
	"time"

	"shoal"
	"shoal/xdr"
)

// MaxRevocations is how many keys can be revoked at a time: as many as clients remember (wire/PROTOCOL.md rule C6).
const MaxRevocations = 1024

// Revocation says that nothing counts any more that goes through a key of the realm. Its chain is signed elsewhere, and
// opaque here.
type Revocation struct {
	Key     [32]byte
	Chain   []byte    // statements, of which the last says it
	Expires time.Time // as that one does
}

func (r *Revocation) key() key { return revocationKey(r.Key) }

func (r *Revocation) append(b []byte) []byte {
	return xdr.AppendOpaque(appendTime(b, r.Expires), r.Chain)
}

func (r *Revocation) decode(d *decoder) {
	r.Expires = d.time()
	r.Chain = append([]byte(nil), d.Opaque(maxKey)...)
}

// Revoke keeps a revocation, in place of one of the same key, until it expires; for whoever holds the state folder. The
// error's code is Denied, or Limit (MaxRevocations).
type Revoke struct{ Revocation Revocation }

func (m *Revoke) check() error {
	r := &m.Revocation
	if r.Key == [32]byte{} || len(r.Chain) == 0 || len(r.Chain) > maxKey || r.Expires.IsZero() {
		return shoal.Errorf(shoal.BadRequest, "a revocation without a key or a time, or of %d bytes; 1 to %d are possible", len(r.Chain), maxKey)
	}
	return nil
}

func (m *Revoke) append(b []byte) []byte {
	return m.Revocation.append(xdr.AppendFixed(b, m.Revocation.Key[:]))
}

func (m *Revoke) decide(t *transaction) error {
	if !t.id.Holder {
		return shoal.Errorf(shoal.Denied, "only whoever holds the server's state folder may revoke the realm's keys")
	}
	if r := &m.Revocation; !t.has(r.key()) && len(t.list(revocationKeys)) >= MaxRevocations {
		return shoal.Errorf(shoal.Limit, "%d keys of the realm are revoked, and more are not possible; rotate the root key that certified them", MaxRevocations)
	}
	t.put(&m.Revocation)
	return nil
}
