package passwords

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"shoal"
)

const (
	pairFree    = 3  // failures of a user from a network before there is a wait
	networkFree = 10 // of a network, whatever the users
	userFree    = 10 // of a user, from wherever, before networks where one failed wait for all of them
	mostCounted = 24 // failures; more make no difference
	firstWait   = time.Second
	longestWait = 15 * time.Minute // for a user
	networkWait = time.Minute      // the longest for a network
	userForgets = 15 * time.Minute // in which one failure of a user is forgotten, or of a user from a network
	addrForgets = time.Minute      // in which one of a network is
	// maxTallies bounds each table. At forty failures a second, more than one core can make, fewer are alive at a time.
	maxTallies = 1 << 16
)

// SlowDown says that logins failed too often, and has code Limit.
type SlowDown struct {
	After time.Duration // how long to wait before an attempt is looked at
}

func (s *SlowDown) Error() string {
	seconds := (s.After + time.Second - 1) / time.Second * time.Second
	return fmt.Sprintf("too many failed logins; try again in %v", seconds)
}

// Unwrap gives it its code.
func (s *SlowDown) Unwrap() error { return shoal.Limit }

// userKey stands for a user's name: of fixed size, and nothing to be found in memory.
type userKey [16]byte

type pairKey struct {
	user userKey
	from netip.Prefix
}

// brakes count failed logins. Names count alike whether there is such a user or not.
type brakes struct {
	salt [16]byte

	mu       sync.Mutex // guards what is below
	pairs    table[pairKey]
	users    table[userKey]
	networks table[netip.Prefix]
}

func newBrakes() *brakes {
	b := &brakes{
		pairs:    table[pairKey]{tallies: map[pairKey]tally{}, forgets: userForgets},
		users:    table[userKey]{tallies: map[userKey]tally{}, forgets: userForgets},
		networks: table[netip.Prefix]{tallies: map[netip.Prefix]tally{}, forgets: addrForgets},
	}
	_, _ = rand.Read(b.salt[:]) // never fails
	return b
}

func (b *brakes) user(name string) userKey {
	sum := sha256.Sum256(append(b.salt[:len(b.salt):len(b.salt)], name...))
	return userKey(sum[:])
}

// check returns a SlowDown if an attempt has to wait.
func (b *brakes) check(name string, from netip.Prefix, now time.Time) error {
	user := b.user(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	pair, network := b.pairs.at(pairKey{user, from}, now), b.networks.at(from, now)
	until := pair.last.Add(wait(pair.count, pairFree, longestWait))
	if pair.count > 0 {
		until = later(until, pair.last.Add(wait(b.users.at(user, now).count, userFree, longestWait)))
	}
	until = later(until, network.last.Add(wait(network.count, networkFree, networkWait)))
	if now.Before(until) {
		return &SlowDown{until.Sub(now)}
	}
	return nil
}

// failed counts a failure.
func (b *brakes) failed(name string, from netip.Prefix, now time.Time) {
	user := b.user(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pairs.add(pairKey{user, from}, now)
	b.users.add(user, now)
	if !from.Addr().IsLoopback() {
		b.networks.add(from, now)
	}
}

// suspects reports whether a login from there failed in the last minutes.
func (b *brakes) suspects(from netip.Prefix, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.networks.at(from, now).count > 0
}

// succeeded forgets what was got wrong from there, which evidently was the user. Other failures stay: they may be those
// of others.
func (b *brakes) succeeded(name string, from netip.Prefix, now time.Time) {
	user := b.user(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.pairs.at(pairKey{user, from}, now).count
	delete(b.pairs.tallies, pairKey{user, from})
	b.users.subtract(user, own)
}

// wait doubles with each failure after the free ones.
func wait(count, free int, longest time.Duration) time.Duration {
	if count < free {
		return 0
	}
	return min(firstWait<<(count-free), longest)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tally counts failures up to the last of them.
type tally struct {
	count int
	last  time.Time
}

// table has tallies that forget one failure in each span.
type table[K comparable] struct {
	tallies map[K]tally
	forgets time.Duration
}

// at is the tally as it is by now.
func (t *table[K]) at(key K, now time.Time) tally {
	was := t.tallies[key]
	was.count = max(0, was.count-int(now.Sub(was.last)/t.forgets))
	return was
}

func (t *table[K]) add(key K, now time.Time) {
	was, known := t.tallies[key]
	if !known && len(t.tallies) >= maxTallies {
		t.makeRoom(now)
	}
	if known {
		was = t.at(key, now)
	}
	t.tallies[key] = tally{min(was.count+1, mostCounted), now}
}

// subtract takes n failures back.
func (t *table[K]) subtract(key K, n int) {
	was, known := t.tallies[key]
	if was.count -= n; known && was.count > 0 {
		t.tallies[key] = was
	} else {
		delete(t.tallies, key)
	}
}

// makeRoom drops all that is forgotten; where that is nothing, of a few at random the one that is forgotten first.
func (t *table[K]) makeRoom(now time.Time) {
	var first K
	var ends time.Time
	looked := 0
	for key, was := range t.tallies { // in random order
		end := was.last.Add(time.Duration(was.count) * t.forgets)
		if looked == 0 || end.Before(ends) {
			first, ends = key, end
		}
		if looked++; looked == 16 {
			break
		}
	}
	delete(t.tallies, first)
	if now.Before(ends) {
		return
	}
	for key := range t.tallies {
		if t.at(key, now).count == 0 {
			delete(t.tallies, key)
		}
	}
}
