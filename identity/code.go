package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"unicode"

	"shoal"
)

const (
	codeSymbols = 28 // of 5 bits: 140 bits
	codeGroup   = 4  // symbols
)

// codeEncoding has no i, l, o and u (Crockford's base 32): what is read aloud or from paper cannot be mistaken.
var codeEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Code is a one-time code of 140 random bits, for an invite or the first user: seven groups of four characters
// (wire/PROTOCOL.md section 6). A client makes those of invites, a server that of the first user; nobody stores more than
// their hash.
type Code string

// NewCode makes a fresh code.
func NewCode() Code {
	raw := make([]byte, (codeSymbols*5+7)/8)
	_, _ = rand.Read(raw) // never fails
	return grouped(codeEncoding.EncodeToString(raw)[:codeSymbols])
}

func grouped(symbols string) Code {
	var groups []string
	for i := 0; i < codeSymbols; i += codeGroup {
		groups = append(groups, symbols[i:i+codeGroup])
	}
	return Code(strings.Join(groups, "-"))
}

// ParseCode reads a code as people type it: in upper or lower case, with spaces or hyphens anywhere or nowhere, O for 0
// and I or L for 1. The error has code BadRequest, and does not repeat what was typed.
func ParseCode(typed string) (Code, error) {
	bad := shoal.Errorf(shoal.BadRequest, "that is no code; a code is %d letters and digits, in groups of %d", codeSymbols, codeGroup)
	if len(typed) > 4*codeSymbols {
		return "", bad
	}
	var symbols strings.Builder
	for _, r := range strings.ToLower(typed) {
		switch {
		case r == '-' || r == '\u2010' || r == '\u2011' || r == '\u2013' || unicode.IsSpace(r):
			continue
		case r == 'o':
			r = '0'
		case r == 'i' || r == 'l':
			r = '1'
		case r == 'u' || !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z'):
			return "", bad
		}
		symbols.WriteRune(r)
	}
	if symbols.Len() != codeSymbols {
		return "", bad
	}
	return grouped(symbols.String()), nil
}

// Hash is what is stored of a code: SHA-256 of its text. It needs no salt and no slow hash, because nobody can try 2^140
// codes; and comparing hashes tells nobody who guesses anything of the code.
func (c Code) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(c)) }
