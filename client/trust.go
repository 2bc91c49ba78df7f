package client

import (
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
}

func (t trust) accept(reply *wire.HelloReply) error {
	claimed, err := identity.CertifyingRealm(reply.Certificate)
	if err != nil {
		return err
	}
	realm, pinned, err := t.pins.Lookup(t.server)
	switch {
	case err != nil:
		return err
	case pinned && t.given != nil && *t.given != realm:
		return t.pins.Mismatch(t.server, realm, *t.given)
	case !pinned && t.given == nil:
		return &FirstContactError{t.server, claimed}
	case !pinned:
		realm = *t.given
	}
	if claimed != realm {
		return t.pins.Mismatch(t.server, realm, claimed)
	}
	if err := identity.VerifyServer(reply.Certificate, realm, reply.Identity, time.Now()); err != nil {
		return shoal.Errorf(shoal.Untrusted, "the server at %s is not certified by its realm: %w", t.server, err)
	}
	if pinned {
		return nil
	}
	return t.pins.Add(t.server, realm)
}
