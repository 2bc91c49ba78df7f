package journal

import "unicode/utf8"

// plain are the bytes that stand for themselves in a JSON string of ours: printable ASCII but quotes and backslashes.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7F; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const hexadecimal = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259 section 7). Control characters, also those beyond ASCII, and the line
// separators of JavaScript are escaped; what is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s, true)
	return append(b, '"')
}

// appendJSON appends valid JSON. What may stand in it and not in a line of ours is replaced: newlines and the like, which
// are space there, and inside of strings what appendString would not leave.
func appendJSON(b []byte, v string) []byte { return appendEscaped(b, v, false) }

// appendEscaped appends s, which is the inside of a string still to be escaped, or JSON.
func appendEscaped(b []byte, s string, inside bool) []byte {
	done := 0 // s up to there is in b
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] || !inside && (c == '"' || c == '\\') {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			if r, size = utf8.DecodeRuneInString(s[i:]); !mustEscape(r, size) {
				i += size
				continue
			}
		}
		b = append(b, s[done:i]...)
		if c < ' ' && !inside {
			b = append(b, ' ')
		} else {
			b = appendEscape(b, r)
		}
		i += size
		done = i
	}
	return append(b, s[done:]...)
}

// mustEscape tells whether a character beyond ASCII, which took size bytes, cannot stand in a string as it is.
func mustEscape(r rune, size int) bool {
	return r < 0xA0 || r == 0x2028 || r == 0x2029 || r == utf8.RuneError && size == 1
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	case utf8.RuneError:
		return utf8.AppendRune(b, r)
	}
	return append(b, '\\', 'u', hexadecimal[r>>12&15], hexadecimal[r>>8&15], hexadecimal[r>>4&15], hexadecimal[r&15])
}
