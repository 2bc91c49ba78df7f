// Package passwords keeps passwords as argon2id hashes (RFC 9106) and checks them, slowly for whoever guesses and
// quickly for everybody else.
//
// A hash takes 19 MiB and tens of milliseconds of one core. So there is one at a time in the whole process; attempts
// wait in lines, one for each address, that are served in turn; addresses where a login failed in the last minutes have
// every fourth turn, when others wait, too; and what is too much is refused at once. A flood of logins with wrong
// passwords therefore costs other addresses the wait for a hash or two.
//
// Failed logins slow down in three ways, all of them forgotten with time:
//
//   - For a user from an address: 3 attempts are free, then each failure doubles the wait, from a second up to 15
//     minutes.
//   - For an address, whatever the users: 10 are free, then the wait doubles up to a minute. So one address cannot try a
//     common password on everybody. This machine's own addresses are excepted: behind a tunnel all users have them.
//   - For a user, from wherever: after 10 failures, an address from which the user's password was wrong before waits as
//     long as all failures of that user together demand, up to 15 minutes. Whoever has a thousand addresses then has
//     a thousand guesses per 15 minutes, not three thousand at once.
//
// An address where this user's password has not been wrong lately never waits because of others: so nobody can lock a
// user out by failing elsewhere. What remains is that somebody at the user's own address can, for up to 15 minutes at a
// time; devices that are enrolled need no password and notice nothing.
package passwords

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"shoal"
)

// The length of a password in bytes.
const (
	MinLength = 8
	MaxLength = 1024
)

// single is held while a hash is made: there is one at a time in the process, whoever asks.
var single sync.Mutex

// Keeper hashes and checks passwords. Safe for concurrent use; a process needs one.
type Keeper struct {
	derive func(password []byte, p params) []byte // argon2id, but for tests of the queue's order
	queue  *queue
	brakes *brakes
	dummy  string // what the password of a user who does not exist is compared to
}

// New makes a Keeper that has seen no failures. It has no goroutines, and need not be closed.
func New() *Keeper {
	unmatched := current()
	unmatched.key = make([]byte, keyLength)
	_, _ = rand.Read(unmatched.key) // never fails
	return &Keeper{derive: argon2id, queue: newQueue(), brakes: newBrakes(), dummy: unmatched.String()}
}

// Waiting is how many attempts wait for their turn.
func (k *Keeper) Waiting() int { return k.queue.waiters() }

// Hash makes what is to be stored of a new password, a string of fewer than 128 characters in the PHC format. from is
// the address that asks, by which the wait is fair. The error has code BadRequest for a password that the rules do not
// allow, Busy where too many wait; or it is ctx's.
func (k *Keeper) Hash(ctx context.Context, from netip.Addr, password []byte) (string, error) {
	prepared, err := prepare(password)
	if err != nil {
		return "", err
	}
	defer clear(prepared)
	if err := k.acquire(ctx, network(from)); err != nil {
		return "", err
	}
	defer k.queue.release()
	p := current()
	p.key = k.hash(prepared, p)
	return p.String(), nil
}

func (k *Keeper) acquire(ctx context.Context, from netip.Prefix) error {
	r := unsuspected
	if k.brakes.suspects(from, time.Now()) {
		r = suspected
	}
	return k.queue.acquire(ctx, from, r)
}

func (k *Keeper) hash(password []byte, p params) []byte {
	single.Lock()
	defer single.Unlock()
	return k.derive(password, p)
}

// Attempt is a login by password.
type Attempt struct {
	From     netip.Addr // the address it comes from
	User     string     // the name given, of at most 255 bytes
	Password []byte     // the caller's, who should clear it afterwards
	Stored   string     // what Hash returned for this user, or "" where there is no such user
}

// errWrong is the same for a wrong password and a user who does not exist.
var errWrong = shoal.Errorf(shoal.Denied, "the user's name or the password is wrong")

// Check reports by a nil error that the password is right. The error has code Denied where it is wrong or there is no
// such user, after the same time; it is a SlowDown where attempts have failed too often, Busy where too many wait, and
// BadRequest for what no password can be. Attempts that are not answered by Denied do not count as failed.
func (k *Keeper) Check(ctx context.Context, a Attempt) error {
	prepared, err := prepare(a.Password)
	if err != nil {
		return err
	}
	defer clear(prepared)
	known := a.Stored != ""
	if !known {
		a.Stored = k.dummy
	}
	p, err := parse(a.Stored)
	if err != nil {
		return fmt.Errorf("checking the password of %q: %w", a.User, err)
	}
	from := network(a.From)
	if err := k.brakes.check(a.User, from, time.Now()); err != nil {
		return err
	}
	if err := k.acquire(ctx, from); err != nil {
		return err
	}
	defer k.queue.release()
	// What was waiting ahead of this attempt may have failed.
	if err := k.brakes.check(a.User, from, time.Now()); err != nil {
		return err
	}
	right := subtle.ConstantTimeCompare(k.hash(prepared, p), p.key) == 1
	if !right || !known {
		k.brakes.failed(a.User, from, time.Now())
		if k.brakes.suspects(from, time.Now()) {
			k.queue.suspect(from)
		}
		return errWrong
	}
	k.brakes.succeeded(a.User, from, time.Now())
	return nil
}

// Outdated reports whether a stored hash was made with other parameters than those of today: then it should be replaced
// when its password has been checked.
func Outdated(stored string) bool {
	p, err := parse(stored)
	return err != nil || !p.isCurrent()
}

// CheckRules reports whether a password is allowed: 8 to 1024 bytes of UTF-8 without control characters, most of which
// are the accidental end of a line. Nothing else is asked of it. The error has code BadRequest.
func CheckRules(password []byte) error {
	switch {
	case len(password) < MinLength:
		return shoal.Errorf(shoal.BadRequest, "the password is too short; it needs at least %d bytes", MinLength)
	case len(password) > MaxLength:
		return shoal.Errorf(shoal.BadRequest, "the password is too long; it can have at most %d bytes", MaxLength)
	case !utf8.Valid(password):
		return shoal.Errorf(shoal.BadRequest, "the password is not UTF-8")
	}
	for rest := password; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if unicode.IsControl(r) {
			return shoal.Errorf(shoal.BadRequest, "the password has a control character (such as the end of a line)")
		}
		rest = rest[size:]
	}
	return nil
}

// prepare checks a password by the rules and normalizes it (RFC 8265 section 4.2, the profile OpaqueString): the same
// text typed on two systems may be composed differently, which nobody can see. Spaces of all kinds become the ASCII
// one. The result is a copy, for the caller to clear.
func prepare(password []byte) ([]byte, error) {
	if err := CheckRules(password); err != nil {
		return nil, err
	}
	spaced := make([]byte, 0, len(password))
	for rest := password; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if unicode.Is(unicode.Zs, r) {
			r = ' '
		}
		spaced = utf8.AppendRune(spaced, r)
		rest = rest[size:]
	}
	if norm.NFC.IsNormal(spaced) {
		return spaced, nil
	}
	defer clear(spaced)
	return norm.NFC.Bytes(spaced), nil
}

// network is what counts as one address: an IPv4 address, or the 64 bits of an IPv6 one that a household or machine is
// given.
func network(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	p, _ := from.Prefix(bits) // the zero Addr has the zero Prefix
	return p
}
