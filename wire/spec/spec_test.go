package spec

import (
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const example = `
const MOST = 2;                       /* elements */
enum colour { RED = 1, BLUE = 2 };
typedef opaque hash[32];
struct point  { unsigned int x; hyper y; };
union either switch (colour by) { case RED: point at; case BLUE: bool on; };
struct all    { colour c; either e; point points<MOST>; string name<5>; opaque data<7>; unsigned hyper u; };
`

func TestEncode(t *testing.T) {
	s, err := ParseSchema(example)
	if err != nil {
		t.Fatal(err)
	}
	point := map[string]any{"x": 1, "y": "-2"}
	value := map[string]any{
		"c": 2, "e": map[string]any{"by": 2, "on": true}, "points": map[string]any{"repeat": point, "times": 2},
		"name": "abcde", "data": map[string]any{"repeat": "01", "times": 3}, "u": "18446744073709551615",
	}
	e, err := Encode(s.Types["all"], value)
	if err != nil {
		t.Fatal(err)
	}
	// By hand, from RFC 4506.
	want := "00000002" + "0000000200000001" +
		"00000002" + "00000001fffffffffffffffe" + "00000001fffffffffffffffe" +
		"000000056162636465000000" + "0000000301010100" + "ffffffffffffffff"
	if got := hex.EncodeToString(e.Bytes); got != want {
		t.Errorf("encoded as\n%s, not\n%s", got, want)
	}
	if len(e.Runs) != 2 || e.Runs[0] != (Run{16, 12, 2}) || e.Runs[1] != (Run{56, 1, 3}) {
		t.Errorf("the runs are %v", e.Runs)
	}
	if got := s.Types["all"].MaxSize(); got != 4+(4+12)+(4+2*12)+(4+8)+(4+8)+8 {
		t.Errorf("at most %d bytes", got)
	}
	for name, wrong := range map[string]any{
		"no member":    map[string]any{"x": 1},
		"another type": map[string]any{"x": "1", "y": "1"},
		"no number":    map[string]any{"x": 1, "y": "one"},
	} {
		if e, err := Encode(s.Types["point"], wrong); err == nil {
			t.Errorf("%s: encoded as %x", name, e.Bytes)
		}
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	for _, wrong := range []string{
		"struct a { int x; };", "struct a { unsigned x; };", "struct a { b c; };", "struct a { string s<N>; };", "struct a { string s; };",
		"const X = ;", "enum e { A };", "struct a { bool b; }", "struct a { bool b;", "nothing;", "struct a {}; struct a {};", "const X = 1; %",
		"enum e { A = 1 }; union u switch (e t) { case B: bool b; };",
	} {
		if s, err := ParseSchema(wrong); err == nil {
			t.Errorf("%s is read as %+v", wrong, s)
		}
	}
}

// What the documents say about who may ask for what is read, and what does not fit the other tables is refused.
func TestAccess(t *testing.T) {
	protocol, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("../shoal.x")
	if err != nil {
		t.Fatal(err)
	}
	load := func(text string) (*Spec, error) {
		return Load(fstest.MapFS{"PROTOCOL.md": {Data: []byte(text)}, "shoal.x": {Data: schema}})
	}
	s, err := load(string(protocol))
	if err != nil {
		t.Fatal(err)
	}
	want := map[Asker]Answer{
		"nobody's": {Code: "denied"}, "user": {Own: true, Code: "not-found"}, "member": {}, "owner": {Code: "denied"},
		"admin": {Own: true, Code: "not-found"},
	}
	i := slices.IndexFunc(s.Access, func(a Access) bool { return a.Kind == "GROUP" && a.Verb == "leave" })
	if i < 0 || !maps.Equal(s.Access[i].Answers, want) {
		t.Errorf("GROUP leave is not answered by %v in %v", want, s.Access)
	}
	i = slices.IndexFunc(s.Access, func(a Access) bool { return a.Kind == "ANNOUNCE" })
	if i < 0 || s.Access[i].Answers["user"] != (Answer{Rule: "E3"}) {
		t.Errorf("ANNOUNCE is not answered as rule E3 says in %v", s.Access)
	}
	if got := s.Besides["EXCHANGE"]; !slices.Equal(got, []string{"bad-request", "limit"}) {
		t.Errorf("EXCHANGE is answered by %v besides", got)
	}
	const row = "| WHOAMI | denied | yes | yes | yes | yes |\n"
	for name, by := range map[string]string{
		"no row":                  "",
		"two rows":                row + row,
		"an unknown code":         strings.Replace(row, "denied", "refused", 1),
		"an unknown rule":         strings.Replace(row, "denied", "Z9", 1),
		"no answer":               strings.Replace(row, "denied", "own or", 1),
		"a column less":           strings.Replace(row, " yes |", "", 1),
		"an unknown kind":         row + strings.Replace(row, "WHOAMI", "WHOAREYOU", 1),
		"an unknown code besides": row + "| WHOAMI | `refused` (S1) |\n",
		"an unknown kind besides": row + "| EPOCH | `denied` (S1) |\n",
		"an event":                row + strings.Replace(row, "WHOAMI", "EPOCH", 1),
	} {
		changed := strings.Replace(string(protocol), row, by, 1)
		if changed == string(protocol) {
			t.Fatal("the row is not there")
		}
		if s, err := load(changed); err == nil {
			t.Errorf("%s: accepted as %v", name, s.Access)
		}
	}
}
