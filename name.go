package shoal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxName is the longest Name in bytes: what every common filesystem can hold in one path element.
	MaxName = 255
	// MaxGroup is the longest Group in bytes.
	MaxGroup = 64
)

// Public is the group of all users: every user is in it, and nobody owns it.
const Public Group = "public"

// Name is a file's label within a group: one path element that is safe to create and to print. Only ParseName makes
// one from what a stranger sent.
type Name string

// Group names a group of users. It obeys the rules of Name and is at most MaxGroup bytes long.
type Group string

// ParseName checks that s is UTF-8 of 1 to MaxName bytes, without a separator (/ or \), without characters that
// control a terminal or reverse the direction of text, and neither "." nor "..". The error has code BadRequest.
func ParseName(s string) (Name, error) { return Name(s), checkLabel("name", s, MaxName) }

// ParseGroup checks s as ParseName does, with MaxGroup as the limit.
func ParseGroup(s string) (Group, error) { return Group(s), checkLabel("group", s, MaxGroup) }

func checkLabel(what, s string, limit int) error {
	switch {
	case s == "":
		return Errorf(BadRequest, "a %s is missing", what)
	case len(s) > limit:
		return Errorf(BadRequest, "the %s is %d bytes long; at most %d are allowed", what, len(s), limit)
	case !utf8.ValidString(s):
		return Errorf(BadRequest, "the %s %q is not UTF-8", what, s)
	case s == "." || s == "..":
		return Errorf(BadRequest, "the %s cannot be %q", what, s)
	}
	if i := strings.IndexFunc(s, forbiddenInLabel); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return Errorf(BadRequest, "the %s %q has the character %U, which is not allowed in names", what, s, r)
	}
	return nil
}

// Printable is s with a question mark for everything that a terminal would obey, and that is no UTF-8.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if forbiddenInText(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}

// forbiddenInLabel reports separators, and what no text from a stranger may have. The joiners of emoji are allowed.
func forbiddenInLabel(r rune) bool { return r == '/' || r == '\\' || forbiddenInText(r) }

// forbiddenInText reports control characters, and the characters that end lines or reverse the direction of what
// follows (which can make one text look like another).
func forbiddenInText(r rune) bool {
	switch {
	case unicode.IsControl(r):
		return true
	case r == '\u2028' || r == '\u2029':
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return true
	}
	return false
}
