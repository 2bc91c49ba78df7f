package rpclog

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/rpclog/oncrpc"
)

// secureServer serves a program that answers each call but NULL with "done", over TLS alone.
func secureServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &oncrpc.Server{
		Program: oncrpc.Program{Number: Program, Low: Version, High: Version, Handle: func(_ context.Context, call *oncrpc.Call, out []byte) ([]byte, error) {
			if !call.Secure {
				t.Error("a call came in plaintext")
			}
			return append(out, "done"...), nil
		}},
		TLS: config, RequireTLS: true, Log: zerolog.Nop(),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return l.Addr().String()
}

func call(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	c, err := oncrpc.Dial(t.Context(), oncrpc.Target{Network: "tcp", Address: address, Program: Program, Version: Version, TLS: config})
	if err != nil {
		return err
	}
	defer c.Close()
	results, err := c.Call(t.Context(), ProcStats, nil)
	if err == nil && string(results) != "done" {
		t.Errorf("the results are %q", results)
	}
	return err
}

func TestTLSByKey(t *testing.T) {
	key, other := &Key{1}, &Key{2}
	var shown []byte
	var mu sync.Mutex // guards shown
	config := key.ServerTLS()
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		mu.Lock()
		defer mu.Unlock()
		shown = nil
		if len(cs.PeerCertificates) > 0 {
			shown = cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
		}
		return nil
	}
	address := secureServer(t, config)

	if err := call(t, address, key.ClientTLS()); err != nil {
		t.Errorf("with the right key: %v", err)
	}
	mu.Lock()
	if want := key.derive(senderLabel).Public().(ed25519.PublicKey); !want.Equal(ed25519.PublicKey(shown)) {
		t.Errorf("the sender showed the key %x instead of %x", shown, want)
	}
	mu.Unlock()

	err := call(t, address, other.ClientTLS())
	if !errors.Is(err, shoal.Untrusted) || !strings.Contains(err.Error(), "another log key than this sender") {
		t.Errorf("with another key: %v", err)
	}
	err = call(t, address, (*Key)(nil).ClientTLS())
	if !errors.Is(err, shoal.Untrusted) || !strings.Contains(err.Error(), "no log key") {
		t.Errorf("with no key: %v", err)
	}
	if err := call(t, address, baseTLS()); err != nil {
		t.Errorf("of one who has no key and trusts anybody: %v", err)
	}
	err = call(t, address, nil)
	if r, ok := errors.AsType[*oncrpc.Rejected](err); !ok || r.Auth != oncrpc.AuthTooWeak {
		t.Errorf("in plaintext: %v", err)
	}
}

// A sender's key is no service's: who knows what senders show cannot pretend to be the service.
func TestTLSRefusesSender(t *testing.T) {
	key := &Key{1}
	impostor := key.tls(senderLabel)
	if err := call(t, secureServer(t, impostor), key.ClientTLS()); !errors.Is(err, shoal.Untrusted) {
		t.Errorf("a sender's key passed for the service's: %v", err)
	}
}

// Both sides derive the same keys, in whatever version and language: these are from Python's hmac and OpenSSL.
func TestTLSKeys(t *testing.T) {
	key := &Key{1}
	for label, want := range map[string]string{
		serviceLabel: "cffd3247da31036111703a30e24e74619a480de93dbf74ef119dece8bd7a8509",
		senderLabel:  "796d166c2715c426c55374829a8eddf0eba277c95f81a26605da1c1a995241c9",
	} {
		if got := hex.EncodeToString(key.derive(label).Public().(ed25519.PublicKey)); got != want {
			t.Errorf("%s: the public key is %s instead of %s", label, got, want)
		}
	}
}

func TestTLSNeverFallsBack(t *testing.T) {
	s := secureServer(t, nil)
	err := call(t, s, (&Key{1}).ClientTLS())
	if !errors.Is(err, oncrpc.ErrNoTLS) || !errors.Is(err, shoal.Unsupported) {
		t.Errorf("a service without TLS: %v", err)
	}
}
