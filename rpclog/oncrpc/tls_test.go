package oncrpc

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/wire/wiretest"
)

// selfSigned returns a server's TLS for 127.0.0.1.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// trusting returns a client's TLS that trusts the server's certificate.
func trusting(t testing.TB, server *tls.Config) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(server.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	return &tls.Config{RootCAs: roots}
}

func secureServer(t *testing.T) (s *Server, address string, client *tls.Config) {
	t.Helper()
	s = testServer()
	s.TLS, s.RequireTLS = selfSigned(t), true
	address, _ = serve(t, s)
	return s, address, trusting(t, s.TLS)
}

func TestTLS(t *testing.T) {
	_, address, config := secureServer(t)
	c := dial(t, Target{Network: "tcp", Address: address, TLS: config})
	for _, size := range []int{4, 300_000} {
		want := bytes.Repeat([]byte{9}, size)
		if got, err := c.Call(t.Context(), procEcho, want); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d, %v", size, len(got), err)
		}
	}
	plain := dial(t, Target{Network: "tcp", Address: address})
	_, err := plain.Call(t.Context(), procEcho, nil)
	if r, ok := errors.AsType[*Rejected](err); !ok || r.Auth != AuthTooWeak || !errors.Is(err, shoal.Denied) {
		t.Errorf("in plaintext: %v", err)
	}
	if _, err := Dial(t.Context(), Target{Network: "udp", Address: address, TLS: config}); !errors.Is(err, shoal.Unsupported) {
		t.Errorf("over UDP: %v", err)
	}
}

// A client that wants TLS sends nothing else where there is none, or not the one that it wants.
func TestTLSRefused(t *testing.T) {
	_, secure, config := secureServer(t)
	plain, _ := serve(t, testServer())
	_, err := Dial(t.Context(), Target{Network: "tcp", Address: plain, Program: testProgram, Version: 2, TLS: config})
	if !errors.Is(err, ErrNoTLS) {
		t.Errorf("a server without TLS: %v", err)
	}
	_, err = Dial(t.Context(), Target{Network: "tcp", Address: secure, Program: testProgram, Version: 2, TLS: new(tls.Config)})
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("an unknown certificate: %v, %v", err, e)
	}
	// A server that says yes to TLS without the verifier that RFC 9289 wants.
	for name, answer := range map[string]string{
		"no verifier":      ok + "00000000",
		"another verifier": "0000002a 00000001 00000000 00000000 00000008 5354415254544c54 00000000",
		"another xid":      "0000002b" + started[8:],
	} {
		_, err := Dial(t.Context(), Target{
			Network: "tcp", Address: "server", Program: testProgram, Version: 2, TLS: config,
			Dial: answering(t, func(call []byte) []byte {
				reply := unhex(t, answer)
				if name != "another xid" {
					copy(reply, call[:4])
				}
				return fragment(reply, true)
			}),
		})
		if !errors.Is(err, ErrNoTLS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What somebody slips in after the question for TLS, in plaintext, is no call.
func TestTLSInjection(t *testing.T) {
	_, address, _ := secureServer(t)
	conn := rawDial(t, "tcp", address)
	injected := fragment(unhex(t, callOf+echo+none+none+"01020304"), true)
	if _, err := conn.Write(append(fragment(unhex(t, probe), true), injected...)); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(conn) // ends in whatever way
	if want := fragment(unhex(t, started), true); !bytes.HasPrefix(got, want) || bytes.Contains(got, []byte{1, 2, 3, 4}) {
		t.Errorf("the answer is %x", got)
	}
}

func TestTLSNeedsALPN(t *testing.T) {
	s, address, config := secureServer(t)
	for _, protocols := range [][]string{nil, {"h2"}} {
		conn := rawDial(t, "tcp", address)
		checkStream(t, conn, unhex(t, probe), unhex(t, started))
		config := config.Clone()
		config.ServerName, config.NextProtos = "127.0.0.1", protocols
		secure := tls.Client(conn, config)
		if _, err := secure.Write(fragment(unhex(t, callOf+echo+none+none), true)); err != nil {
			continue
		}
		if b, err := io.ReadAll(secure); len(b) > 0 {
			t.Errorf("with ALPN %v the server answered %x, %v", protocols, b, err)
		}
	}
	// And a server without it, to a client.
	other := s.TLS.Clone()
	_, err := Dial(t.Context(), Target{
		Network: "tcp", Address: "127.0.0.1:1", Program: testProgram, Version: 2, TLS: config,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			near, far := wiretest.Pipe()
			go func() {
				defer far.Close()
				call, err := newRecordReader(&source{conn: far}, 1000).next(nil)
				if err != nil {
					return
				}
				reply := unhex(t, started)
				copy(reply, call[:4])
				_, _ = far.Write(fragment(reply, true))
				_ = tls.Server(far, other).HandshakeContext(ctx)
			}()
			return near, nil
		},
	})
	if !errors.Is(err, shoal.Unsupported) || !strings.Contains(err.Error(), `speaks "" there instead of "sunrpc"`) {
		t.Errorf("a server without ALPN: %v", err)
	}
}
