package passwords

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

const wrongPassword = "wrong horse battery"

// login is an attempt on ada's account, or another's.
func login(t testing.TB, k *Keeper, from int, user, password string) error {
	return k.Check(t.Context(), Attempt{address(from), user, []byte(password), storedFor(rightPassword)})
}

// From one address, failures for a user cost twice the wait each, up to 15 minutes; even the right password has to wait.
func TestPairSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		for range pairFree {
			wantCode(t, login(t, k, 1, "ada", wrongPassword), shoal.Denied)
		}
		for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 64} {
			wait *= time.Second
			begin := time.Now()
			wantSlow(t, login(t, k, 1, "ada", wrongPassword), wait)
			wantSlow(t, login(t, k, 1, "ada", rightPassword), wait)
			if time.Since(begin) != 0 {
				t.Error("a refusal takes time")
			}
			time.Sleep(wait - time.Nanosecond)
			wantSlow(t, login(t, k, 1, "ada", rightPassword), time.Nanosecond)
			time.Sleep(time.Nanosecond)
			wantCode(t, login(t, k, 1, "ada", wrongPassword), shoal.Denied)
		}
		must(t, login(t, k, 2, "ada", rightPassword)) // from elsewhere
		time.Sleep(2*time.Minute - hashTakes)
		wantSlow(t, login(t, k, 1, "ada", rightPassword), 8*time.Second)
		time.Sleep(8 * time.Second)
		must(t, login(t, k, 1, "ada", rightPassword))
		// That is forgotten now; what the address has used up, with whatever user, is in some minutes.
		time.Sleep(10 * time.Minute)
		wantCode(t, login(t, k, 1, "ada", wrongPassword), shoal.Denied)
		must(t, login(t, k, 1, "ada", rightPassword))
	})
}

// Nobody who fails for ever, at full speed and from ever so many addresses, keeps the user out elsewhere.
func TestNobodyIsLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		for range 100 {
			for i := range 50 {
				if err := login(t, k, 10+i, "ada", wrongPassword); err == nil {
					t.Fatal("a wrong password is right")
				}
			}
			time.Sleep(time.Minute)
			must(t, login(t, k, 1, "ada", rightPassword))
		}
	})
}

// Many addresses together have few guesses: when a user's password has been wrong often, each address has one in
// 15 minutes.
func TestUserSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		const addresses, hours = 40, 6
		guesses := 0
		for end := time.Now().Add(hours * time.Hour); time.Now().Before(end); time.Sleep(time.Minute) {
			for i := range addresses {
				switch err := login(t, k, i, "ada", wrongPassword); shoal.CodeOf(err) {
				case shoal.Denied:
					guesses++
				case shoal.Limit:
				default:
					t.Fatal(err)
				}
			}
		}
		if most := addresses * (hours*4 + 3); guesses > most || guesses < addresses {
			t.Errorf("%d guesses from %d addresses in %d hours, want at most %d", guesses, addresses, hours, most)
		}
		// It does not last: an hour or so later the user may mistype again.
		time.Sleep(mostCounted * userForgets)
		wantCode(t, login(t, k, 1, "ada", wrongPassword), shoal.Denied)
		must(t, login(t, k, 1, "ada", rightPassword))
	})
}

// One address that tries a password on everybody is slowed to one a minute.
func TestAddressSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		guesses := 0
		for i := range 60 * 60 {
			if err := login(t, k, 1, fmt.Sprintf("user %d", i), wrongPassword); shoal.CodeOf(err) == shoal.Denied {
				guesses++
			}
			time.Sleep(time.Second)
		}
		if guesses < 60 || guesses > 60+networkFree+10 {
			t.Errorf("%d guesses in an hour", guesses)
		}
		must(t, login(t, k, 2, "user 1", rightPassword))
		time.Sleep(mostCounted * addrForgets)
		must(t, login(t, k, 1, "user 1", rightPassword))
	})
}

