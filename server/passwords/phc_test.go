package passwords

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"shoal"
	"shoal/tests/bounds"
)

// From the tests of the reference implementation of argon2 (version 19).
var references = []string{
	"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
	"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
}

// Hashes are checked with the parameters that they were made with, and found outdated.
func TestReferences(t *testing.T) {
	k := New()
	for i, stored := range references {
		if err := k.Check(t.Context(), Attempt{address(i), "ada", []byte("password"), stored}); err != nil {
			t.Errorf("%s: %v", stored, err)
		}
		wantCode(t, k.Check(t.Context(), Attempt{address(i), "ada", []byte("passw0rd"), stored}), shoal.Denied)
		if !Outdated(stored) {
			t.Errorf("%s is not outdated", stored)
		}
	}
}

func TestDamagedHashes(t *testing.T) {
	good := storedFor("0123456789abcdef0123456789abcdef")
	if _, err := parse(good); err != nil || Outdated(good) {
		t.Fatal(err)
	}
	replaced := func(old, text string) string { return strings.Replace(good, old, text, 1) }
	for _, stored := range []string{
		"", "$", good[1:], good + "$", good + "=", good[:len(good)-1], strings.ToUpper(good), " " + good, good + "\n",
		replaced("argon2id", "argon2i"), replaced("argon2id", "argon2d"), replaced("v=19", "v=16"), replaced("v=19$", ""),
		replaced("m=19456", "m=0"), replaced("m=19456", "m=7"), replaced("m=19456", "m=65537"), replaced("m=19456", "m=4294967295"),
		replaced("m=19456", "m=18446744073709551616"), replaced("m=19456", "m=-1"), replaced("m=19456", "m=019456"), replaced("m=19456", "m=+19456"),
		replaced("t=2", "t=0"), replaced("t=2", "t=9"), replaced("t=2", "t="), replaced("p=1", "p=0"), replaced("p=1", "p=5"),
		replaced("p=1", "p=257"), replaced("m=19456,t=2,p=1", "t=2,m=19456,p=1"), replaced("p=1", "p=1,keyid=x"), replaced(",p=1", ""),
		"$argon2id$v=19$m=19456,t=2,p=1$$" + strings.Repeat("A", 43), "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$",
		"$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$" + strings.Repeat("A", 4096), "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHQ",
		"$2b$12$abcdefghijklmnopqrstuv", "password",
	} {
		_, err := parse(stored)
		wantCode(t, err, shoal.Corrupt)
		if err != nil && len(stored) > 20 && strings.Contains(err.Error(), stored) {
			t.Errorf("the error repeats what is stored: %v", err)
		}
		if !Outdated(stored) {
			t.Errorf("%q is not outdated", stored)
		}
	}
}

func TestHashFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := params{
			lanes: rapid.Uint8Range(1, maxLanes).Draw(t, "lanes"), passes: rapid.Uint32Range(1, maxPasses).Draw(t, "passes"),
			memory: rapid.Uint32Range(8*maxLanes, maxMemory).Draw(t, "memory"),
			salt:   rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(t, "salt"), key: rapid.SliceOfN(rapid.Byte(), 16, 64).Draw(t, "key"),
		}
		got, err := parse(p.String())
		if err != nil || got.String() != p.String() || got.memory != p.memory || got.passes != p.passes || got.lanes != p.lanes ||
			string(got.salt) != string(p.salt) || string(got.key) != string(p.key) {
			t.Fatalf("%v is read as %v, %v", p, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, stored := range references {
		f.Add(stored)
	}
	f.Add(storedFor("0123456789abcdef0123456789abcdef"))
	f.Fuzz(func(t *testing.T, stored string) {
		bounds.Hold(t, len(stored), func() {
			p, err := parse(stored)
			if err == nil && (p.String() != stored || p.memory > maxMemory || p.passes > maxPasses || p.lanes > maxLanes || len(p.key) < 16) {
				t.Errorf("%q is read as %+v", stored, p)
			}
		})
	})
}
