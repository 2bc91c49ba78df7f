package passwords

import (
	"bytes"
	"context"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"shoal"
)

func TestHashAndCheck(t *testing.T) {
	k, ctx := New(), t.Context()
	password := []byte(rightPassword)
	stored, err := k.Hash(ctx, address(1), password)
	must(t, err)
	if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") || len(stored) >= 128 {
		t.Errorf("stored is %q", stored)
	}
	if string(password) != rightPassword {
		t.Error("the caller's password was changed")
	}
	again, err := k.Hash(ctx, address(1), password)
	must(t, err)
	if again == stored {
		t.Error("two hashes have the same salt")
	}
	must(t, k.Check(ctx, Attempt{address(1), "ada", password, stored}))
	wrong := k.Check(ctx, Attempt{address(1), "ada", []byte("correct horse battery?"), stored})
	wantCode(t, wrong, shoal.Denied)
	unknown := k.Check(ctx, Attempt{address(1), "eve", password, ""})
	wantCode(t, unknown, shoal.Denied)
	if wrong.Error() != unknown.Error() {
		t.Errorf("a wrong password is answered %q, an unknown user %q", wrong, unknown)
	}
	if Outdated(stored) {
		t.Error("a fresh hash is outdated")
	}
	if wantCode(t, k.Check(ctx, Attempt{address(1), "ada", password, "x" + stored}), shoal.Corrupt); k.Waiting() != 0 {
		t.Errorf("%d wait", k.Waiting())
	}
}

// An unknown user takes as much work as a known one: the answer's time must not tell.
func TestUnknownUserTakesAsLong(t *testing.T) {
	k, ctx := New(), t.Context()
	stored, err := k.Hash(ctx, address(1), []byte(rightPassword))
	must(t, err)
	var known, unknown []time.Duration
	for i := range 5 {
		for _, to := range []struct {
			stored string
			took   *[]time.Duration
		}{{stored, &known}, {"", &unknown}} {
			begin := time.Now()
			err := k.Check(ctx, Attempt{address(i), string(rune('a' + i)), []byte("wrong password"), to.stored})
			*to.took = append(*to.took, time.Since(begin))
			wantCode(t, err, shoal.Denied)
		}
	}
	// The least of each: other work on the machine only adds.
	a, b := slices.Min(known), slices.Min(unknown)
	if a > 2*b || b > 2*a {
		t.Errorf("a known user takes %v, an unknown one %v", a, b)
	}
	p, err := parse(k.dummy)
	if err != nil || !p.isCurrent() {
		t.Errorf("unknown users are compared to %q, %v", k.dummy, err)
	}
}

func TestRules(t *testing.T) {
	for password, allowed := range map[string]bool{
		"12345678":                    true,
		"1234567":                     false,
		"":                            false,
		strings.Repeat("x", 1024):     true,
		strings.Repeat("x", 1025):     false,
		"пароль":                      true, // 12 bytes
		"🐋🐋":                          true,
		"with a\tTab":                 false,
		"with a line end\n":           false,
		"with a NUL\x00":              false,
		"no UTF-8 \xff\xfe":           false,
		"a  b  c  d":                  true,
		"        ":                    true,
		"surrogates \xed\xa0\x80":     false,
		"an escape \x1b[31m":          false,
		"a C1 control \u0085":         false,
		strings.Repeat("\u0344", 512): true, // each becomes two characters
	} {
		err := CheckRules([]byte(password))
		if (err == nil) != allowed {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil {
			wantCode(t, err, shoal.BadRequest)
			if len(password) > 7 && strings.Contains(err.Error(), password) {
				t.Errorf("the error repeats the password: %v", err)
			}
			_, hashErr := New().Hash(t.Context(), address(1), []byte(password))
			wantCode(t, hashErr, shoal.BadRequest)
			wantCode(t, New().Check(t.Context(), Attempt{address(1), "ada", []byte(password), ""}), shoal.BadRequest)
		}
	}
}

// What looks the same when typed is the same; what differs stays different.
func TestNormalized(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"caf\u00e9 au lait", "cafe\u0301 au lait", true},
		{"\u1e9b\u0323 and more", "\u017f\u0323\u0307 and more", true},
		{"a\u00a0b\u3000c\u2003d e", "a b c d e", true},
		{"two  spaces", "two spaces", false},
		{"Case matters", "case matters", false},
		{"\ufb01nd the ligature", "find the ligature", false}, // compatible, not equivalent: kept apart
		{"wide \uff21\uff22 C", "wide AB C", false},
	} {
		a, err := prepare([]byte(c.a))
		must(t, err)
		b, err := prepare([]byte(c.b))
		must(t, err)
		if bytes.Equal(a, b) != c.same {
			t.Errorf("%q and %q: %q and %q", c.a, c.b, a, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.StringN(8, 200, MaxLength).Filter(func(s string) bool { return CheckRules([]byte(s)) == nil }).Draw(t, "typed")
		once, err := prepare([]byte(typed))
		if err != nil {
			t.Fatal(err)
		}
		if len(once) > 3*len(typed) || !utf8.Valid(once) {
			t.Fatalf("%q becomes %q", typed, once)
		}
		if len(once) < MinLength || len(once) > MaxLength {
			return
		}
		if twice, err := prepare(once); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q and then %q, %v", typed, once, twice, err)
		}
	})
}

func TestCanceled(t *testing.T) {
	k := New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.Hash(ctx, address(1), []byte(rightPassword))
	wantCode(t, err, shoal.Canceled)
	wantCode(t, k.Check(ctx, Attempt{address(1), "ada", []byte(rightPassword), ""}), shoal.Canceled)
	// It did not keep the turn, and did not count as a failure.
	_, err = k.Hash(t.Context(), address(1), []byte(rightPassword))
	must(t, err)
	if len(k.brakes.users.tallies) != 0 {
		t.Error("it counts as a failed login")
	}
}

func TestNetwork(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := network(netip.MustParseAddr(from)); got.String() != want {
			t.Errorf("%s counts as %v, want %s", from, got, want)
		}
	}
	if got := network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %v", got)
	}
}

// However many Keepers there are, the process makes one hash at a time.
func TestOneAtATime(t *testing.T) {
	var working, most atomic.Int32
	var all sync.WaitGroup
	for n := range 4 {
		k := New()
		k.derive = func(password []byte, _ params) []byte {
			most.Store(max(most.Load(), working.Add(1)))
			for range 100 {
				runtime.Gosched()
			}
			working.Add(-1)
			return bytes.Clone(password)
		}
		for range 4 {
			all.Go(func() {
				if _, err := k.Hash(t.Context(), address(n), []byte(rightPassword)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d at a time", most.Load())
	}
}

// The 19 MiB of a hash are garbage after it, and do not pile up.
func TestMemoryIsBounded(t *testing.T) {
	k := New()
	var most uint64
	for range 12 {
		_, err := k.Hash(t.Context(), address(1), []byte(rightPassword))
		must(t, err)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapSys-m.HeapReleased)
	}
	if most > 128<<20 {
		t.Errorf("the heap takes %d MiB", most>>20)
	}
}

func BenchmarkCheck(b *testing.B) {
	k := New()
	stored, err := k.Hash(b.Context(), address(1), []byte(rightPassword))
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		must(b, k.Check(b.Context(), Attempt{address(1), "ada", []byte(rightPassword), stored}))
	}
}
