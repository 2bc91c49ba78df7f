package link

import (
	"context"
	"errors"
	"net"
	"testing"

	"shoal"
	"shoal/identity"
	"shoal/wire"
)

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dial := TCP(identity.Transport{Security: wire.Plaintext})
	nc, err := dial(t.Context(), l.Addr().String())
	must(t, err)
	must(t, nc.Close())
	must(t, l.Close())
	if _, err := dial(t.Context(), l.Addr().String()); !errors.Is(err, shoal.Unreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial(ctx, l.Addr().String()); err == nil {
		t.Error("a canceled dial succeeds")
	}
}
