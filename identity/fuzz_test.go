package identity

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
	"shoal/tests/bounds"
	"shoal/wire"
)

// FuzzHandshake lets an initiator and a responder talk to who says anything, and can sign nothing: neither takes it for
// anybody, and both are done in time (rule H2).
func FuzzHandshake(f *testing.F) {
	hello := &wire.Hello{Version: wire.Version, Wanted: wire.ServicePeer, Secured: wire.Plaintext, Software: Software}
	reply := &wire.HelloReply{Version: wire.Version, Secured: wire.Plaintext, Software: Software}
	f.Add(wire.AppendRequest(wire.AppendRequest(nil, wire.KindHello, 1, hello), wire.KindAuth, 2, &wire.Auth{}))
	f.Add(wire.AppendReply(wire.AppendReply(nil, wire.KindHello, 1, reply), wire.KindAuth, 2, &wire.AuthReply{Observed: "x"}))
	f.Add(wire.AppendError(nil, wire.KindHello, 1, shoal.Errorf(shoal.Busy, "\x1b[2J")))
	f.Add(wire.AppendEvent(nil, wire.KindBye, &wire.Bye{Code: 77}))
	f.Add([]byte{})
	key := NewKey()
	initiator := Initiator{Key: key, Wanted: wire.ServicePeer, Transport: overPlaintext, Accept: acceptAll}
	responder := Responder{Key: key, Serves: wire.ServicePeer, Transport: overPlaintext}
	f.Fuzz(func(t *testing.T, said []byte) {
		bounds.Hold(t, len(said), func() {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				for what, shake := range map[string]func(context.Context, net.Conn) (*Established, error){
					"an initiator": initiator.Open, "a responder": responder.Accept,
				} {
					ours, theirs := memory(t)
					if _, err := theirs.Write(said); err != nil {
						t.Fatal(err)
					}
					if _, err := shake(t.Context(), ours); err == nil {
						t.Errorf("%s believes %x", what, said)
					}
				}
				if took := time.Since(begin); took > 2*HandshakeTimeout {
					t.Errorf("it took %v", took)
				}
			})
		})
	})
}

// FuzzKeyFile reads what lies where a key should be.
func FuzzKeyFile(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "key")
	if _, err := LoadKey(path); err != nil {
		f.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	first, second := NewKey(), NewKey()
	succession := NameSuccessor(first, second.Public(), noon, time.Hour)
	if err := ExportRoot(root, second, succession); err != nil {
		f.Fatal(err)
	}
	exported, err := os.ReadFile(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(written)
	f.Add(exported)
	f.Add(bytes.ReplaceAll(exported, []byte("Fingerprint"), []byte("F")))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounds.Hold(t, len(content), func() {
			key, err := LoadKey(path)
			if (err == nil) == (key == nil) || err != nil && !errors.Is(err, shoal.Corrupt) {
				t.Errorf("%q is the key %v, %v", content, key, err)
			}
			key, chain, err := ImportRoot(path)
			if (err == nil) == (key == nil) || err != nil && !errors.Is(err, shoal.Corrupt) {
				t.Errorf("%q is the root key %v with %x, %v", content, key, chain, err)
			}
		})
	})
}

// FuzzTrustFiles reads what lies where pinned realms and revoked keys should be, and writes to it.
func FuzzTrustFiles(f *testing.F) {
	path := filepath.Join(f.TempDir(), "trust")
	var realm shoal.RealmKey
	f.Add([]byte("# comment\n\nserver:1 " + realm.String() + "\n"))
	f.Add([]byte("server:1  " + realm.String() + "  \nserver:2 " + realm.String()))
	f.Add([]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 100)) + "\n"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounds.Hold(t, len(content), func() {
			chains, err := OpenRevocations(path).All()
			if len(chains) > maxRevoked || err != nil && !errors.Is(err, shoal.Untrusted) {
				t.Errorf("%d revocations, %v", len(chains), err)
			}
			pins := OpenPins(path)
			before, err := pins.All()
			if err != nil {
				if !errors.Is(err, shoal.Untrusted) {
					t.Error(err)
				}
				return
			}
			added := pins.Add("another:7", realm)
			after, err := pins.All()
			if known := slices.ContainsFunc(before, func(p Pin) bool { return p.Server == "another:7" }); added == nil && !known {
				before = append(before, Pin{"another:7", realm})
			}
			if err != nil || !slices.Equal(before, after) {
				t.Errorf("%q has %v, and after one more %v, %v", content, before, after, err)
			}
		})
	})
}

// FuzzCode reads codes as people type them.
func FuzzCode(f *testing.F) {
	f.Add(string(NewCode()))
	f.Add("OOOO-iiii LLLL 0123 4567 89ab cdef")
	f.Add("\u2010")
	f.Fuzz(func(t *testing.T, typed string) {
		bounds.Hold(t, len(typed), func() {
			c, err := ParseCode(typed)
			if err != nil {
				return
			}
			if again, err := ParseCode(string(c)); err != nil || again != c {
				t.Errorf("%q is %q, and that %q, %v", typed, c, again, err)
			}
		})
	})
}
