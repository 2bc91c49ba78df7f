package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// Passwords and codes that cannot be are refused before they are sent, and never repeated.
func TestHostileSecrets(t *testing.T) {
	h := newHousehold(t)
	h.people()
	for i, secret := range []string{
		"", "\n", "short", "1234567", "with\ttab and more", "with\x00zero and more", "with\x1b[2Jescape", "not UTF-8 \xff\xff",
		strings.Repeat("x", 1025), strings.Repeat("x", 5000), strings.Repeat("x", 1<<20),
	} {
		for _, args := range [][]string{{"user", "create", "eve"}, {"login", "bob"}} {
			file := passwordFile(t, secret)
			for _, r := range []ran{h.does("eve", secret, args...), h.does("eve", "", append(args, "--password-file", file)...)} {
				if r.code != 2 || len(secret) > 6 && strings.Contains(r.stderr, secret) {
					t.Errorf("password %d: %d: %.200s", i, r.code, r.stderr)
				}
			}
		}
	}
	for i, code := range []string{
		"short", strings.Repeat("0", 27), strings.Repeat("0", 29), strings.Repeat("u", 28), strings.Repeat("0", 28) + "\x00",
		strings.Repeat("ü", 28), strings.Repeat("-", 200), strings.Repeat("0", 4000), strings.Repeat("0", 100_000),
	} {
		if r := h.does("eve", "correct horse battery\n"+code+"\n", "user", "create", "eve"); r.code != 2 || strings.Contains(r.stderr, code) {
			t.Errorf("code %d: %d: %.200s", i, r.code, r.stderr)
		}
	}
	h.fails(5, "", "eve", "correct horse battery\n"+strings.Repeat("0", 28), "user", "create", "eve")
	h.fails(2, "--password-file", "eve", "", "login", "bob", "--password-file", filepath.Join(h.dir, "missing"))
	h.fails(2, "", "eve", "", "login", "bob", "--password-file", h.dir)
	h.fails(2, "--label", "eve", bobsPassword, "login", "bob", "--label", "a/b")
	r := h.does("eve", bobsPassword, "login", "bob", "--plaintext")
	if r.code == 0 {
		t.Error(fmt.Sprint("a password was sent over plaintext: ", r.stdout))
	}
	for _, lasts := range []string{"0s", "-1h", "721h"} {
		h.fails(2, "--expires-in", "ann", "", "invite", "lab", "--expires-in", lasts)
		h.fails(2, "--offline-grace", "ann", "", "group", "create", "new", "--offline-grace", strings.Replace(lasts, "0s", "-1s", 1))
	}
}
