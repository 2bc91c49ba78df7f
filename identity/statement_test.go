package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	oracle "github.com/vmware/go-nfs-client/nfs/xdr"

	"shoal"
	"shoal/tests/bounds"
	"shoal/wire"
	"shoal/xdr"
)

var noon = time.UnixMilli(1_700_000_000_000)

// The structs of shoal.x, for an encoder that is not ours.
type (
	xStatement struct {
		Says            uint32
		Issuer          [32]byte
		Issued, Expires int64
		Body            []byte
		Proof           [64]byte
	}
	xSignedPart struct {
		Context         string
		Says            uint32
		Issuer          [32]byte
		Issued, Expires int64
		Body            []byte
	}
	xCandidate struct {
		Secured uint32
		Host    string
		Port    uint32
	}
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, oracle.Write(&b, v))
	return b.Bytes()
}

// composed makes a statement without the code under test.
func composed(t *testing.T, private ed25519.PrivateKey, says uint32, issued, expires time.Time, body []byte) []byte {
	t.Helper()
	s := xStatement{Says: says, Issuer: [32]byte(private.Public().(ed25519.PublicKey)), Issued: issued.UnixMilli(), Expires: expires.UnixMilli(), Body: body}
	s.Proof = [64]byte(ed25519.Sign(private, encode(t, xSignedPart{"shoal/1 statement", s.Says, s.Issuer, s.Issued, s.Expires, s.Body})))
	return encode(t, s)
}

func TestStatementsAgreeWithOracle(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	key := wrapKey(private)
	server := [32]byte{1, 2, 3}
	got := CertifyServer(key, server, noon, time.Hour)
	want := composed(t, private, 1, noon.Add(-24*time.Hour), noon.Add(time.Hour), server[:])
	if !bytes.Equal(got, want) {
		t.Errorf("SERVER_KEY\n got %x\nwant %x", got, want)
	}
	body := encode(t, []xCandidate{{1, "192.0.2.1", 7401}, {2, "2001:db8::1", 65535}})
	want = composed(t, private, 2, noon, noon.Add(time.Minute), body)
	got = SignCandidates(key, []Candidate{
		{wire.TLS, netip.MustParseAddrPort("192.0.2.1:7401")}, {wire.Plaintext, netip.MustParseAddrPort("[2001:db8::1]:65535")},
	}, noon, time.Minute)
	if !bytes.Equal(got, want) {
		t.Errorf("CANDIDATES\n got %x\nwant %x", got, want)
	}
}

func TestServerStatement(t *testing.T) {
	realm, server := NewKey(), NewKey()
	s := CertifyServer(realm, server.Public(), noon, time.Hour)
	check := func(at time.Time) error { return VerifyServer(s, realm.Public(), server.Public(), at) }
	// Dated back by a day, because clients' clocks differ; and accepted for a minute before that.
	for _, at := range []time.Duration{0, time.Hour - 1, -24 * time.Hour, -24*time.Hour - time.Minute} {
		if err := check(noon.Add(at)); err != nil {
			t.Errorf("at %v: %v", at, err)
		}
	}
	for _, at := range []time.Duration{time.Hour, 1000 * time.Hour, -24*time.Hour - time.Minute - time.Millisecond} {
		if err := check(noon.Add(at)); err == nil {
			t.Errorf("accepted at %v", at)
		} else {
			wantCode(t, err, shoal.Untrusted)
		}
	}
	wantCode(t, VerifyServer(s, NewKey().Public(), server.Public(), noon), shoal.Untrusted)
	wantCode(t, VerifyServer(s, realm.Public(), NewKey().Public(), noon), shoal.Untrusted)
	wantCode(t, VerifyServer(nil, realm.Public(), server.Public(), noon), shoal.Untrusted)
	if claimed, err := CertifyingRealm(s); err != nil || claimed != shoal.RealmKey(realm.Public()) {
		t.Errorf("by %v, %v", claimed, err)
	}
	if _, err := CertifyingRealm(s[:20]); err == nil {
		t.Error("half a statement names a realm")
	}
}

