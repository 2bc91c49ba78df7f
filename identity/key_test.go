package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shoal"
	"shoal/wire"
)

func TestKeyIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := LoadKey(path)
	must(t, err)
	second, err := LoadKey(path)
	must(t, err)
	if first.Public() != second.Public() || first.Device() != shoal.DeviceID(first.Public()) {
		t.Error("the key changed")
	}
	if s := second.sign([]byte("x")); !verify(first.Public(), []byte("x"), s) || verify(first.Public(), []byte("y"), s) {
		t.Error("the private half is another")
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

// Whoever comes first makes the key; all get that one, and nothing else stays behind.
func TestKeyMadeByMany(t *testing.T) {
	dir := t.TempDir()
	var callers sync.WaitGroup
	got := make([][32]byte, 32)
	for i := range got {
		callers.Go(func() {
			key, err := LoadKey(filepath.Join(dir, "key"))
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = key.Public()
		})
	}
	callers.Wait()
	for _, public := range got {
		if public != got[0] {
			t.Fatal("two callers got different keys")
		}
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 1 {
		t.Errorf("%d files are left, want the key alone", len(files))
	}
}

func TestKeyRefused(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	_, err := LoadKey(good)
	must(t, err)
	whole, err := os.ReadFile(good)
	must(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(other)
	must(t, err)

	for name, c := range map[string]struct {
		content []byte
		mode    os.FileMode
		want    shoal.Code
		advice  string
	}{
		"readable by the group":  {whole, 0o640, shoal.Untrusted, "chmod 600"},
		"readable by all":        {whole, 0o604, shoal.Untrusted, "chmod 600"},
		"torn":                   {whole[:len(whole)/2], 0o600, shoal.Corrupt, "backup"},
		"empty":                  {nil, 0o600, shoal.Corrupt, "backup"},
		"of another kind":        {pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), 0o600, shoal.Corrupt, "Ed25519"},
		"of another PEM type":    {bytes.ReplaceAll(whole, []byte("PRIVATE"), []byte("PUBLIC")), 0o600, shoal.Corrupt, "PEM"},
		"far longer than it can": {append(bytes.Repeat([]byte("\n"), 1<<20), whole...), 0o600, shoal.Corrupt, "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			must(t, os.WriteFile(path, c.content, 0o600))
			must(t, os.Chmod(path, c.mode))
			_, err := LoadKey(path)
			wantCode(t, err, c.want)
			if err != nil && (!strings.Contains(err.Error(), c.advice) || !strings.Contains(err.Error(), path)) {
				t.Errorf("%q does not name the file or %q", err, c.advice)
			}
			after, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Equal(after, c.content) {
				t.Error("the file was changed")
			}
		})
	}
	if _, err := LoadKey(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("a key was made in a folder that is not there")
	}
}

// For keys of small order anybody can make signatures that crypto/ed25519 accepts: they must not count.
func TestWeakKeys(t *testing.T) {
	for _, text := range smallOrder {
		raw, err := hex.DecodeString(text)
		must(t, err)
		key := [32]byte(raw)
		forged := 0
		for i := range 12 {
			message := []byte{byte(i)}
			for _, first := range smallOrder { // the point R, beside the scalar 0
				r, _ := hex.DecodeString(first)
				for _, sign := range []byte{0, 0x80} {
					s := wire.Signature(append(bytes.Clone(r), make([]byte, 32)...))
					s[31] |= sign
					if ed25519.Verify(key[:], message, s[:]) {
						forged++
					}
					if verify(key, message, s) {
						t.Fatalf("a signature for %s that anybody can make is accepted", text)
					}
				}
			}
		}
		if forged == 0 {
			t.Errorf("%s can not be forged for: is it of small order?", text)
		}
		key[31] |= 0x80
		if !weak(key) {
			t.Errorf("%s with the sign bit is accepted", text)
		}
	}
	if weak(NewKey().Public()) {
		t.Error("a fresh key is weak")
	}
}
