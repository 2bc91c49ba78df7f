package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"shoal/identity"
)

// hostileNames cannot be names of anything.
var hostileNames = []string{
	"", ".", "..", "/", "a/b/c", "../../etc/passwd", `..\..\x`, "\x00", "a\x00b", "a\nb", "a\rb", "a\tb", "\x1b[2J", "\x1b]0;title\x07",
	"\x7f", "\u009b31m", "\u2028", "\u2029", "\u202ecod.exe", "\u2066x", "\xff\xfe", "a\xc3", "\xed\xa0\x80", strings.Repeat("x", 256),
	strings.Repeat("ü", 128), strings.Repeat("x", 100_000),
}

// strangeNames can be names, and stand for nothing here.
var strangeNames = []string{
	" ", "  lab", "lab ", "LAB", "l\u0430b", "lab\u200b", "lab\u200d", "-", "--", "--state", "-rf", "*", "?", "~", "$HOME", "$(id)", "`id`", ";id", "|id",
	"%s%n", "%00", "'", `"`, "' OR 1=1 --", "<b>", "&amp;", "\u0301", "\U0001F469\u200d\U0001F680", strings.Repeat("x", 64), "con", "nul", "null", "undefined", "0", "-1",
}

// Whatever is given for a name, commands refuse it with the right code, show nothing that a terminal would obey, and the
// server goes on.
func TestHostileNames(t *testing.T) {
	h := newHousehold(t)
	h.people()
	check := func(codes []int, stdin string, args ...string) {
		t.Helper()
		r := h.does("ann", stdin, args...)
		ok := false
		for _, code := range codes {
			ok = ok || r.code == code
		}
		if !ok || r.stderr == "" {
			t.Errorf("shoal %.60q: %d instead of %v: %.200s", args, r.code, codes, r.stderr)
		}
		for _, c := range r.stdout + r.stderr {
			if c != '\n' && (unicode.IsControl(c) || c == '\u202e' || c == '\u2066' || c == '\u2028' || c == '\u2029') {
				t.Errorf("shoal %.60q shows %q", args, c)
			}
		}
	}
	bad, absent, denied := []int{2}, []int{3}, []int{3, 5}
	const password = "correct horse battery\n"
	for i, name := range append(hostileNames, strangeNames...) {
		codes := bad
		if i >= len(hostileNames) {
			codes = absent
		}
		check(codes, "", "ls", "--", name)
		for k, verb := range []string{"members", "requests", "join", "leave", "delete"} {
			if i < len(hostileNames) || (i+k)%5 == 0 { // what gets as far as the server takes longer
				check(codes, "", "group", verb, "--", name)
			}
		}
		for k, verb := range []string{"accept", "reject", "remove", "transfer"} {
			if i < len(hostileNames) || (i+k)%4 == 0 {
				check(codes, "", "group", verb, "--", name, "bob")
				check(codes, "", "group", verb, "--", "lab", name)
			}
		}
		if i < len(hostileNames) || i%2 == 0 {
			check(codes, "", "invite", "--", name)
		}
		if i < len(hostileNames) {
			check(bad, "", "group", "create", "--", name)
			check(bad, password, "user", "create", "--", name)
			check(bad, password, "login", "--", name)
		}
		if len(codes) == 1 && codes[0] == 3 {
			codes = denied
		}
		if i < len(hostileNames) || i%2 == 1 {
			check(append([]int{2}, codes...), "", "user", "delete", "--", name)
			check(append([]int{2}, codes...), "", "device", "list", "--", name)
		}
		check(bad, "", "device", "revoke", "--", name)
	}
	for _, name := range hostileNames {
		if name == "a/b/c" || name == "/" {
			continue
		}
		for i, target := range []string{"lab/" + name, name + "/x"} {
			for k, command := range []string{"get", "info", "unpublish", "stop-share"} {
				if (i+k)%2 != 0 {
					continue
				}
				check([]int{2, 3}, "", command, "--", target)
			}
		}
	}
	for i, name := range strangeNames {
		for k, command := range []string{"get", "info", "unpublish", "stop-share"} {
			if (i+k)%4 != 0 {
				continue
			}
			check(absent, "", command, "--", "lab/"+name)
			check(absent, "", command, "--", name+"/x")
		}
	}
	check(absent, "", "device", "revoke", identity.NewKey().Device().String())
	if got := fieldsOf(h.must("bob", "", "group", "members", "lab")); got != "ann bob" {
		t.Errorf("afterwards %s are in the group", got)
	}
}

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
