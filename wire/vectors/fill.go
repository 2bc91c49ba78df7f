package vectors

import (
	"fmt"
	"strconv"
	"strings"

	"shoal/wire/spec"
)

// extent says how much there is in a message.
type extent int

const (
	smallest extent = iota
	typical
	largest
)

func (e extent) String() string { return [...]string{"smallest", "typical", "largest"}[e] }

// fill makes values of types of shoal.x, all of them within the rules.
type fill struct {
	extent extent
	count  int // of values made: no two that are typical are alike
}

func newFill(e extent) *fill { return &fill{extent: e} }

func (f *fill) message(s *spec.Spec, name string) map[string]any {
	return f.structure(s.Types[name])
}

func (f *fill) structure(t *spec.Type) map[string]any {
	members := map[string]any{}
	for _, field := range t.Fields {
		members[field.Name] = f.value(t.Name+"."+field.Name, field.Type)
	}
	return members
}

// bounds are what rules say about single members: the smallest, a typical and the largest value.
var bounds = map[string][3]any{
	"object.size":         {"0", "1000000007", strconv.Itoa(1 << 46)},
	"manifest_reply.size": {"0", "1000000007", strconv.Itoa(1 << 46)},
	"list.limit":          {1, 100, 1000},
	"exchange.most":       {0, 20, 50},
	"join_reply.whole":    {false, false, false}, // true goes with an empty bitfield only
	"candidate.host":      {"::", "192.0.2.7", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
	"candidate.port":      {1, 4919, 65535},
	"list.after":          {"", "b", name(255)},
	"users.limit":         {1, 100, 1000},
	"groups.limit":        {1, 100, 1000},
	"members.limit":       {1, 100, 1000},
	// A user for one verb and a device for the other.
	"account.verb":   {1, 2, 2},
	"account.user":   {"n", "", ""},
	"account.device": {strings.Repeat("00", 32), strings.Repeat("1f", 32), strings.Repeat("ff", 32)},
	// Another user for some verbs.
	"group_change.verb":  {1, 4, 8},
	"group_change.user":  {"", "a user", name(64)},
	"group_change.grace": {0, 0, 0},
	"invite.code_hash":   {strings.Repeat("00", 31) + "01", strings.Repeat("1f", 32), strings.Repeat("ff", 32)},
	"publish.content":    {object("00", "0"), object("1f", "5"), object("ff", strconv.Itoa(1<<46))}, // its size fits the head's
	"facts.state":        {0, 2, 3},
	// What sources have goes with the size: of the typical object some of its 3,815 pieces.
	"entry.whole":          {0, 2, 1<<32 - 1},
	"entry.partial":        {0, 3, 1<<32 - 1},
	"entry.least":          {0, 4, 1<<32 - 1},
	"entry.above":          {0, 17, 65535},
	"lookup_reply.whole":   {0, 0, 0},
	"lookup_reply.partial": {0, 3, 1<<32 - 1},
	"lookup_reply.least":   {0, 0, 0},
	"lookup_reply.above":   {0, 3785, 65536 - 256},
	"lookup_reply.missing": {[]any{}, []any{span(5, 10), span(100, 20)}, scattered(256)},
	"offer.content":        {object("00", "0"), object("1f", "2621441"), object("ff", strconv.Itoa(1<<46))}, // 11 pieces
	"offer.pieces":         {0, 6, 65536},
	"offer.bitfield":       {"", "e8a0", ""},
}

// span is count pieces.
func span(first, count int) map[string]any { return map[string]any{"first": first, "count": count} }

// scattered is n single pieces.
func scattered(n int) (spans []any) {
	for i := range n {
		spans = append(spans, span(2*i, 1))
	}
	return spans
}

func object(fill, size string) map[string]any {
	return map[string]any{"file": strings.Repeat(fill, 32), "size": size}
}

func (f *fill) value(path string, t *spec.Type) any {
	f.count++
	if b, ok := bounds[path]; ok {
		return b[f.extent]
	}
	if isLabel(t) {
		if f.extent == smallest && mayBeEmpty(path, t) {
			return ""
		}
		return [...]string{"n", fmt.Sprintf("name %d", f.count), name(int(t.Length))}[f.extent]
	}
	if isURL(t) {
		return [...]string{"http://a", fmt.Sprintf("https://%d.example/a?b=c", f.count), url(int(t.Length))}[f.extent]
	}
	switch t.Class {
	case spec.Uint:
		return [...]int{0, 1000 + f.count, 1<<32 - 1}[f.extent]
	case spec.Hyper:
		return [...]string{"-9223372036854775808", strconv.Itoa(1_700_000_000_000 + f.count), "9223372036854775807"}[f.extent]
	case spec.Uhyper:
		return [...]string{"0", strconv.Itoa(1<<40 + f.count), "18446744073709551615"}[f.extent]
	case spec.Bool:
		return f.extent != smallest
	case spec.Enum:
		last := len(t.Names) - 1
		return t.Values[t.Names[[...]int{0, f.count % (last + 1), last}[f.extent]]]
	case spec.Fixed:
		return strings.Repeat([...]string{"00", fmt.Sprintf("%02x", f.count), "ff"}[f.extent], int(t.Length))
	case spec.Opaque:
		return [...]any{"", strings.Repeat(fmt.Sprintf("%02x", f.count), 5), repeated("fe", t.Length)}[f.extent]
	case spec.String:
		return [...]string{"", fmt.Sprintf("text %d ü", f.count), strings.Repeat("x", int(t.Length))}[f.extent]
	case spec.Struct:
		return f.structure(t)
	case spec.Union:
		return f.union(path, t)
	case spec.Array:
		return f.array(path, t)
	}
	panic("no value for " + path)
}

// isURL reports whether values of t obey rule W1.
func isURL(t *spec.Type) bool { return t.Name == "mirror_url" }

// url is one of a mirror that has n bytes.
func url(n int) string {
	const begin = "https://[2001:db8::1]:65535/%20"
	return begin + strings.Repeat("x", n-len(begin))
}

// isLabel reports whether values of t obey rule X3.
func isLabel(t *spec.Type) bool {
	switch t.Name {
	case "group_name", "file_name", "user_name", "label_text":
		return true
	}
	return false
}

// mayBeEmpty reports whether rule X3 allows the label at path, which is part of a struct, to be empty.
func mayBeEmpty(path string, t *spec.Type) bool {
	if t.Name == "label_text" || strings.HasSuffix(path, ".after") {
		return true
	}
	switch path {
	case "devices.user", "registration_reply.group", "account.user", "group_change.user":
		return true
	}
	return false
}

func (f *fill) union(path string, t *spec.Type) any {
	arm := t.Fields[1]
	if f.extent == smallest {
		arm = t.Fields[len(t.Fields)-1]
	}
	return map[string]any{t.Fields[0].Name: t.Values[arm.Name], arm.Name: f.value(path+"."+arm.Name, arm.Type)}
}

func (f *fill) array(path string, t *spec.Type) any {
	switch f.extent {
	case smallest:
		return []any{}
	case typical:
		return []any{f.value(path+".0", t.Elem), f.value(path+".1", t.Elem)}
	}
	return repeated(f.value(path+".0", t.Elem), t.Length)
}

func repeated(v any, times uint64) map[string]any {
	return map[string]any{"repeat": v, "times": int(times)}
}

// name is a valid name of n bytes, most of them in characters of four.
func name(n int) string { return strings.Repeat("\U0001f40b", n/4) + strings.Repeat("z", n%4) }
