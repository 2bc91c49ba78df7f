// Package dissector makes a dissector for Wireshark, tests/pcap/shoal.lua, from the documents that define the protocol. So
// what Wireshark shows follows them, and not the code that speaks the protocol.
package dissector

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"shoal/wire/spec"
)

//go:generate go run ../gendissector ../../../wire ../shoal.lua

// template is the dissector without its tables.
//
//go:embed template.lua
var template string

// inside says what opaque data is made of, where that is known from its type or member: "statements" is one after the
// other, "body" what a statement of its kind says, and else a type of shoal.x.
var inside = map[string]string{
	"statement_bytes":              "statements",
	"statement.body":               "body",
	"publish.manifest":             "manifest_reply",
	"kept_manifest_reply.manifest": "manifest_reply",
}

// Generate makes the dissector.
func Generate(s *spec.Spec) ([]byte, error) {
	tables := strings.NewReplacer(
		"@KINDS@", kinds(s),
		"@ERROR_LIMIT@", fmt.Sprint(s.ErrorLimit),
		"@NAMES@", names(s),
		"@STRUCTS@", types(s, spec.Struct),
		"@UNIONS@", types(s, spec.Union),
		"@BODIES@", bodies(s),
	)
	if s.Types["statement_kind"] == nil {
		return nil, fmt.Errorf("shoal.x has no statement_kind")
	}
	return []byte(tables.Replace(template)), nil
}

func kinds(s *spec.Spec) string {
	var b strings.Builder
	for _, k := range s.Kinds {
		fmt.Fprintf(&b, "  [%d] = { name = %q, request = %q, request_limit = %d, ", k.Number, k.Name, k.Request, k.RequestLimit)
		if k.Event() {
			b.WriteString("event = true },\n")
		} else {
			fmt.Fprintf(&b, "reply = %q, reply_limit = %d },\n", k.Reply, k.ReplyLimit)
		}
	}
	return b.String()
}

func names(s *spec.Spec) string {
	var b strings.Builder
	list := func(name string, numbers map[string]uint64) {
		fmt.Fprintf(&b, "  %s = {", name)
		for _, n := range slices.SortedFunc(maps.Keys(numbers), func(a, b string) int { return int(numbers[a]) - int(numbers[b]) }) {
			fmt.Fprintf(&b, " [%d] = %q,", numbers[n], n)
		}
		b.WriteString(" },\n")
	}
	numbers := map[string]uint64{}
	for _, k := range s.Kinds {
		numbers[k.Name] = k.Number
	}
	list("kinds", numbers)
	list("codes", s.Codes)
	for _, name := range s.Order {
		if t := s.Types[name]; t.Class == spec.Enum && name != "kind" {
			list(name, t.Values)
		}
	}
	return b.String()
}

func types(s *spec.Spec, class spec.Class) string {
	var b strings.Builder
	for _, name := range s.Order {
		t := s.Types[name]
		if t.Class != class {
			continue
		}
		fmt.Fprintf(&b, "  %s = {\n", name)
		for i, f := range t.Fields {
			arm := ""
			if class == spec.Union && i > 0 {
				arm = fmt.Sprintf("case = %d, ", t.Values[f.Name])
			}
			fmt.Fprintf(&b, "    { name = %q, %s%s },\n", f.Name, arm, describe(name+"."+f.Name, f))
		}
		b.WriteString("  },\n")
	}
	return b.String()
}

// describe is the type of a member in Lua.
func describe(path string, f spec.Field) string {
	t := f.Type
	switch t.Class {
	case spec.Uint:
		if f.Name == "code" {
			return `class = "uint", names = "codes"`
		}
		return `class = "uint"`
	case spec.Enum:
		return fmt.Sprintf(`class = "uint", names = %q, closed = true`, t.Name)
	case spec.Hyper:
		// All that can be negative are times, but for sizes.
		return fmt.Sprintf(`class = "hyper", time = %t`, f.Name != "size")
	case spec.Uhyper:
		return `class = "uhyper"`
	case spec.Bool:
		return `class = "bool"`
	case spec.Fixed:
		return fmt.Sprintf(`class = "fixed", length = %d`, t.Length)
	case spec.String:
		return fmt.Sprintf(`class = "string", limit = %d`, t.Length)
	case spec.Opaque:
		opaque := fmt.Sprintf(`class = "opaque", limit = %d`, t.Length)
		for _, name := range []string{t.Name, path} {
			if what := inside[name]; what != "" {
				opaque += fmt.Sprintf(`, inside = %q`, what)
			}
		}
		return opaque
	case spec.Array:
		return fmt.Sprintf(`class = "array", limit = %d, of = { %s }`, t.Length, describe(path, spec.Field{Type: t.Elem}))
	case spec.Struct:
		return fmt.Sprintf(`class = "struct", struct = %q`, t.Name)
	case spec.Union:
		return fmt.Sprintf(`class = "union", union = %q`, t.Name)
	}
	panic("no class of a member: " + path)
}

// bodies names the struct of each kind of statement, which is called like the kind.
func bodies(s *spec.Spec) string {
	var b strings.Builder
	t := s.Types["statement_kind"]
	for _, name := range t.Names {
		fmt.Fprintf(&b, "  [%d] = %q,\n", t.Values[name], strings.ToLower(name))
	}
	return b.String()
}
