package session

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"shoal"
	"shoal/identity"
	"shoal/server/meta"
	"shoal/server/passwords"
	"shoal/wire"
)

// A user's password is changed by whoever knows it, on a device of the user's, once however often it is asked for; the
// devices stay (rule A10).
func TestPasswordChange(t *testing.T) {
	r := newRealm(t)
	key := r.user("ann")
	c := connect(t, r.host, key)
	change := func(sequence uint64, was, next string) (reply wire.MutationReply, err error) {
		err = c.Call(wire.KindPassword, &wire.PasswordChange{Sequence: sequence, Was: []byte(was), Password: []byte(next)}, &reply)
		return reply, err
	}
	const next = "battery staple"
	_, err := change(1<<40, "wrong password", next)
	want(t, err, shoal.Denied, "wrong")
	_, err = change(1<<40+1, goodPassword, "short")
	want(t, err, shoal.BadRequest, "too short")
	first, err := change(1<<40+2, goodPassword, next)
	must(t, err)
	if again, err := change(1<<40+2, goodPassword, next); err != nil || again != first {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	_, err = change(1<<40+3, goodPassword, "a third one")
	want(t, err, shoal.Denied, "wrong")
	login := func(password string) error {
		other := connect(t, r.host, identity.NewKey())
		defer other.close()
		return other.Call(wire.KindLogin, &wire.Login{Sequence: 1, User: "ann", Password: []byte(password)}, &wire.MutationReply{})
	}
	must(t, login(next)) // first: a further wrong password would make it wait
	want(t, login(goodPassword), shoal.Denied, "wrong")
	if who, _ := r.registry.Who(key.Device()); who.User != "ann" {
		t.Errorf("the device is %+v", who)
	}
}

// Who guesses by way of changes is slowed down as who logs in is.
func TestPasswordChangeIsSlowedDown(t *testing.T) {
	r := newRealm(t)
	c := connect(t, r.host, r.user("ann"))
	for i := range uint64(20) {
		m := &wire.PasswordChange{Sequence: 1<<40 + i, Was: []byte("wrong password"), Password: []byte(goodPassword)}
		if err := c.Call(wire.KindPassword, m, &wire.MutationReply{}); errors.Is(err, shoal.Limit) {
			return
		}
	}
	t.Error("20 wrong passwords in a row, and no limit")
}

// outdated is a hash as an earlier version may have made it.
func outdated(password string) string {
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 8192, 1, 32)))
}

// A login replaces a hash that was made with other parameters than those of today, whoever else logs in at the time; a
// wrong password does not.
func TestRehash(t *testing.T) {
	r := newRealm(t)
	stored := outdated(goodPassword)
	if !passwords.Outdated(stored) || passwords.Outdated(r.password) {
		t.Fatal("what is outdated is not")
	}
	r.do(identity.NewKey(), &meta.CreateUser{User: "ann", Password: stored, Open: true})
	login := func(password string) error {
		c := connect(t, r.host, identity.NewKey())
		return c.Call(wire.KindLogin, &wire.Login{Sequence: 1, User: "ann", Password: []byte(password)}, &wire.MutationReply{})
	}
	want(t, login("wrong password"), shoal.Denied, "wrong")
	if r.registry.Password("ann") != stored {
		t.Error("a wrong password replaced the hash")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := login(goodPassword); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	is := r.registry.Password("ann")
	if passwords.Outdated(is) || !strings.HasPrefix(is, "$argon2id$") {
		t.Errorf("the hash is %s", is)
	}
	for password, code := range map[string]error{goodPassword: nil, "wrong password": shoal.Denied} {
		a := passwords.Attempt{From: netip.MustParseAddr("192.0.2.9"), User: "ann", Password: []byte(password), Stored: is}
		if err := r.host.Passwords.Check(context.Background(), a); !errors.Is(err, code) {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// A login whose hash another one replaces between the check and the change is tried again.
func TestLoginOvertaken(t *testing.T) {
	r := newRealm(t)
	r.do(identity.NewKey(), &meta.CreateUser{User: "ann", Password: outdated(goodPassword), Open: true})
	mutate, overtaken := r.host.Mutate, 0
	r.host.Mutate = func(ctx context.Context, id meta.ID, m meta.Mutation) (meta.Outcome, error) {
		if overtaken++; overtaken == 1 {
			another := identity.NewKey()
			o, err := mutate(ctx, meta.ID{Device: another.Device(), Sequence: 1}, &meta.EnrolDevice{
				User: "ann", Password: r.registry.Password("ann"), Rehashed: r.password,
			})
			if err != nil {
				return o, err
			}
		}
		return mutate(ctx, id, m)
	}
	c := connect(t, r.host, identity.NewKey())
	must(t, c.Call(wire.KindLogin, &wire.Login{Sequence: 1, User: "ann", Password: []byte(goodPassword)}, &wire.MutationReply{}))
	if overtaken != 2 {
		t.Errorf("it was tried %d times", overtaken)
	}
}
