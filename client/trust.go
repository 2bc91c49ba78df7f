package client

import (
	"errors"
	"fmt"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// FirstContactError says that a server answered whose realm is not known here. It has code Untrusted.
type FirstContactError struct {
	Server string
	Realm  shoal.RealmKey // what it claims to be; that it holds the realm's certificate has not been checked
}

func (e *FirstContactError) Error() string {
	return fmt.Sprintf("this is the first contact with the server at %s, and nothing says that it is the right one. "+
		"It shows the realm fingerprint %s. If that is what the server printed when it was started, say --pin %[2]s", e.Server, e.Realm)
}

// Unwrap gives it its code.
func (e *FirstContactError) Unwrap() error { return shoal.Untrusted }

// trust decides whether a server is of the realm that it should be.
type trust struct {
	pins   identity.Pins
	server string
	given  *shoal.RealmKey // what the user says; it is pinned when the server proves it
	// revoked are those that were learned before; none where it is zero.
	revoked identity.Revocations
	// proven is told of the realm whenever a server has proven to be of it; nil to ignore that.
	proven func(*identity.Authority)
}

// accept implements rules H7 and C10: the server must be certified by the realm that is pinned, or by what took its
// place since, which is then pinned instead.
func (t trust) accept(reply *wire.HelloReply) error {
	claimed, err := identity.CertifyingRealm(reply.Certificate)
	if err != nil {
		return t.refused(err)
	}
	realm, pinned, err := t.pins.Lookup(t.server)
	switch {
	case err != nil:
		return err
	case !pinned && t.given == nil:
		return &FirstContactError{t.server, claimed}
	case !pinned:
		realm = *t.given
	}
	now := time.Now() // the server's is not known yet
	authority, err := t.authority(realm, now)
	if err != nil {
		return err
	}
	root, err := authority.VerifyServer(reply.Certificate, reply.Identity, now)
	if errors.Is(err, identity.RefusedChain) && claimed != realm {
		return t.pins.Mismatch(t.server, realm, claimed)
	}
	if err != nil {
		return t.refused(err)
	}
	if pinned && t.given != nil && *t.given != realm {
		// Either may be from before the realm's key was replaced: what counts is where they lead.
		if other, err := identity.NewAuthority(*t.given).VerifyServer(reply.Certificate, reply.Identity, now); err != nil || other != root {
			return shoal.Errorf(shoal.Untrusted, "the server at %s is of the realm %s, which is pinned for it, and not of %s, which is asked for; "+
				"leave --pin away if the pinned one is right", t.server, realm, *t.given)
		}
	}
	switch {
	case !pinned:
		err = t.pins.Add(t.server, root)
	case root != realm:
		err = t.pins.Follow(t.server, realm, root)
	}
	if err != nil || t.proven == nil {
		return err
	}
	if authority, err = t.authority(root, now); err == nil {
		t.proven(authority)
	}
	return err
}

// authority is a realm's, which goes through no key that is known to be revoked (rule C6).
func (t trust) authority(realm shoal.RealmKey, now time.Time) (*identity.Authority, error) {
	a := identity.NewAuthority(realm)
	chains, err := t.revoked.All()
	for _, chain := range chains {
		_ = a.Revoke(chain, now) // what has expired, or is another realm's, says nothing of this one's keys
	}
	return a, err
}

// refused says what a certificate that does not count means for who wants to connect.
func (t trust) refused(err error) error {
	advice := "somebody may be in between; ask the realm's keeper"
	switch {
	case errors.Is(err, identity.RefusedExpired):
		advice = "its keeper must certify it anew (shoal server realm rotate), unless this machine's clock is wrong"
	case errors.Is(err, identity.RefusedFuture):
		advice = "set this machine's clock, or the server's"
	case errors.Is(err, identity.RefusedRevoked):
		advice = "do not use it any more; ask the realm's keeper for another one"
	}
	return shoal.Errorf(shoal.Untrusted, "the server at %s is not certified by its realm: %w; %s", t.server, err, advice)
}