// This machine's own addresses are those of everybody behind a tunnel: they are slowed for the user who is guessed at,
// and not for others.
func TestLoopbackSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		from := netip.MustParseAddr("127.0.0.1")
		check := func(user, password string) error {
			return k.Check(t.Context(), Attempt{from, user, []byte(password), storedFor(rightPassword)})
		}
		for range 100 {
			if err := check("ada", wrongPassword); shoal.CodeOf(err) == shoal.Limit {
				time.Sleep(time.Second)
			}
		}
		wantCode(t, check("ada", rightPassword), shoal.Limit)
		must(t, check("eve", rightPassword))
	})
}

// A user who does not exist slows down as one who does.
func TestUnknownUserSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		check := func(from int, user, stored string) error {
			return k.Check(t.Context(), Attempt{address(from), user, []byte(wrongPassword), stored})
		}
		for i := range 20 {
			begin := time.Now()
			unknown := check(1, "eve", "")
			took := time.Since(begin)
			begin = time.Now()
			known := check(2, "ada", storedFor(rightPassword))
			if unknown.Error() != known.Error() || time.Since(begin) != took {
				t.Errorf("attempt %d: %v after %v for the one, %v for the other", i, unknown, took, known)
			}
			time.Sleep(time.Duration(i) * 500 * time.Millisecond)
		}
	})
}

// Attempts that wait together count one after the other: sending many at once gives no more guesses.
func TestSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := virtual()
		results := make(chan error, maxPerNetwork)
		for range maxPerNetwork {
			go func() { results <- login(t, k, 1, "ada", wrongPassword) }()
		}
		guesses := 0
		for range maxPerNetwork {
			if err := <-results; shoal.CodeOf(err) == shoal.Denied {
				guesses++
			} else {
				wantCode(t, err, shoal.Limit)
			}
		}
		if guesses != pairFree {
			t.Errorf("%d guesses", guesses)
		}
	})
}

// However many names and addresses are tried, memory is bounded, and what counts most stays.
func TestTalliesAreBounded(t *testing.T) {
	b := newBrakes()
	now := time.Now()
	for range mostCounted {
		b.failed("ada", network(address(1)), now)
	}
	for i := range 9 * maxTallies / 8 {
		b.failed(fmt.Sprint(rand.Uint64()), network(address(2+i)), now.Add(time.Duration(i)*time.Microsecond))
	}
	for name, n := range map[string]int{"pairs": len(b.pairs.tallies), "users": len(b.users.tallies), "addresses": len(b.networks.tallies)} {
		if n != maxTallies {
			t.Errorf("%d %s are counted", n, name)
		}
	}
	if b.check("ada", network(address(1)), now.Add(time.Second)) == nil {
		t.Error("what was worst is forgotten first")
	}
	// When their time is over, all go at once.
	b.failed("eve", network(address(1<<20)), now.Add(30*time.Minute))
	if n := len(b.pairs.tallies); n > 2 {
		t.Errorf("%d pairs are left", n)
	}
}

func TestTallyForgets(t *testing.T) {
	table := table[int]{tallies: map[int]tally{}, forgets: time.Minute}
	now := time.Now()
	for range 5 {
		table.add(1, now)
	}
	for after, want := range map[time.Duration]int{0: 5, time.Minute - 1: 5, time.Minute: 4, 4 * time.Minute: 1, 5 * time.Minute: 0, 1000 * time.Hour: 0} {
		if got := table.at(1, now.Add(after)).count; got != want {
			t.Errorf("after %v: %d, want %d", after, got, want)
		}
	}
	table.add(1, now.Add(3*time.Minute))
	if got := table.at(1, now.Add(3*time.Minute)).count; got != 3 {
		t.Errorf("with one more after 3 minutes: %d", got)
	}
	for range 2 * mostCounted {
		table.add(1, now)
	}
	if got := table.at(1, now).count; got != mostCounted {
		t.Errorf("%d are counted", got)
	}
	if got := table.at(2, now).count; got != 0 {
		t.Errorf("%d failures of one who never failed", got)
	}
}
