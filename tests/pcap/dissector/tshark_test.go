package dissector

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// shown is a frame as tshark shows it: its fields in order.
type shown []field

// field is one as tshark writes it. Of text and bytes the value is in hexadecimal digits.
type field struct{ name, value string }

func (f field) String() string { return f.name + " = " + f.value }

// get is the value of a field that is shown once.
func (s shown) get(name string) string {
	if i := slices.IndexFunc(s, func(f field) bool { return f.name == name }); i >= 0 {
		return s[i].value
	}
	return ""
}

func (s shown) has(name string) bool {
	return slices.ContainsFunc(s, func(f field) bool { return f.name == name })
}

// tshark opens a capture with the dissector. It goes through it twice, because only then it knows of each request
// where the reply is, and asks heuristics first, because some of the ports are another protocol's.
func tshark(t *testing.T, args ...string) []shown {
	t.Helper()
	cmd := exec.Command("tshark", append([]string{"-X", "lua_script:../shoal.lua", "-o", "tcp.try_heuristic_first:TRUE", "-2", "-T", "pdml", "-J", "shoal"}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || strings.Contains(said.String(), "Lua") {
		t.Fatalf("tshark, of Debian's package of that name: %v\n%s", err, &said)
	}
	return parse(t, out)
}

// parse reads PDML. In its attributes no angle bracket stands for itself.
func parse(t *testing.T, pdml []byte) (frames []shown) {
	within := false
	for element := range bytes.SplitSeq(pdml, []byte{'<'}) {
		if rest, is := bytes.CutPrefix(element, []byte(`proto name="`)); is {
			if within = bytes.HasPrefix(rest, []byte(`shoal"`)); within {
				frames = append(frames, nil)
			}
			continue
		}
		rest, is := bytes.CutPrefix(element, []byte(`field name="`))
		if !within || !is {
			continue
		}
		name, rest, _ := bytes.Cut(rest, []byte{'"'})
		f := field{name: string(name), value: attribute(rest, "show")}
		if isText(f.name) {
			f.value = attribute(rest, "value")
		}
		last := &frames[len(frames)-1]
		*last = append(*last, f)
	}
	if len(frames) == 0 {
		t.Fatalf("tshark sees no frame in\n%.3000s", pdml)
	}
	return frames
}

// attribute is that of an element, or "".
func attribute(element []byte, name string) string {
	_, rest, _ := bytes.Cut(element, fmt.Appendf(nil, ` %s="`, name))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(value)
}
