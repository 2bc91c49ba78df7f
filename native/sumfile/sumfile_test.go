package sumfile

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"shoal/native"
	"shoal/tests/bounds"
)

// names are hard to write down. Names that are not UTF-8 cannot be read back.
var (
	names    = []string{"a", `b\c`, "d\ne", "f\rg", "  sp", `\`, "\n", `\n`, `\\n`, "é", "日本", "-x", "a  b", "tab\t"}
	lossy    = []string{"bad\xff", "\xe9\xe9", "cut\xe2\x82", "cut\xf0\x9f\x98x", "\xed\xa0\x80", "\x80\xf0\x80", "\xff\\\n"}
	someHash = native.Sum([]byte("hi"))
)

func TestLinesAreThoseOfB3sum(t *testing.T) {
	program, err := exec.LookPath("b3sum")
	if err != nil {
		t.Skip("b3sum is not installed: scripts/setup.sh test")
	}
	dir := t.TempDir()
	var want []string
	for _, name := range append(names, lossy...) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("hi"), 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, Line{someHash, name}.String()+"\n")
	}
	cmd := exec.Command(program, append([]string{"--"}, append(names, lossy...)...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); got != strings.Join(want, "") {
		t.Errorf("b3sum prints\n%q\nwe\n%q", got, want)
	}
}

func TestParseIsTheInverse(t *testing.T) {
	for _, name := range names {
		l := Line{someHash, name}
		if got, err := Parse(l.String()); got != l || err != nil {
			t.Errorf("Parse(%q) is %q, %v", l, got, err)
		}
	}
	for _, name := range lossy {
		if got, err := Parse(Line{someHash, name}.String()); err == nil {
			t.Errorf("a name that was not UTF-8 is read as %q", got.Name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	h := hex.EncodeToString(someHash[:])
	for line, why := range map[string]string{
		"":                         "too short",
		`\`:                        "too short",
		"hello":                    "too short",
		h:                          "too short",
		h + "  ":                   "too short",
		h + " a and more":          "two spaces",
		h + " *a":                  "two spaces",
		h + "\t\ta":                "two spaces",
		strings.ToUpper(h) + "  a": "lower-case",
		"g" + h[1:] + "  a":        "hexadecimal",
		"é" + h[2:] + "  a":        "hexadecimal",
		`\` + h + `  a\xb`:         "backslash",
		`\` + h + `  a\`:           "backslash",
		`\` + h + `  a\\\`:         "backslash",
		h + "  a\n":                "line feed",
		`\` + h + "  a\n":          "line feed",
		h + "  a\x00b":             "null",
		h + "  bad\xff":            "UTF-8",
		h + "  bad\ufffd":          "UTF-8",
	} {
		if l, err := Parse(line); err == nil || !strings.Contains(err.Error(), why) || l != (Line{}) {
			t.Errorf("Parse(%q) is %q, %v; want an error with %q", line, l, err, why)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range names {
		f.Add(Line{someHash, name}.String())
	}
	f.Add(`\` + hex.EncodeToString(someHash[:]) + "  plain")
	f.Fuzz(func(t *testing.T, text string) {
		bounds.Hold(t, len(text), func() {
			l, err := Parse(text)
			if err != nil {
				return
			}
			// The one line that is read and not written: its escape mark, or its lack, does not fit the name.
			_, marked := strings.CutPrefix(text, `\`)
			if needs := strings.ContainsAny(l.Name, "\\\n"); needs == marked && l.String() != text {
				t.Errorf("%q is read and written as %q", text, l)
			}
			if again, err := Parse(l.String()); err != nil || again != l {
				t.Errorf("%q is read as %q, and that as %q, %v", text, l, again, err)
			}
		})
	})
}
