package dissector

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"shoal/wire/spec"
)

// ignored are fields that are no values: remarks, and what these consist of.
var ignored = map[string]bool{"shoal.error": true, "shoal.undecoded": true, "_ws.expert": true, "_ws.expert.message": true, "_ws.expert.severity": true, "_ws.expert.group": true}

// expect appends what is to be shown of a struct or union.
func (m *maker) expect(to shown, t *spec.Type, v any) shown {
	members, _ := v.(map[string]any)
	for _, f := range t.Fields {
		v, there := members[f.Name]
		if !there {
			continue // another arm
		}
		name := "shoal." + t.Name + "." + f.Name
		if f.Type.Class != spec.Array {
			to = m.expectValue(to, name, f.Type, v)
			continue
		}
		elements, _ := v.([]any)
		if element, times, repeated := spec.Repeated(v); repeated {
			elements = slices.Repeat([]any{element}, times)
		}
		to = append(to, field{name + ".count", strconv.Itoa(len(elements))})
		for _, element := range elements {
			to = m.expectValue(to, name, f.Type.Elem, element)
		}
	}
	return to
}

// expectValue appends what is to be shown of a value.
func (m *maker) expectValue(to shown, name string, t *spec.Type, v any) shown {
	if t.Class == spec.Struct || t.Class == spec.Union {
		return m.expect(append(to, field{name, ""}), t, v)
	}
	text, times, repeated := spec.Repeated(v)
	if !repeated {
		text, times = v, 1
	}
	shows := strings.Repeat(fmt.Sprint(text), times)
	switch {
	case t.Class == spec.String:
		shows = hex.EncodeToString([]byte(shows))
	case v == true:
		shows = "1"
	case v == false:
		shows = "0"
	}
	if f, is := v.(float64); is { // from the vectors' JSON
		shows = strconv.FormatFloat(f, 'f', 0, 64)
	}
	to = append(to, field{name, shows})
	if t.Class == spec.Opaque {
		for _, inner := range m.chains[shows] {
			to = m.expect(to, inner.(typed).typ, inner.(typed).value)
		}
	}
	return to
}

// compare holds what tshark shows against what was sent.
func (m *maker) compare(s *sent, got shown) {
	m.Helper()
	header := shown{
		{"shoal.length", strconv.Itoa(len(s.frame) - 12)},
		{"shoal.kind", fmt.Sprint(binary.BigEndian.Uint16(s.frame[4:]))},
		{"shoal.flags", fmt.Sprint(binary.BigEndian.Uint16(s.frame[6:]))},
		{"shoal.id", fmt.Sprint(binary.BigEndian.Uint32(s.frame[8:]))},
	}
	want := slices.Concat(header, s.fields)
	if s.other != nil && s.from == initiator {
		want = slices.Insert(want, len(header), field{"shoal.response_in", strconv.Itoa(s.other.packet)})
	} else if s.other != nil {
		want = slices.Insert(want, len(header), field{"shoal.response_to", strconv.Itoa(s.other.packet)},
			field{"shoal.time", fmt.Sprintf("%.9f", (spacing * time.Duration(s.packet-s.other.packet)).Seconds())})
	}
	if failed := got.has("shoal.error"); failed != (got.get("shoal.flags") == "3") {
		m.Errorf("%s is marked as an error: %t", s.name, failed)
	}
	got = slices.DeleteFunc(slices.Clone(got), func(f field) bool { return ignored[f.name] })
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			m.Errorf("%s, in packet %d: field %d is %.200v, not %.200v", s.name, s.packet, i, append(got, field{})[min(i, len(got)):], append(want, field{})[min(i, len(want)):])
			return
		}
	}
}
