package facts

import (
	"strings"
	"unicode/utf8"

	"shoal/soap/enrichment"
)

// marks are the byte order marks (Unicode section 23.8), the longer ones first.
var marks = [...]struct {
	mark     string
	encoding enrichment.Encoding
}{
	{"\x00\x00\xfe\xff", enrichment.EncodingUtf32be},
	{"\xff\xfe\x00\x00", enrichment.EncodingUtf32le},
	{"\xef\xbb\xbf", enrichment.EncodingUtf8},
	{"\xfe\xff", enrichment.EncodingUtf16be},
	{"\xff\xfe", enrichment.EncodingUtf16le},
}

// encodingOf tells how head is encoded if it is text, and nothing if it is none. Unless head is the whole file, what
// looks like ASCII is called UTF-8, which will do whatever follows.
func encodingOf(head []byte, whole bool) enrichment.Encoding {
	for _, m := range marks {
		if strings.HasPrefix(string(head), m.mark) {
			return m.encoding
		}
	}
	ascii, c1 := true, false
	for _, b := range head {
		switch {
		case b < 0x20 && !strings.ContainsRune("\a\b\t\n\f\r\x1b", rune(b)), b == 0x7f:
			return ""
		case b >= 0x80:
			ascii = false
			c1 = c1 || b < 0xa0
		}
	}
	switch {
	case len(head) == 0:
		return ""
	case ascii && whole:
		return enrichment.EncodingUsascii
	case utf8.Valid(head) || !whole && utf8.Valid(withoutCut(head)):
		return enrichment.EncodingUtf8
	case c1: // ISO 8859-1 has control characters there, and Windows its quotation marks
		return enrichment.EncodingWindows1252
	}
	return enrichment.EncodingIso88591
}

// withoutCut is head without a character at its end that was cut.
func withoutCut(head []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(head); i++ {
		if rest := head[len(head)-i:]; utf8.RuneStart(rest[0]) {
			if !utf8.FullRune(rest) {
				return head[:len(head)-i]
			}
			break
		}
	}
	return head
}
