package names

import (
	"slices"
	"strings"
)

// Odd are over a hundred names that look strange, or like something else, and are names like any other: each stands for
// itself, also beside one that looks the same.
func Odd() []string {
	return slices.Concat(shells, devices, scripts, twins, lookalikes, []string{
		strings.Repeat("x", 255), strings.Repeat("漢", 85), strings.Repeat("🐋", 63) + "xyz", "a" + strings.Repeat("\u0301", 127), strings.Repeat(".", 255),
		strings.Repeat("-", 200), strings.Repeat(" ", 100), strings.Repeat("\u00ad", 100),
	})
}

// shells are what a shell, or a program, might take for something else.
var shells = []string{
	"-", "--", "-rf", "--help", "--state=x", "-o", "*", "?", "[a-z]", "{a,b}", "~", "~root", "$HOME", "${HOME}", "$(id)", "`id`", ";id", "|id", "&", "&&", ">x", "<x", "!", "!!",
	"#x", "%s%n%d", "%00", "%2e%2e%2f", "'", `"`, "''", "a b", " a", "a ", "  ", "a  b", "=", "a=b", "+x", "@x", "@", ":", "a:b", ",", "...", "....", ".hidden", ".a.", "a.", "..a", "a..",
	".part", "a.part", ".shoal", "null", "undefined", "true", "0", "-1", "1e5", "NaN", "' OR 1=1 --", "<b>x", "&amp;", "]]>", "{}", "[]", "{\"a\":1}",
}

// devices are names that another system keeps for itself.
var devices = []string{"con", "CON", "nul", "aux.txt", "com1", "lpt9", "prn", "a<b", "a>b", "a|b", "a\"b", "desktop.ini", "$MFT", "Thumbs.db", ".DS_Store", "lost+found"}

// scripts are other writing, and signs.
var scripts = []string{
	"שלום", "مرحبا", "\u200fעברית.txt", "日本語", "中文.tar.gz", "한국어", "ไทย", "हिन्दी", "ελληνικά", "Ünïcödé", "русский", "🐋", "👩\u200d🚀", "🏴\u200d☠️", "👍🏽", "🇩🇪", "e\u0301\u0302\u0303", "Z̷̢̛a̴l̸g̵o̶",
	"\u0301", "\u200b", "\ufeffx", "\u00a0", "\u3000", "ﬁle", "№1", "½",
}

// twins are pairs that look alike, or are the same to systems that are not exact.
var twins = []string{
	"caf\u00e9", "cafe\u0301", "\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "README", "readme", "Readme", "stra\u00dfe", "strasse", "\u0130", "i\u0307", "I", "\u0131",
	"lab", "l\u0430b", "lab\u200b", "lab\u200d", "K", "\u212a", "\uac00", "\u1100\u1161",
}

// lookalikes have what looks like a separator, or like dots.
var lookalikes = []string{"a\u2044b", "a\u2215b", "a\u29f8b", "a\uff0fb", "a\u2216b", "a\uff3cb", "\u2025", "\uff0e\uff0e", "\u2024\u2024", "a\u2571b", "a\u1735b", "\u2026"}
