package check

import (
	"crypto/ed25519"
	"slices"
	"sync"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
	"shoal/xdr"
)

// realm is the keys of a scripted realm, and who is there.
type realm struct {
	root, later       ed25519.PrivateKey
	server, second    party
	tickets           ed25519.PrivateKey
	alice, bob, carol party
	certificate       []byte
	certified         []byte // TICKET_KEY
}

const year = 365 * 24 * time.Hour

// theRealm is that of all scripts; nobody changes it.
var theRealm = sync.OnceValue(newRealm)

func newRealm() *realm {
	r := &realm{
		root: newKey(1), later: newKey(2), server: newParty(3), second: newParty(4), tickets: newKey(5),
		alice: newParty(11), bob: newParty(12), carol: newParty(13),
	}
	r.certificate = r.certify(r.root, r.server)
	r.certified = keyStatement(identity.SaysTicketKey, r.root, r.tickets, began)
	return r
}

func (r *realm) certify(by ed25519.PrivateKey, s party) []byte {
	return keyStatement(identity.SaysServerKey, by, s.key, began)
}

// said is a statement that is made by hand.
type said struct {
	says            identity.Kind
	by              ed25519.PrivateKey
	issued, expires time.Time
	body            []byte
	context         string
}

func (s said) sign() []byte {
	if s.context == "" {
		s.context = "shoal/1 statement"
	}
	var issuer [32]byte
	copy(issuer[:], s.by.Public().(ed25519.PublicKey))
	part := xdr.AppendUint32(nil, uint32(s.says))
	part = xdr.AppendFixed(part, issuer[:])
	part = xdr.AppendInt64(part, s.issued.UnixMilli())
	part = xdr.AppendInt64(part, s.expires.UnixMilli())
	part = xdr.AppendOpaque(part, s.body)
	return append(part, ed25519.Sign(s.by, append(xdr.AppendString(nil, s.context), part...))...)
}

// keyStatement names a key from a day before at on, for a year.
func keyStatement(says identity.Kind, by, named ed25519.PrivateKey, at time.Time) []byte {
	return said{says: says, by: by, issued: at.Add(-24 * time.Hour), expires: at.Add(year), body: named.Public().(ed25519.PublicKey)}.sign()
}

// pass is what a ticket says.
type pass struct {
	group   shoal.Group
	device  shoal.DeviceID
	user    string
	rights  uint32
	epoch   uint64
	grace   uint32
	issued  time.Time
	lasts   time.Duration
	by      ed25519.PrivateKey
	through []byte
}

func (r *realm) pass(p party, at time.Time) pass {
	return pass{
		group: "lab", device: p.device(), user: "someone", rights: 3, epoch: 7, grace: 3600, issued: at, lasts: 10 * time.Minute,
		by: r.tickets, through: r.certified,
	}
}

func (p pass) ticket() []byte {
	b := xdr.AppendString(nil, p.group)
	b = xdr.AppendFixed(b, p.device[:])
	b = xdr.AppendString(b, p.user)
	b = xdr.AppendUint32(b, p.rights)
	b = xdr.AppendUint64(b, p.epoch)
	b = xdr.AppendUint32(b, p.grace)
	return slices.Concat(p.through, said{says: identity.SaysTicket, by: p.by, issued: p.issued, expires: p.issued.Add(p.lasts), body: b}.sign())
}

// address is one candidate.
type address struct {
	secured wire.Security
	host    string
	port    uint32
}

func (p party) address() address {
	return address{wire.Plaintext, p.addr.Addr().String(), uint32(p.addr.Port())}
}

// candidates is a statement CANDIDATES by the party.
func (p party) candidates(at time.Time, all ...address) said {
	b := xdr.AppendUint32(nil, uint32(len(all)))
	for _, a := range all {
		b = xdr.AppendUint32(b, uint32(a.secured))
		b = xdr.AppendString(b, a.host)
		b = xdr.AppendUint32(b, a.port)
	}
	return said{says: identity.SaysCandidates, by: p.key, issued: at, expires: at.Add(time.Hour), body: b}
}

// here is the statement that the party accepts connections at its address.
func (p party) here(at time.Time) []byte { return p.candidates(at, p.address()).sign() }

// record leads to a party's candidates by its ticket.
func (r *realm) record(p party, at time.Time) []byte {
	return slices.Concat(r.pass(p, at).ticket(), p.here(at))
}

// sample is an object with its bytes.
type sample struct {
	shoal.Object
	bytes    []byte
	manifest *shoal.Manifest
}

func newSample(size int) *sample {
	s := &sample{bytes: make([]byte, size)}
	state := uint32(size) + 1
	for i := range s.bytes {
		state = state*1664525 + 1013904223
		s.bytes[i] = byte(state >> 24)
	}
	return s
}
