package vectors

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"strconv"

	"shoal/wire/spec"
)

// Statements are what is signed: statements, chains of them, and the transcripts of handshakes.
type Statements struct {
	Statements  []Statement  `json:"statements"`
	Chains      []Chain      `json:"chains"`
	Transcripts []Transcript `json:"transcripts"`
}

// Statement is a statement, and what a receiver of it expects.
type Statement struct {
	Name      string `json:"name"`
	Statement Hex    `json:"statement"`
	Says      uint64 `json:"says"`   // the kind expected there
	Issuer    Hex    `json:"issuer"` // the key expected there
	Now       string `json:"now"`    // the server's time, in milliseconds
	// Candidates is "host port" for each candidate, Server the key, of a statement that must be accepted.
	Candidates []string `json:"candidates,omitempty"`
	Server     Hex      `json:"server,omitempty"`
	Rule       string   `json:"rule"` // for which it must be refused, or ""
}

// Transcript is a transcript and both sides' signatures of its bytes. The keys are the Ed25519 keys of the seeds.
type Transcript struct {
	Name       string         `json:"name"`
	Fields     map[string]any `json:"fields"`
	Transcript Hex            `json:"transcript"`
	Seed       Hex            `json:"seed"` // of the signer's key, a side's by the context (RFC 8032 section 5.1.5)
	Proof      Hex            `json:"proof"`
}

// Hex is written as hexadecimal digits.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func seed(fill byte) []byte { return bytes.Repeat([]byte{fill}, ed25519.SeedSize) }

func key(fill byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed(fill)) }

func public(fill byte) Hex { return Hex(key(fill).Public().(ed25519.PublicKey)) }

// Seeds of the keys.
const (
	realmSeed  = 1
	serverSeed = 2
	deviceSeed = 3
	otherSeed  = 4
	ticketSeed = 5
	laterSeed  = 6 // the realm's root keys that follow the first
	lastSeed   = 7
)

const (
	issued  = 1_800_000_000_000 // milliseconds since 1970
	expires = issued + 86_400_000
)

func makeStatements(s *spec.Spec) (*Statements, error) {
	m := &maker{spec: s}
	m.serverKeys()
	m.candidates()
	m.certificates()
	m.revocations()
	m.tickets()
	m.records()
	m.transcripts()
	return &m.made, m.err
}

// maker makes statements; its first error sticks.
type maker struct {
	spec *spec.Spec
	made Statements
	err  error
}

func (m *maker) encode(typ string, fields map[string]any) Hex {
	e, err := spec.Encode(m.spec.Types[typ], fields)
	if err != nil {
		if m.err == nil {
			m.err = err
		}
		return nil
	}
	return e.Bytes
}

// sign makes the statement with the given body, by the signer's key.
func (m *maker) sign(says uint64, signer byte, body Hex, context string) Hex {
	return m.signUntil(says, signer, body, context, issued, expires)
}

func (m *maker) signUntil(says uint64, signer byte, body Hex, context string, from, until int64) Hex {
	fields := map[string]any{
		"says": says, "issuer": hex.EncodeToString(public(signer)),
		"issued": strconv.FormatInt(from, 10), "expires": strconv.FormatInt(until, 10), "body": hex.EncodeToString(body),
	}
	signed := maps.Clone(fields)
	signed["context"] = context
	fields["proof"] = hex.EncodeToString(ed25519.Sign(key(signer), m.encode("signed_part", signed)))
	return m.encode("statement", fields)
}

const (
	statementContext = "shoal/1 statement"
	saysServerKey    = 1
	saysCandidates   = 2
	saysTicketKey    = 3
	saysTicket       = 4
	saysSuccessor    = 5
	saysRevoked      = 6
)

