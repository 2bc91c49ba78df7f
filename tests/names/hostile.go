// Package names is names for tests: those that must be refused wherever they come from, and those that must work.
package names

import (
	"fmt"
	"strings"
)

// Hostile are over a thousand names that nothing may have: with separators, escape codes, what turns the direction of text,
// what is no UTF-8, and too long ones. The empty name is not among them, as it stands for nothing in some places.
func Hostile() (all []string) {
	for _, part := range forbidden() {
		all = append(all, part, part+"name", "na"+part+"me.txt", "name"+part)
	}
	for _, way := range ways {
		all = append(all, way, strings.ReplaceAll(way, "/", `\`), way+"etc/passwd")
	}
	for _, unit := range []string{"x", "ü", "漢", "🐋", "a\u0301"} {
		for _, length := range []int{256, 257, 300, 1000, 4096} {
			all = append(all, strings.Repeat(unit, (length+len(unit)-1)/len(unit)))
		}
	}
	return append(all, ".", "..", strings.Repeat("x", 100_000))
}

// ways are paths that lead elsewhere.
var ways = []string{
	"/", "//", "/etc/passwd", "a/b", "a/", "./a", "../", "../a", "../../a", "a/../b", "a/../../b", "....//", "..//", ".//.", "/..", "/.", "~/a", "C:/a", "//server/share",
	"/dev/null", "/proc/self/environ", "a/./b", "a//b", "..%2f/", "file:///a", "\u2026/a", "．./a", "/\u0301",
}

// forbidden is what no name has in it.
func forbidden() (parts []string) {
	for r := range rune(0xa0) {
		if r < 0x20 || r >= 0x7f {
			parts = append(parts, string(r))
		}
	}
	for _, r := range "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" {
		parts = append(parts, string(r))
	}
	parts = append(parts, escapes...)
	return append(parts, notUTF8()...)
}

// escapes are what terminals obey: ECMA-48, and what xterm adds.
var escapes = []string{
	"\x1b[2J", "\x1b[H", "\x1b[1A\x1b[2K", "\x1b[31m", "\x1b[8m", "\x1b[?1049h", "\x1b[?25l", "\x1b[6n", "\x1b[c", "\x1b[5i", "\x1b[20t", "\x1b[21t", "\x1b]0;title\x07",
	"\x1b]2;title\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1b]8;;http://evil/\x1b\\x", "\x1b]50;x\x07", "\x1b]4;1;?\x07", "\x1bP+q544e\x1b\\", "\x1b_x\x1b\\", "\x1b^x\x1b\\", "\x1bX\x1b\\",
	"\x1bc", "\x1b#8", "\x1b(0", "\x1b7\x1b8", "\x1b=", "\x1b>", "\x1bN", "\x1bZ", "\u009b2J", "\u009d0;x\u009c", "\u0090x\u009c", "\u0085", "\r\x1b[K", "\b\b\b", "\x0e", "\x0f",
	"\x05", "\a", "\v", "\f", "\x1b[200~", "\x1b[99999b", "\x1b[3;1H", "\x1b]1337;File=:\x07", "\x1b[>4;1m",
}

// notUTF8 are bytes of which some have been taken for a separator or a dot by careless decoders.
func notUTF8() (parts []string) {
	for b := 0x80; b <= 0xff; b++ {
		parts = append(parts, string([]byte{byte(b)}))
	}
	for _, hex := range []string{
		"c0af", "c0ae", "c0aec0ae", "e080af", "e080ae", "f08080af", "f8808080af", "fc80808080af", "c19c", "c080", "eda080", "edbfbf", "eda080edb080", "f4908080", "f7bfbfbf",
		"e282", "f09f90", "fe", "feff", "fffe", "c3", "efbf", "e0a0", "f8888080", "c3c3a9",
	} {
		var raw []byte
		for i := 0; i < len(hex); i += 2 {
			var b byte
			_, _ = fmt.Sscanf(hex[i:i+2], "%02x", &b) // digits that are above
			raw = append(raw, b)
		}
		parts = append(parts, string(raw))
	}
	return parts
}
