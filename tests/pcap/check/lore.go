package check

import (
	"net/netip"
	"slices"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// lore is what a Trace remembers beyond one connection. All of it is bounded.
type lore struct {
	nonces    bounded[wire.Nonce, bool]
	devices   bounded[shoal.DeviceID, *device]
	servers   bounded[[32]byte, *server]
	processes bounded[netip.AddrPort, *process]
	addresses bounded[netip.AddrPort, wire.Security] // by what CANDIDATES said last
	roots     bounded[trusting, trusted]
	manifests bounded[shoal.Object, *shoal.Manifest]
	hashes    int // in manifests
	units     units
}

// trusting is a device that trusts the realm of the server at an address.
type trusting struct {
	device shoal.DeviceID
	at     netip.AddrPort
}

// trusted are the root keys by which a certificate was accepted: the one that it began with, and the last.
type trusted struct{ first, last [32]byte }

// succeeds reports whether a certificate goes back to a root key that was replaced.
func (t trusted) succeeds(by *chain) bool {
	return t.first != t.last && by.first == t.first && !slices.Contains(by.issuers, t.last)
}

// server is what a server has said on any connection.
type server struct {
	epochs  map[shoal.Group]heard
	revoked map[string]revocation // by the chain
}

// heard is the epoch of a group that somebody told, or was told.
type heard struct {
	epoch uint64
	at    time.Time
}

// revocation is a key that was revoked.
type revocation struct {
	key     [32]byte
	expires time.Time
	at      time.Time // when it was first told
}

// process is what one that serves pieces was told by its servers: it is known by the address that it announced.
type process struct {
	device  shoal.DeviceID
	session *Conn // with a server, the last one
	highest map[shoal.Group]heard
	latest  map[shoal.Group]heard
	revoked map[[32]byte]time.Time // when it heard of it
}

func newProcess(d shoal.DeviceID, session *Conn) *process {
	return &process{d, session, map[shoal.Group]heard{}, map[shoal.Group]heard{}, map[[32]byte]time.Time{}}
}

// hearEpoch takes note of an epoch.
func (p *process) hearEpoch(g shoal.Group, h heard) {
	if len(p.latest) >= maxGroups {
		return
	}
	p.latest[g] = h
	if h.epoch > p.highest[g].epoch {
		p.highest[g] = h
	}
}

// hear takes over what another one heard.
func (p *process) hear(other *process) {
	for g, h := range other.latest {
		p.hearEpoch(g, h)
	}
	for k, at := range other.revoked {
		p.revoked[k] = at
	}
}

// reaches reports whether the process has a session with a server, which holds that long already.
func (p *process) reaches(at time.Time) bool {
	s := p.session
	return s != nil && s.alive() && !s.blind && s.handshake.done != nil && at.Sub(s.handshake.done.At) > slack
}

const (
	maxGroups      = 1 << 12
	maxRevocations = 1 << 10
	maxHashes      = 1 << 21 // 64 MiB
)

func newLore() lore {
	return lore{
		nonces:    newBounded[wire.Nonce, bool](1 << 16),
		devices:   newBounded[shoal.DeviceID, *device](1 << 14),
		servers:   newBounded[[32]byte, *server](1 << 8),
		processes: newBounded[netip.AddrPort, *process](1 << 14),
		addresses: newBounded[netip.AddrPort, wire.Security](1 << 14),
		roots:     newBounded[trusting, trusted](1 << 14),
		manifests: newBounded[shoal.Object, *shoal.Manifest](1 << 12),
		units:     newUnits(),
	}
}

// serverLore is what is known of the connection's server.
func (c *Conn) serverLore() *server {
	s := c.trace.lore.servers.get(c.Identity)
	if s == nil {
		s = &server{map[shoal.Group]heard{}, map[string]revocation{}}
		c.trace.lore.servers.put(c.Identity, s)
	}
	return s
}

// process is the one that responds on a connection between peers; nil where it is not known.
func (c *Conn) process() *process {
	if p := c.trace.lore.processes.get(c.Responder); p != nil && p.device == c.Identity {
		return p
	}
	return nil
}

// keepManifest remembers what proves an object.
func (l *lore) keepManifest(o shoal.Object, m *shoal.Manifest) {
	if l.manifests.has(o) {
		return
	}
	if l.hashes += len(m.Pieces); l.hashes > maxHashes {
		l.manifests, l.hashes = newBounded[shoal.Object, *shoal.Manifest](1<<12), len(m.Pieces)
	}
	l.manifests.put(o, m)
}

// keepAddresses remembers how connections are accepted at addresses.
func (l *lore) keepAddresses(all []identity.Candidate) {
	for _, c := range all {
		l.addresses.put(c.Addr, c.Security)
	}
}

// bounded is a map that forgets what was put first when it has too much.
type bounded[K comparable, V any] struct {
	most  int
	known map[K]V
	order []K
}

func newBounded[K comparable, V any](most int) bounded[K, V] {
	return bounded[K, V]{most: most, known: map[K]V{}}
}

func (b *bounded[K, V]) has(k K) bool { _, has := b.known[k]; return has }

func (b *bounded[K, V]) get(k K) V { return b.known[k] }

func (b *bounded[K, V]) put(k K, v V) {
	if !b.has(k) {
		if b.order = append(b.order, k); len(b.order) > b.most {
			delete(b.known, b.order[0])
			b.order = b.order[1:]
		}
	}
	b.known[k] = v
}
