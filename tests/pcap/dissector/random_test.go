package dissector

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"shoal/wire/spec"
)

// maker makes random values of the types of shoal.x.
type maker struct {
	*testing.T
	*rand.Rand
	spec   *spec.Spec
	chains map[string][]any // statements and other structs that opaque data consists of, by that data
}

// value makes a value of a type, which is at path in its struct.
func (m *maker) value(path string, t *spec.Type) any {
	if what := inside[t.Name] + inside[path]; what != "" && m.IntN(4) > 0 {
		return m.chain(what, 1)
	}
	switch t.Class {
	case spec.Uint:
		return uint64(m.Uint32() >> m.IntN(32))
	case spec.Hyper:
		return strconv.FormatInt(int64(m.Uint64())>>m.IntN(64), 10)
	case spec.Uhyper:
		return strconv.FormatUint(m.Uint64()>>m.IntN(64), 10)
	case spec.Bool:
		return m.IntN(2) == 1
	case spec.Enum:
		return t.Values[t.Names[m.IntN(len(t.Names))]]
	case spec.Fixed:
		return m.bytes(int(t.Length))
	case spec.Opaque:
		return m.bytes(m.length(t))
	case spec.String:
		return m.text(m.length(t))
	case spec.Struct:
		return m.structure(t)
	case spec.Union:
		arm := t.Fields[1+m.IntN(len(t.Fields)-1)]
		return map[string]any{t.Fields[0].Name: t.Values[arm.Name], arm.Name: m.value(t.Name+"."+arm.Name, arm.Type)}
	}
	elements := []any{}
	for range min(m.IntN(5), int(t.Length)) {
		elements = append(elements, m.value(path, t.Elem))
	}
	return elements
}

func (m *maker) structure(t *spec.Type) map[string]any {
	members := map[string]any{}
	if t.Name == "statement" {
		return m.statement(t)
	}
	for _, f := range t.Fields {
		members[f.Name] = m.value(t.Name+"."+f.Name, f.Type)
	}
	return members
}

// statement makes one with the body that its kind has.
func (m *maker) statement(t *spec.Type) map[string]any {
	members := map[string]any{}
	for _, f := range t.Fields {
		if f.Name != "body" {
			members[f.Name] = m.value(t.Name+"."+f.Name, f.Type)
		}
	}
	for name, says := range m.spec.Types["statement_kind"].Values {
		if says == members["says"] {
			members["body"] = m.chain(strings.ToLower(name), 1)
		}
	}
	return members
}

// chain makes opaque data that consists of a struct, or of statements, as inside names it.
func (m *maker) chain(what string, most int) string {
	if what == "statements" {
		what, most = "statement", 1+m.IntN(2)
	}
	t := m.spec.Types[what]
	var values []any
	var all []byte
	for range most {
		v := m.structure(t)
		e, err := spec.Encode(t, v)
		if err != nil {
			m.Fatal(err)
		}
		values, all = append(values, typed{t, v}), append(all, e.Bytes...)
	}
	data := hex.EncodeToString(all)
	m.chains[data] = values
	return data
}

// typed is a value with its type.
type typed struct {
	typ   *spec.Type
	value any
}

func (m *maker) length(t *spec.Type) int { return min(m.IntN(1<<m.IntN(8)), int(t.Length)) }

func (m *maker) bytes(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return hex.EncodeToString(b)
}

// text is one of at most n bytes, of all sorts of characters.
func (m *maker) text(n int) string {
	var b strings.Builder
	for {
		r := []rune{'a' + rune(m.IntN(26)), rune(1 + m.IntN(255)), rune(0x100 + m.IntN(0xd700)), rune(0xe000 + m.IntN(0x102000))}[m.IntN(4)]
		if b.Len()+len(string(r)) > n {
			return b.String()
		}
		b.WriteRune(r)
	}
}