func (m *maker) serverKeys() {
	body := m.encode("server_key", map[string]any{"server": hex.EncodeToString(public(serverSeed))})
	good := m.sign(saysServerKey, realmSeed, body, statementContext)
	add := func(name string, b Hex, says uint64, issuer Hex, now int64, rule string) {
		v := Statement{Name: name, Statement: b, Says: says, Issuer: issuer, Now: strconv.FormatInt(now, 10), Rule: rule}
		if rule == "" {
			v.Server = public(serverSeed)
		}
		m.made.Statements = append(m.made.Statements, v)
	}
	realm := public(realmSeed)
	add("a realm certifies a server", good, saysServerKey, realm, issued, "")
	add("in its last millisecond", good, saysServerKey, realm, expires-1, "")
	add("at the moment it expires", good, saysServerKey, realm, expires, "C1")
	add("issued 60 seconds in the future", good, saysServerKey, realm, issued-60_000, "")
	add("issued more than 60 seconds in the future", good, saysServerKey, realm, issued-60_001, "C1")
	add("by another realm", m.sign(saysServerKey, otherSeed, body, statementContext), saysServerKey, realm, issued, "C1")
	add("where candidates are expected", good, saysCandidates, realm, issued, "C1")
	add("signed with another context", m.sign(saysServerKey, realmSeed, body, "shoal/1 hello responder"), saysServerKey, realm,
		issued, "C1")
	for _, i := range []int{3, 4, 40, 48, 60, len(good) - 64, len(good) - 1} {
		changed := bytes.Clone(good)
		changed[i] ^= 1
		add(fmt.Sprintf("with byte %d changed", i), changed, saysServerKey, realm, issued, "C1")
	}
	add("with a byte left over", append(bytes.Clone(good), 0), saysServerKey, realm, issued, "X1")
	add("with its last four bytes missing", good[:len(good)-4], saysServerKey, realm, issued, "X1")
	add("with a body of 33 bytes", m.sign(saysServerKey, realmSeed, append(body, 0), statementContext), saysServerKey, realm,
		issued, "X1")
}

func (m *maker) candidates() {
	type at struct {
		secured int
		host    string
		port    uint32
	}
	add := func(name, rule string, ats ...at) {
		addresses := []any{}
		var lines []string
		for _, a := range ats {
			addresses = append(addresses, map[string]any{"secured": a.secured, "host": a.host, "port": int(a.port)})
			lines = append(lines, fmt.Sprintf("%s %d", a.host, a.port))
		}
		if rule != "" {
			lines = nil
		}
		body := m.encode("candidates", map[string]any{"addresses": addresses})
		m.made.Statements = append(m.made.Statements, Statement{
			Name: name, Says: saysCandidates, Issuer: public(deviceSeed), Rule: rule, Candidates: lines,
			Statement: m.sign(saysCandidates, deviceSeed, body, statementContext), Now: strconv.Itoa(issued),
		})
	}
	add("no candidates", "")
	add("candidates of both families", "", at{1, "192.0.2.1", 1}, at{2, "2001:db8::1", 65535})
	many := make([]at, 17)
	for i := range many {
		many[i] = at{1, "192.0.2.1", uint32(i + 1)}
	}
	add("16 candidates", "", many[:16]...)
	add("17 candidates", "X2", many...)
	add("a security of 3", "X1", at{3, "192.0.2.1", 1})
	add("port 0", "C2", at{1, "192.0.2.1", 0})
	add("port 65536", "C2", at{1, "192.0.2.1", 65536})
	for _, host := range []string{"", "example.org", "192.0.2", "192.0.2.1:80", "[2001:db8::1]", "192.0.2.256", "0x7f000001"} {
		add(fmt.Sprintf("host %q", host), "C2", at{1, host, 80})
	}
}

func (m *maker) transcripts() {
	fields := map[string]any{
		"protocol": 1, "wanted": 1, "secured": 1,
		"initiator_random": hex.EncodeToString(seed(0xa1)), "responder_random": hex.EncodeToString(seed(0xb2)),
		"initiator": hex.EncodeToString(public(deviceSeed)), "responder": hex.EncodeToString(public(serverSeed)),
		"now": strconv.Itoa(issued), "binding": hex.EncodeToString(seed(0xc3)),
	}
	add := func(name, context string, signer byte, changed map[string]any) {
		all := with(with(fields, changed), map[string]any{"context": context})
		b := m.encode("transcript", all)
		m.made.Transcripts = append(m.made.Transcripts, Transcript{
			Name: name, Fields: all, Transcript: b,
			Seed: seed(signer), Proof: ed25519.Sign(key(signer), b),
		})
	}
	plain := map[string]any{"secured": 2, "binding": "", "wanted": 2}
	add("a server proves itself over TLS", "shoal/1 hello responder", serverSeed, nil)
	add("a device proves itself to a server over TLS", "shoal/1 hello initiator", deviceSeed, nil)
	add("a peer proves itself in plaintext", "shoal/1 hello responder", serverSeed, plain)
	add("a device proves itself to a peer in plaintext", "shoal/1 hello initiator", deviceSeed, plain)
}
