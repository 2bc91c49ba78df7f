package shoal

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"shoal/tests/bounds"
)

func TestValidNames(t *testing.T) {
	for _, s := range []string{
		"a", " ", "   ", "two words", "-rf", "--", "...", ".hidden", "..a", "a..", "ends with a dot.", "C:", "*?<>|\"'`$(x)", "%2e%2e",
		"\U0001f469\u200d\U0001f469\u200d\U0001f467.png", // a family: people joined by U+200D
		"e\u0301", "\u00e9", "مثال", "漢字", "\u00a0", "\ufeff", "\u200f", "\ufffd", "\U0010ffff",
		strings.Repeat("x", MaxName), strings.Repeat("🐋", 63) + "abc",
	} {
		if n, err := ParseName(s); err != nil || string(n) != s {
			t.Errorf("%q: %q, %v", s, n, err)
		}
		if len(s) > MaxGroup {
			continue
		}
		if g, err := ParseGroup(s); err != nil || string(g) != s {
			t.Errorf("group %q: %q, %v", s, g, err)
		}
	}
	if _, err := ParseGroup(strings.Repeat("g", MaxGroup)); err != nil {
		t.Error(err)
	}
}

func TestInvalidNames(t *testing.T) {
	invalid := []string{
		"", ".", "..", "/", "a/b", "/etc/passwd", "..\\x", "\\", strings.Repeat("x", MaxName+1), strings.Repeat("🐋", 64),
		"\x80", "\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "valid\xf5",
	}
	forbidden := []rune{'\u2028', '\u2029', '/', '\\'}
	for r := range rune(unicode.MaxLatin1 + 1) {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			forbidden = append(forbidden, r)
		}
	}
	for r := '\u202a'; r <= '\u202e'; r++ {
		forbidden = append(forbidden, r)
	}
	for r := '\u2066'; r <= '\u2069'; r++ {
		forbidden = append(forbidden, r)
	}
	for _, r := range forbidden {
		invalid = append(invalid, string(r), "a"+string(r), string(r)+"a", "ä"+string(r)+"b")
	}
	for _, s := range invalid {
		if _, err := ParseName(s); !errors.Is(err, BadRequest) {
			t.Errorf("name %q: %v", s, err)
		}
		if _, err := ParseGroup(s); !errors.Is(err, BadRequest) {
			t.Errorf("group %q: %v", s, err)
		}
	}
	if _, err := ParseGroup(strings.Repeat("g", MaxGroup+1)); !errors.Is(err, BadRequest) {
		t.Error(err)
	}
}

// What is wrong with a name is told without what makes it dangerous to print.
func TestNameErrorsArePrintable(t *testing.T) {
	for _, s := range []string{"\x1b[2J", "\u202egnp.exe", "a\nb", "\xff\x07"} {
		_, err := ParseName(s)
		if err == nil {
			t.Fatalf("%q is accepted", s)
		}
		if i := strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q", err)
		}
	}
}

// Whatever is accepted stays what it is, and is one path element in UTF-8.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"", "a", "..", "a/b", "\u202e", "\xff", "🐋"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bounds.Hold(t, len(s), func() {
			n, err := ParseName(s)
			if err != nil {
				return
			}
			if string(n) != s || len(s) < 1 || len(s) > MaxName || strings.ContainsAny(s, "/\\\x00\n\x1b") || s == "." || s == ".." {
				t.Errorf("%q is accepted as %q", s, n)
			}
		})
	})
}
