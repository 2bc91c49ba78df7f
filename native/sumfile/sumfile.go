// Package sumfile writes and reads the lines that b3sum prints and checks: a hash in hexadecimal, two spaces, and the
// name of the file that has it. Where a name holds a backslash or a line feed, these are written \\ and \n, and the
// line begins with a backslash that says so, as GNU's md5sum does it.
package sumfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"shoal/native"
)

// Line says which hash a file has. Its Name is a path, or "-" for standard input.
type Line struct {
	Hash [native.Size]byte
	Name string
}

// hexLen is the length of a hash in hexadecimal.
const hexLen = 2 * native.Size

var (
	escapes   = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	unescapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n")
)

// String returns the line, without a line feed. What is not UTF-8 in the name becomes U+FFFD, so Parse refuses it.
func (l Line) String() string {
	name, escaped := strings.CutPrefix(Escape(l.Name), `\`)
	line := hex.EncodeToString(l.Hash[:]) + "  " + name
	if escaped {
		return `\` + line
	}
	return line
}

// Escape returns a name as the report on a check shows it: as in its line, and with that line's leading backslash.
func Escape(name string) string {
	name = validUTF8(name)
	if escaped := escapes.Replace(name); escaped != name {
		return `\` + escaped
	}
	return name
}

// validUTF8 replaces each maximal part of a sequence that is not UTF-8 (Unicode 16, section 3.9) by U+FFFD.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			// The longest start of a sequence that could have gone on to be valid counts as one.
			for n = min(utf8.UTFMax-1, len(s)); n > 1 && utf8.FullRuneInString(s[:n]); n-- {
			}
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// Parse reads a line, without its line feed. It is as strict as b3sum: a check must not succeed for another file than
// the one that was meant.
func Parse(text string) (Line, error) {
	var l Line
	text, escaped := strings.CutPrefix(text, `\`)
	if len(text) <= hexLen+2 {
		return l, fmt.Errorf("it is too short for a hash of %d digits, two spaces and a name", hexLen)
	}
	digits, spaces, name := text[:hexLen], text[hexLen:hexLen+2], text[hexLen+2:]
	if _, err := hex.Decode(l.Hash[:], []byte(digits)); err != nil || strings.ToLower(digits) != digits {
		return Line{}, fmt.Errorf("it does not begin with a hash of %d lower-case hexadecimal digits", hexLen)
	}
	if spaces != "  " {
		return Line{}, errors.New("there are not two spaces after the hash")
	}
	if strings.Contains(name, "\n") {
		return Line{}, errors.New("there is a line feed in it")
	}
	if escaped {
		// What is left of the name without its escapes has no backslash, unless one was none.
		if strings.Contains(strings.NewReplacer(`\\`, "", `\n`, "").Replace(name), `\`) {
			return Line{}, errors.New(`in the name there is a backslash that begins neither \\ nor \n`)
		}
		name = unescapes.Replace(name)
	}
	if strings.ContainsRune(name, 0) {
		return Line{}, errors.New("the name holds a null character")
	}
	if !utf8.ValidString(name) || strings.ContainsRune(name, utf8.RuneError) {
		return Line{}, errors.New("the name is not, or was not, UTF-8, so it is not certain which file is meant")
	}
	l.Name = name
	return l, nil
}
