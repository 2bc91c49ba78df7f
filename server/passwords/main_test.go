package passwords

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shoal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code shoal.Code) {
	t.Helper()
	if shoal.CodeOf(err) != code || err == nil {
		t.Errorf("got error %v, want one of code %v", err, code)
	}
}

// wantSlow fails the test unless err says to wait for that long.
func wantSlow(t testing.TB, err error, after time.Duration) {
	t.Helper()
	var slow *SlowDown
	if !errors.As(err, &slow) || slow.After != after || shoal.CodeOf(err) != shoal.Limit {
		t.Errorf("got %v, want to be told to wait for %v", err, after)
	}
}

// address is the nth of many.
func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

const hashTakes = 25 * time.Millisecond

// virtual is a Keeper whose hashes take virtual time and are the password itself: for tests of who waits for how long.
func virtual() *Keeper {
	k := New()
	k.derive = func(password []byte, _ params) []byte {
		time.Sleep(hashTakes)
		return append([]byte(nil), password...)
	}
	return k
}

// storedFor is what virtual's hash of a password is stored as, at least 16 bytes long.
func storedFor(password string) string {
	p := current()
	p.key = []byte(password)
	return p.String()
}

const rightPassword = "correct horse battery"
