package identity

import (
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"shoal"
)

func TestCodes(t *testing.T) {
	form := regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4}-){6}[0-9a-hjkmnp-tv-z]{4}$`)
	seen := map[Code]bool{}
	symbols := map[rune]bool{}
	for range 1000 {
		c := NewCode()
		if !form.MatchString(string(c)) || seen[c] {
			t.Fatalf("made %q", c)
		}
		seen[c] = true
		for _, r := range c {
			symbols[r] = true
		}
		if c.Hash() != sha256.Sum256([]byte(c)) {
			t.Fatalf("%q does not have the hash of its text", c)
		}
	}
	if len(symbols) != 33 {
		t.Errorf("%d symbols are used, want 32 and the hyphen", len(symbols))
	}
}

// However a code is typed, it is the same one.
func TestCodesTyped(t *testing.T) {
	mistaken := map[rune]string{'0': "0oO", '1': "1iIlL"}
	rapid.Check(t, func(t *rapid.T) {
		c := NewCode()
		var typed strings.Builder
		for _, r := range strings.ReplaceAll(string(c), "-", "") {
			typed.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "-", "\u2011", "\n"}).Draw(t, "between"))
			spellings := mistaken[r]
			if spellings == "" {
				spellings = string(r) + strings.ToUpper(string(r))
			}
			typed.WriteRune(rapid.SampledFrom([]rune(spellings)).Draw(t, "spelling"))
		}
		if got, err := ParseCode(typed.String()); err != nil || got != c {
			t.Fatalf("%q typed as %q is read as %q, %v", c, typed.String(), got, err)
		}
	})
}

func TestNoCodes(t *testing.T) {
	good := string(NewCode())
	for _, typed := range []string{
		"", "-", good[1:], good + "0", good + good, strings.Replace(good, good[:1], "u", 1), strings.Replace(good, good[:1], "*", 1),
		strings.Replace(good, good[:1], "\u00e9", 1), strings.Replace(good, good[:1], "\x00", 1), good[:20] + "\x1b[2J" + good[24:],
		strings.Repeat(" ", 1<<20) + good, strings.Repeat("0", 1<<20),
	} {
		c, err := ParseCode(typed)
		if !errors.Is(err, shoal.BadRequest) {
			t.Errorf("%.40q: got %v", typed, err)
		}
		if c != "" || err != nil && len(typed) > 4 && strings.Contains(err.Error(), typed) {
			t.Errorf("%q is read as %q, %v", typed, c, err)
		}
	}
}