// A statement with any bit changed is refused.
func TestStatementFlipped(t *testing.T) {
	device := NewKey()
	s := SignCandidates(device, []Candidate{{wire.TLS, netip.MustParseAddrPort("192.0.2.1:7401")}}, noon, time.Hour)
	if _, err := VerifyCandidates(s, device.Device(), noon); err != nil {
		t.Fatal(err)
	}
	for i := range len(s) * 8 {
		flipped := bytes.Clone(s)
		flipped[i/8] ^= 1 << (i % 8)
		if _, err := VerifyCandidates(flipped, device.Device(), noon); err == nil {
			t.Fatalf("accepted with bit %d of byte %d changed", i%8, i/8)
		}
	}
	for n := range s {
		if _, err := VerifyCandidates(s[:n], device.Device(), noon); err == nil {
			t.Fatalf("accepted cut at %d", n)
		}
	}
	_, err := VerifyCandidates(append(bytes.Clone(s), 0, 0, 0, 0), device.Device(), noon)
	wantCode(t, err, shoal.Untrusted)
}

func TestCandidates(t *testing.T) {
	device := NewKey()
	var many []Candidate
	for i := range 20 {
		many = append(many, Candidate{wire.Security(1 + i%2), netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(1+i))})
	}
	s := SignCandidates(device, many, noon, time.Hour)
	got, err := VerifyCandidates(s, device.Device(), noon)
	must(t, err)
	if len(got) != 16 || fmt.Sprint(got) != fmt.Sprint(many[:16]) {
		t.Errorf("got %v", got)
	}
	if expires, err := Expires(s); err != nil || !expires.Equal(noon.Add(time.Hour)) {
		t.Errorf("expires at %v, %v", expires, err)
	}
	if _, err := Expires(s[1:]); err == nil {
		t.Error("what is no statement expires")
	}
	_, err = VerifyCandidates(s, device.Device(), noon.Add(time.Hour))
	wantCode(t, err, shoal.Untrusted)
	_, err = VerifyCandidates(s, device.Device(), noon.Add(-time.Minute-time.Millisecond))
	wantCode(t, err, shoal.Untrusted)
	_, err = VerifyCandidates(s, NewKey().Device(), noon)
	wantCode(t, err, shoal.Untrusted)
	// A statement of another kind by the same key, whose body could be read as candidates.
	_, err = VerifyCandidates(issue(device, SaysServerKey, binary.BigEndian.AppendUint32(nil, 0), noon, time.Hour), device.Device(), noon)
	wantCode(t, err, shoal.Untrusted)
}

// What is signed well but is no list of addresses is refused as well (rule C2).
func TestCandidatesMalformed(t *testing.T) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	device := shoal.DeviceID(private.Public().(ed25519.PublicKey))
	one := func(secured uint32, host string, port uint32) []byte {
		return encode(t, []xCandidate{{secured, host, port}})
	}
	for name, body := range map[string][]byte{
		"a host name":         one(1, "localhost", 7401),
		"an address and zone": one(1, "fe80::1%eth0", 7401),
		"no host":             one(1, "", 7401),
		"port 0":              one(1, "192.0.2.1", 0),
		"port 65536":          one(1, "192.0.2.1", 65536),
		"no security":         one(0, "192.0.2.1", 1),
		"unknown security":    one(3, "192.0.2.1", 1),
		"a long host":         one(1, strings.Repeat("1", 256), 1),
		"too many":            encode(t, make([]xCandidate, 17)),
		"a length that lies":  binary.BigEndian.AppendUint32(nil, 1<<31),
		"bytes left over":     append(one(1, "192.0.2.1", 1), 0, 0, 0, 0),
		"nothing":             nil,
		"more than a body":    bytes.Repeat([]byte{0}, 2052),
	} {
		_, err := VerifyCandidates(composed(t, private, 2, noon, noon.Add(time.Hour), body), device, noon)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantCode(t, err, shoal.Untrusted)
	}
	if _, err := VerifyCandidates(composed(t, private, 2, noon, noon.Add(time.Hour), one(1, "192.0.2.1", 1)), device, noon); err != nil {
		t.Errorf("the same, well-formed: %v", err)
	}
	wantCode(t, VerifyServer(composed(t, private, 1, noon, noon.Add(time.Hour), make([]byte, 31)), shoal.RealmKey(device), [32]byte{}, noon), shoal.Untrusted)
}

func FuzzStatement(f *testing.F) {
	device := wrapKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	f.Add(SignCandidates(device, []Candidate{{wire.TLS, netip.MustParseAddrPort("192.0.2.1:7401")}}, noon, time.Hour))
	f.Add(CertifyServer(device, [32]byte{1}, noon, time.Hour))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			s, err := parseStatement(b)
			if err != nil {
				return
			}
			if again := xdr.AppendFixed(s.appendSignedPart(nil), s.proof[:]); !bytes.Equal(again, b) {
				t.Errorf("%x is parsed and encodes to %x", b, again)
			}
			_, _ = VerifyCandidates(b, shoal.DeviceID(s.issuer), noon)
		})
	})
}
