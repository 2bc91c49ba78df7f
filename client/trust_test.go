package client

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// reply is what a server of a realm shows in the handshake.
func reply(realm, server *identity.Key) *wire.HelloReply {
	return &wire.HelloReply{
		Identity: server.Public(), Certificate: identity.CertifyServer(realm, server.Public(), time.Now(), time.Hour),
	}
}

func TestTrust(t *testing.T) {
	realm, other, server := identity.NewKey(), identity.NewKey(), identity.NewKey()
	key := func(k *identity.Key) *shoal.RealmKey {
		public := shoal.RealmKey(k.Public())
		return &public
	}
	pins := func() identity.Pins { return identity.OpenPins(filepath.Join(t.TempDir(), "known_realms")) }
	pinned := pins()
	must(t, pinned.Add("s:1", *key(realm)))
	stolen := reply(realm, server)
	stolen.Identity = identity.NewKey().Public()
	for name, c := range map[string]struct {
		trust trust
		reply *wire.HelloReply
		ok    bool
	}{
		"pinned":                       {trust{pins: pinned, server: "s:1", given: nil}, reply(realm, server), true},
		"pinned and given":             {trust{pins: pinned, server: "s:1", given: key(realm)}, reply(realm, server), true},
		"another key of the realm":     {trust{pins: pinned, server: "s:1", given: nil}, reply(realm, identity.NewKey()), true},
		"given":                        {trust{pins: pins(), server: "s:1", given: key(realm)}, reply(realm, server), true},
		"pinned, but answers another":  {trust{pins: pinned, server: "s:1", given: nil}, reply(other, server), false},
		"pinned, but another is given": {trust{pins: pinned, server: "s:1", given: key(other)}, reply(other, server), false},
		"given, but answers another":   {trust{pins: pins(), server: "s:1", given: key(realm)}, reply(other, server), false},
		"another's certificate":        {trust{pins: pinned, server: "s:1", given: nil}, stolen, false},
		"given, another's certificate": {trust{pins: pins(), server: "s:1", given: key(realm)}, stolen, false},
		"no certificate":               {trust{pins: pinned, server: "s:1", given: nil}, &wire.HelloReply{}, false},
		"first contact":                {trust{pins: pins(), server: "s:1", given: nil}, reply(realm, server), false},
	} {
		t.Run(name, func(t *testing.T) {
			before, _, err := c.trust.pins.Lookup("s:1")
			must(t, err)
			err = c.trust.accept(c.reply)
			if c.ok {
				must(t, err)
				if got, known, err := c.trust.pins.Lookup("s:1"); !known || got != *key(realm) {
					t.Errorf("pinned %v: %v", got, err)
				}
				return
			}
			wantCode(t, err, shoal.Untrusted)
			if after, _, _ := c.trust.pins.Lookup("s:1"); after != before {
				t.Error("what is not trusted was pinned")
			}
			var first *FirstContactError
			if errors.As(err, &first) != (name == "first contact") {
				t.Errorf("got %v", err)
			}
			if first != nil && !strings.Contains(err.Error(), first.Realm.String()) {
				t.Errorf("the fingerprint is not shown: %v", err)
			}
		})
	}
}

// rotated is what a server of old shows after the realm's key was replaced by next.
func rotated(t *testing.T, old, next, server *identity.Key) *wire.HelloReply {
	t.Helper()
	chain, err := identity.Chain(
		identity.NameSuccessor(old, next.Public(), time.Now(), time.Hour),
		identity.CertifyServer(next, server.Public(), time.Now(), time.Hour),
	)
	must(t, err)
	return &wire.HelloReply{Identity: server.Public(), Certificate: chain}
}

// The pin follows the realm's root key to its successor, and to nothing else.
func TestTrustFollowsSuccessors(t *testing.T) {
	old, next, stranger, server := identity.NewKey(), identity.NewKey(), identity.NewKey(), identity.NewKey()
	key := func(k *identity.Key) *shoal.RealmKey {
		public := shoal.RealmKey(k.Public())
		return &public
	}
	for name, c := range map[string]struct {
		pinned, given *identity.Key
		reply         *wire.HelloReply
		want          *identity.Key // pinned afterwards
		ok            bool
	}{
		"pinned the old one":              {old, nil, rotated(t, old, next, server), next, true},
		"pinned the new one":              {next, nil, rotated(t, old, next, server), next, true},
		"first contact, given the old":    {nil, old, rotated(t, old, next, server), next, true},
		"first contact, given the new":    {nil, next, rotated(t, old, next, server), next, true},
		"pinned the new, given the old":   {next, old, rotated(t, old, next, server), next, true},
		"pinned the old, given the new":   {old, next, rotated(t, old, next, server), next, true},
		"pinned the new, given a third":   {next, stranger, rotated(t, old, next, server), next, false},
		"a successor by another realm":    {old, nil, rotated(t, stranger, next, server), old, false},
		"pinned the new, the old answers": {next, nil, reply(old, server), next, false},
	} {
		t.Run(name, func(t *testing.T) {
			pins := identity.OpenPins(filepath.Join(t.TempDir(), "known_realms"))
			if c.pinned != nil {
				must(t, pins.Add("s:1", *key(c.pinned)))
			}
			var proven *identity.Authority
			tr := trust{pins: pins, server: "s:1", proven: func(a *identity.Authority) { proven = a }}
			if c.given != nil {
				tr.given = key(c.given)
			}
			err := tr.accept(c.reply)
			if c.ok {
				must(t, err)
			} else {
				wantCode(t, err, shoal.Untrusted)
			}
			if got, _, err := pins.Lookup("s:1"); err != nil || got != *key(c.want) {
				t.Errorf("pinned %v: %v", got, err)
			}
			if (proven != nil) != c.ok || c.ok && proven.Root() != *key(c.want) {
				t.Errorf("the realm that was proven is %v", proven)
			}
		})
	}
}

// What a server that is refused says of the reason tells what to do.
func TestTrustSaysWhy(t *testing.T) {
	realm, server := identity.NewKey(), identity.NewKey()
	pins := identity.OpenPins(filepath.Join(t.TempDir(), "known_realms"))
	must(t, pins.Add("s:1", realm.Public()))
	for want, certificate := range map[string][]byte{
		"certify it anew":     identity.CertifyServer(realm, server.Public(), time.Now().Add(-48*time.Hour), time.Hour),
		"clock, or the":       identity.CertifyServer(realm, server.Public(), time.Now().Add(48*time.Hour), time.Hour),
		"made for another":    identity.CertifyServer(realm, identity.NewKey().Public(), time.Now(), time.Hour),
		"not of the realm":    identity.CertifyServer(identity.NewKey(), server.Public(), time.Now(), time.Hour),
		"malformed":           {1, 2, 3},
		"for no server":       identity.CertifyTicketKey(realm, server.Public(), time.Now(), time.Hour),
		"its signature is wr": flipped(identity.CertifyServer(realm, server.Public(), time.Now(), time.Hour)),
	} {
		err := trust{pins: pins, server: "s:1"}.accept(&wire.HelloReply{Identity: server.Public(), Certificate: certificate})
		wantCode(t, err, shoal.Untrusted)
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "s:1") {
			t.Errorf("got %q, want it to say %q", err, want)
		}
	}
}

// flipped is a statement whose signature has a bit changed.
func flipped(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}
