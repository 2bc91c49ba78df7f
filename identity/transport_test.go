package identity

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"shoal"
	"shoal/wire"
)

func TestCheckAddress(t *testing.T) {
	anywhere := Transport{Security: wire.Plaintext, AnyAddress: true}
	for _, c := range []struct {
		over Transport
		host string
		ok   bool
	}{
		{overPlaintext, "127.0.0.1", true},
		{overPlaintext, "127.8.9.10", true},
		{overPlaintext, "::1", true},
		{overPlaintext, "::ffff:127.0.0.1", true},
		{overPlaintext, "localhost", true},
		{overPlaintext, "", false},
		{overPlaintext, "0.0.0.0", false},
		{overPlaintext, "::", false},
		{overPlaintext, "192.0.2.1", false},
		{overPlaintext, "localhost.example.org", false},
		{anywhere, "192.0.2.1", true},
		{anywhere, "", true},
		{overTLS, "192.0.2.1", true},
		{overTLS, "", true},
	} {
		if err := c.over.CheckAddress(c.host); (err == nil) != c.ok {
			t.Errorf("%+v, %q: %v", c.over, c.host, err)
		} else if err != nil {
			wantCode(t, err, shoal.Denied)
		}
	}
}

// secure returns both ends of a connection after TLS, which is all that Transport does.
func secure(t *testing.T, over Transport) (client, server net.Conn) {
	t.Helper()
	a, b := loopback(t)
	done := make(chan error, 1)
	go func() {
		var err error
		server, err = over.Server(t.Context(), b)
		done <- err
	}()
	client, err := over.Client(t.Context(), a)
	must(t, err)
	must(t, <-done)
	return client, server
}

// Buffers below TLS change nothing about what arrives: big and small writes, both ways at once.
func TestBulkIntegrity(t *testing.T) {
	for _, over := range []Transport{overTLS, overBulkTLS, {Security: wire.TLS, Buffer: 1000}} {
		client, server := secure(t, over)
		sent := make([]byte, 8<<20+12345)
		random := rand.NewChaCha8([32]byte{1})
		_, _ = random.Read(sent)
		var users sync.WaitGroup
		for _, nc := range []net.Conn{client, server} {
			users.Go(func() {
				sizes := []int{1 << 20, 1, 17, 16 << 10, 16<<10 + 1, 256 << 10, 256<<10 - 5, 100_000}
				for rest, i := sent, 0; len(rest) > 0; i++ {
					n, err := nc.Write(rest[:min(len(rest), sizes[i%len(sizes)])])
					if err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
			})
			users.Go(func() {
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("buffer %d: what arrived is not what was sent, %v", over.Buffer, err)
				}
			})
		}
		users.Wait()
	}
}

// What a small write sends leaves at once: nothing waits in the buffer for more.
func TestBulkDoesNotDelay(t *testing.T) {
	client, server := secure(t, overBulkTLS)
	for range 100 {
		if _, err := client.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		must(t, server.SetReadDeadline(time.Now().Add(10*time.Second)))
		if _, err := io.ReadFull(server, got); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Write(got); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBulkCloseIsSeen(t *testing.T) {
	client, server := secure(t, overBulkTLS)
	if _, err := client.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	must(t, client.Close())
	if got, err := io.ReadAll(server); string(got) != "last words" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := client.Write([]byte("x")); err == nil {
		t.Error("wrote to a closed connection")
	}
}

// A side that does not read stops the other, until a deadline.
func TestBulkWriteDeadline(t *testing.T) {
	client, _ := secure(t, overBulkTLS)
	must(t, client.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	var err error
	for chunk := make([]byte, 1<<20); err == nil; {
		_, err = client.Write(chunk)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TLS is version 1.3 with our protocol's name, without resumption (rule T1).
func TestTLSRules(t *testing.T) {
	for name, c := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"as it must be":    {&tls.Config{NextProtos: []string{"shoal/1"}}, true},
		"several names":    {&tls.Config{NextProtos: []string{"h2", "shoal/1"}}, true},
		"another name":     {&tls.Config{NextProtos: []string{"h2"}}, false},
		"no name":          {&tls.Config{}, false},
		"TLS 1.2":          {&tls.Config{NextProtos: []string{"shoal/1"}, MaxVersion: tls.VersionTLS12}, false},
		"wants to resume":  {&tls.Config{NextProtos: []string{"shoal/1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}, true},
		"a server's name":  {&tls.Config{NextProtos: []string{"shoal/1"}, ServerName: "example.org"}, true},
		"other curve only": {&tls.Config{NextProtos: []string{"shoal/1"}, CurvePreferences: []tls.CurveID{tls.CurveP384}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second could resume
				a, b := loopback(t)
				done := make(chan error, 1)
				var server net.Conn
				go func() {
					var err error
					server, err = overTLS.Server(t.Context(), b)
					done <- err
				}()
				c.config.InsecureSkipVerify = true
				client := tls.Client(a, c.config)
				err := client.HandshakeContext(t.Context())
				accepted := <-done
				if (accepted == nil) != c.ok {
					t.Fatalf("client: %v, server: %v", err, accepted)
				}
				if !c.ok {
					continue
				}
				state := client.ConnectionState()
				if state.DidResume || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "shoal/1" {
					t.Errorf("resumed %v, version %x, protocol %q", state.DidResume, state.Version, state.NegotiatedProtocol)
				}
				// A ticket would come with the first bytes.
				if _, err := server.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := client.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A responder of TLS without our protocol's name is none of ours.
func TestOtherTLSService(t *testing.T) {
	a, b := loopback(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		config := serverConfig().Clone()
		config.NextProtos = nil
		_ = tls.Server(b, config).HandshakeContext(t.Context())
	}()
	_, err := overTLS.Client(t.Context(), a)
	wantRefusal(t, err, shoal.Unsupported, "shoal/1")
	<-done
}
