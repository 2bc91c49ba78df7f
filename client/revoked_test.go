package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

// A client leaves a server whose key the realm revoked, and does not come back, in this life or the next; a revocation of
// another key, or by a stranger, means nothing to it.
func TestRevokedServer(t *testing.T) {
	s := newRealmServer(t)
	c := s.config()
	cl, err := Open(t.Context(), c, Silent, nil)
	must(t, err)
	defer cl.Close()
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := cl.Session().Ticket(ctx, "lab")
		return err
	}
	must(t, ask())
	for _, about := range [][]byte{
		identity.RevokeKey(s.realm, identity.NewKey().Public(), time.Now(), time.Hour),
		identity.RevokeKey(identity.NewKey(), s.key.Public(), time.Now(), time.Hour),
	} {
		s.tell(wire.KindRevoked, &wire.Revocation{Chain: about})
		must(t, ask())
	}
	s.mu.Lock()
	connections := len(s.conns)
	s.mu.Unlock()
	if connections != 1 {
		t.Errorf("it connected %d times", connections)
	}
	s.tell(wire.KindRevoked, &wire.Revocation{Chain: identity.RevokeKey(s.realm, s.key.Public(), time.Now(), time.Hour)})
	eventually(t, "it trusts the server still", func() bool { return errors.Is(ask(), shoal.Untrusted) })
	if err := ask(); !errors.Is(err, identity.RefusedRevoked) {
		t.Errorf("it says %v", err)
	}
	if again, err := Open(t.Context(), c, Silent, nil); !errors.Is(err, identity.RefusedRevoked) {
		t.Errorf("after a restart: %v", err)
		again.Close()
	}
	another := newServerOf(t, s.realm)
	c.Server = another.listener.Addr().String()
	again, err := Open(t.Context(), c, Silent, nil)
	must(t, err)
	again.Close()
}
