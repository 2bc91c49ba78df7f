package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shoal"
)

func TestRevocationsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked_keys")
	root := NewKey()
	chain := func() []byte { return RevokeKey(root, NewKey().Public(), time.Now(), time.Hour) }
	one, two := chain(), chain()
	if kept, err := OpenRevocations(path).All(); err != nil || kept != nil {
		t.Errorf("of none: %v, %v", kept, err)
	}
	for _, c := range [][]byte{one, two, one} {
		if err := OpenRevocations(path).Add(c); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := OpenRevocations(path).All()
	if err != nil || len(kept) != 2 || !bytes.Equal(kept[0], one) || !bytes.Equal(kept[1], two) {
		t.Errorf("kept %x, %v", kept, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// As many are kept as must be, and then the latest.
func TestManyRevocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked_keys")
	if err := os.WriteFile(path, []byte(strings.Repeat("AAAA\n", maxRevoked)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := OpenRevocations(path)
	if err := r.Add([]byte("the latest")); err != nil {
		t.Fatal(err)
	}
	if kept, err := r.All(); err != nil || len(kept) != maxRevoked || string(kept[maxRevoked-1]) != "the latest" {
		t.Errorf("kept %d, %v", len(kept), err)
	}
}

func TestRevocationsThatCannotBeRead(t *testing.T) {
	for _, content := range []string{"no base64!\n", strings.Repeat("A", 1<<20), strings.Repeat("AAAA\n", maxRevoked+1)} {
		path := filepath.Join(t.TempDir(), "revoked_keys")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRevocations(path).All(); !errors.Is(err, shoal.Untrusted) {
			t.Errorf("%.20q: %v", content, err)
		}
		if err := OpenRevocations(path).Add([]byte("x")); !errors.Is(err, shoal.Untrusted) {
			t.Errorf("%.20q: adding to it: %v", content, err)
		}
	}
}

// A chain of successions leads to the newest root key, and to none where anything else is in it.
func TestVerifySuccession(t *testing.T) {
	now := time.Now()
	first, second, third, server := NewKey(), NewKey(), NewKey(), NewKey()
	to := func(old, next *Key) []byte { return NameSuccessor(old, next.Public(), now, time.Hour) }
	both := append(to(first, second), to(second, third)...)
	for name, c := range map[string]struct {
		root  *Key
		chain []byte
		leads *Key // nil where it is refused
	}{
		"none":                    {first, nil, first},
		"one":                     {first, to(first, second), second},
		"two":                     {first, both, third},
		"from the second one":     {second, both, third},
		"from the last one":       {third, both, nil},
		"by a stranger":           {first, to(second, third), nil},
		"to a server":             {first, append(to(first, second), CertifyServer(second, server.Public(), now, time.Hour)...), nil},
		"by way of a server's":    {first, append(CertifyServer(first, server.Public(), now, time.Hour), to(server, third)...), nil},
		"expired":                 {first, NameSuccessor(first, second.Public(), now.Add(-2*time.Hour), time.Hour), nil},
		"a revocation at the end": {first, append(to(first, second), RevokeKey(second, first.Public(), now, time.Hour)...), nil},
	} {
		led, err := NewAuthority(c.root.Public()).VerifySuccession(c.chain, now)
		switch {
		case c.leads == nil && !errors.Is(err, shoal.Untrusted):
			t.Errorf("%s: %v, %v", name, led, err)
		case c.leads != nil && (err != nil || led != c.leads.Public()):
			t.Errorf("%s: %v, %v", name, led, err)
		}
	}
}
