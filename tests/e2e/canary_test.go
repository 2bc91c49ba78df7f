package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
)

// canary is a secret that must be found nowhere, in all forms in which it might be written.
type canary struct {
	name  string
	forms [][]byte
}

// newCanary makes one of a secret.
func newCanary(name string, secret []byte) canary {
	c := canary{name: name}
	c.add(secret)
	return c
}

// codeCanary makes one of a code, as it is printed and as people type it.
func codeCanary(name, code string) canary {
	c := canary{name: name}
	bare := strings.ReplaceAll(code, "-", "")
	for _, form := range []string{code, bare, strings.ToUpper(code), strings.ToUpper(bare)} {
		c.add([]byte(form))
	}
	return c
}

// keyCanary makes one of the private key in a file.
func keyCanary(t *testing.T, name, path string) canary {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s is not in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return newCanary(name, key.(ed25519.PrivateKey).Seed())
}

// freshSecret is a text that is nowhere yet.
func freshSecret(of string) string { return "canary-" + of + "-" + rand.Text() }

// add adds the forms of a secret: as it is, in hexadecimal, and in base64, wherever it stands in what was encoded.
func (c *canary) add(secret []byte) {
	c.forms = append(c.forms, secret, []byte(hex.EncodeToString(secret)), bytes.ToUpper([]byte(hex.EncodeToString(secret))))
	for shift := range 3 {
		shifted := append(make([]byte, shift), secret...)
		// Of the ends, bits of what stands beside the secret are part.
		begin, end := (8*shift+5)/6, 8*len(shifted)/6
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			c.forms = append(c.forms, []byte(encoding.EncodeToString(shifted)[begin:end]))
		}
	}
}

// in reports whether the canary is in what was found.
func (c *canary) in(found []byte) bool {
	return slices.ContainsFunc(c.forms, func(form []byte) bool { return bytes.Contains(found, form) })
}

// The search finds a canary in each form, wherever it stands.
func TestCanary(t *testing.T) {
	t.Parallel()
	secret := []byte(freshSecret("form") + "\xff\xfe~?>")
	c := newCanary("a secret", secret)
	for shift := range 12 {
		plain := slices.Concat([]byte("the beginning"[:shift]), secret, []byte("the end"))
		for name, found := range map[string]string{
			"as it is":   string(plain),
			"hex":        hex.EncodeToString(plain),
			"HEX":        strings.ToUpper(hex.EncodeToString(plain)),
			"base64":     base64.StdEncoding.EncodeToString(plain),
			"base64 URL": base64.URLEncoding.EncodeToString(plain),
		} {
			if !c.in([]byte(found)) {
				t.Errorf("not found as %s, at %d", name, shift)
			}
		}
		if c.in([]byte(base32.StdEncoding.EncodeToString(plain))) || c.in(plain[:shift+len(secret)-1]) {
			t.Errorf("found at %d what is not there", shift)
		}
	}
	code := codeCanary("a code", "abcd-efgh-jkmn-pqrs-tvwx-0123-4567")
	if !code.in([]byte("it is ABCDEFGHJKMNPQRSTVWX01234567.")) || code.in([]byte("abcd-efgh-jkmn-pqrs-tvwx-0123-4568")) {
		t.Error("a code is not found as typed, or another one is")
	}
}
