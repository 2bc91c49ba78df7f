package vectors

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"shoal/wire/spec"
)

// values breaks rules about what members mean.
func (r *refusals) values(b body) error {
	if b.typ == "empty" {
		return nil
	}
	fields := newFill(typical).message(r.spec, b.typ)
	e, err := b.encode(r.spec, fields)
	if err != nil {
		return err
	}
	for _, l := range e.Leaves {
		switch {
		case isLabel(l.Type):
			for _, label := range r.labels(b, l) {
				r.refuse(b, "X3", splice(e, l.Begin, l.End-l.Begin, variable(label)), "%s is %+q", l.Path, label)
			}
		case isURL(l.Type):
			for _, url := range invalidURLs {
				r.refuse(b, "W1", splice(e, l.Begin, l.End-l.Begin, variable(url)), "%s is %+q", l.Path, url)
			}
		case strings.HasSuffix(l.Path, ".size"):
			for _, size := range []int64{-1, 1<<46 + 1, math.MinInt64, math.MaxInt64} {
				r.refuse(b, "X4", splice(e, l.Begin, 8, binary.BigEndian.AppendUint64(nil, uint64(size))), "%s is %d", l.Path, size)
			}
		case strings.HasSuffix(l.Path, ".limit"):
			for _, limit := range []uint32{0, 1001, math.MaxUint32} {
				r.refuse(b, "S4", splice(e, l.Begin, 4, binary.BigEndian.AppendUint32(nil, limit)), "%s is %d", l.Path, limit)
			}
		}
	}
	for _, c := range contradictions[b.typ] {
		e, err := b.encode(r.spec, with(fields, c.fields))
		if err != nil {
			return err
		}
		r.refuse(b, c.rule, e, "%s", c.name)
	}
	if facts, ok := fields["facts"].(map[string]any); ok {
		return r.facts(b, fields, facts)
	}
	return nil
}

// contradiction is a message whose members do not go together.
type contradiction struct {
	name, rule string
	fields     map[string]any
}

var noKey = strings.Repeat("00", 32)

// verbsAgainst are changes of a group by verbs that do not go with the user.
func verbsAgainst(user string, verbs ...int) (all []contradiction) {
	for _, verb := range verbs {
		all = append(all, contradiction{fmt.Sprintf("verb %d with the user %q", verb, user), "G1", map[string]any{"verb": verb, "user": user}})
	}
	return all
}

func groupOfAll(owner string, role int) map[string]any {
	return map[string]any{"group": "public", "owner": owner, "role": role, "members": 1, "epoch": "1", "grace": 0}
}

// offered is an offer of an object of some size.
func offered(size string, pieces int, bitfield string) map[string]any {
	return map[string]any{"offers": []any{map[string]any{
		"group": "lab", "content": object("1f", size), "pieces": pieces, "bitfield": bitfield,
	}}}
}

// listed is an object of eleven pieces in a list.
func listed(whole, partial, least, above int) map[string]any {
	return map[string]any{"entries": []any{map[string]any{
		"name": "film", "content": object("1f", "2621441"), "whole": whole, "partial": partial, "least": least, "above": above,
		"facts": factsOf(0, nil),
	}}}
}

var contradictions = map[string][]contradiction{
	"join_reply": {{"the whole and a bitfield", "P3", map[string]any{"whole": true, "bitfield": "80"}}},
	"announce": {
		{"a bitfield beside nothing", "S11", offered("2621441", 0, "0000")},
		{"a bitfield beside all pieces", "S11", offered("2621441", 11, "ffe0")},
		{"a bitfield beside more pieces than there are", "S11", offered("2621441", 12, "ffe0")},
		{"no bitfield", "S11", offered("2621441", 5, "")},
		{"a bitfield of a byte less", "S11", offered("2621441", 5, "f8")},
		{"a bitfield of a byte more", "S11", offered("2621441", 5, "f80000")},
		{"a spare bit", "S11", offered("2621441", 5, "f010")},
		{"a piece more than are counted", "S11", offered("2621441", 5, "fc00")},
		{"a piece less than are counted", "S11", offered("2621441", 5, "0f00")},
	},
	"list_reply": {
		{"fewer sources of a piece than whole ones", "S12", listed(3, 2, 2, 0)},
		{"more sources of a piece than there are", "S12", listed(3, 2, 6, 0)},
		{"more sources of every piece than of the rarest", "S12", listed(1, 2, 1, 11)},
		{"more sources of some, and none that is partial", "S12", listed(3, 0, 3, 1)},
		{"numbers that add up beyond 32 bits", "S12", listed(0, 0, 1<<32-1, 0)},
	},
	"lookup_reply": {
		{"fewer sources of a piece than whole ones", "S12", map[string]any{"whole": 1}},
		{"more sources of every piece than of the rarest", "S12", map[string]any{"above": 3815, "missing": []any{}}},
		{"pieces that somebody has", "S13", map[string]any{"least": 1}},
		{"fewer pieces than are missing", "S13", map[string]any{"missing": []any{span(5, 10), span(100, 19)}}},
		{"more pieces than are missing", "S13", map[string]any{"missing": []any{span(5, 10), span(100, 21)}}},
		{"no piece", "S13", map[string]any{"missing": []any{span(5, 0), span(100, 30)}}},
		{"pieces out of order", "S13", map[string]any{"missing": []any{span(100, 20), span(5, 10)}}},
		{"pieces twice", "S13", map[string]any{"missing": []any{span(5, 10), span(14, 20)}}},
		{"spans that touch", "S13", map[string]any{"missing": []any{span(5, 10), span(15, 20)}}},
		{"pieces that are not there", "S13", map[string]any{"missing": []any{span(5, 10), span(3796, 20)}}},
		{"pieces that add up beyond 32 bits", "S13", map[string]any{"missing": []any{span(5, 10), span(1<<32-20, 20)}}},
		{"256 spans of more pieces than are missing", "S13", map[string]any{"above": 3815 - 255, "missing": scattered(256)}},
	},
	"account": {
		{"delete nobody", "A8", map[string]any{"verb": 1, "device": noKey}},
		{"delete a user and a device", "A8", map[string]any{"verb": 1, "user": "a user"}},
		{"delete a device", "A8", map[string]any{"verb": 1}},
		{"revoke no device", "A8", map[string]any{"device": noKey}},
		{"revoke a user", "A8", map[string]any{"user": "a user", "device": noKey}},
		{"revoke a device of a user", "A8", map[string]any{"user": "a user"}},
	},
	"group_change": append(verbsAgainst("a user", 1, 2, 3, 7), append(verbsAgainst("", 4, 5, 6, 8), []contradiction{
		{"a grace that is too long", "G1", map[string]any{"verb": 1, "user": "", "grace": 2592001}},
		{"a grace in a group that is joined", "G1", map[string]any{"verb": 2, "user": "", "grace": 1}},
		{"a grace in a group that is transferred", "G1", map[string]any{"verb": 8, "grace": 2592000}},
	}...)...),
	"groups_reply": {
		{"an owner of the group of all users", "G10", map[string]any{"entries": []any{groupOfAll("a user", 2)}}},
		{"one who owns the group of all users", "G10", map[string]any{"entries": []any{groupOfAll("", 3)}}},
	},
	"exchange": {{"51 records are wanted", "P23", map[string]any{"most": 51}}},
	"invite":   {{"no hash of a code", "G6", map[string]any{"code_hash": noKey}}},
	"publish": {
		{"4 bytes of the head of 5", "S8", map[string]any{"head": "01020304"}},
		{"6 bytes of the head of 5", "S8", map[string]any{"head": "010203040506"}},
		{"a byte of an empty file", "S8", map[string]any{"head": "00", "content": object("00", "0")}},
		{"3071 bytes of the head of 3072", "S8", map[string]any{"head": repeated("01", 3071), "content": object("00", "3072")}},
		{"3071 bytes of the head of more", "S8", map[string]any{"head": repeated("01", 3071), "content": object("00", "5000")}},
		{"a manifest without mirrors", "W2", map[string]any{"mirrors": []any{}}},
	},
}

// facts breaks S9 in a message that has facts.
func (r *refusals) facts(b body, fields, facts map[string]any) error {
	add := func(changed map[string]any, format string, args ...any) error {
		e, err := b.encode(r.spec, with(fields, map[string]any{"facts": with(facts, changed)}))
		if err == nil {
			r.refuse(b, "S9", e, format, args...)
		}
		return err
	}
	nothing := map[string]any{
		"media_type": "", "category": "", "encoding": "", "width": 0, "height": 0, "archive": "", "platform": "",
	}
	for _, member := range slices.Sorted(maps.Keys(nothing)) {
		if nothing[member] != "" {
			continue
		}
		for _, text := range []string{"a\x00", "\x1b[2J", "\u2028", "\u202e", "\u2069"} {
			if err := add(map[string]any{member: text}, "facts.%s is %+q", member, text); err != nil {
				return err
			}
		}
	}
	for _, state := range []int{0, 1} {
		for _, member := range slices.Sorted(maps.Keys(nothing)) {
			told := with(nothing, map[string]any{"state": state, member: facts[member]})
			if err := add(told, "facts.%s in state %d", member, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// labels are wrong names: every rule about them for PUBLISH and REGISTER, a few elsewhere.
func (r *refusals) labels(b body, l spec.Leaf) []string {
	switch {
	case mayBeEmpty(l.Path, l.Type):
		return []string{"..", "a/b", "\x00"}
	case b.typ == "publish" || b.typ == "registration":
		return invalidNames
	}
	return []string{"", "..", "a/b", "\x00"}
}

// invalidURLs are of no mirror: each breaks another part of the rule.
var invalidURLs = []string{
	"", "a", "//a/b", "HTTP://a", "ftp://a/b", "file:///a", "http:a", "http://", "http:///a", "http://?a", "http://:80/", "http://a:/",
	"http://a:0/", "http://a:01/", "http://a:65536/", "http://a:b/", "http://user@a/", "http://user:secret@a/", "http://ü/", "http://a_b/",
	"http://::1/", "http://[::1", "http://[127.0.0.1]/", "http://[fe80::1%25e]/", "http://[::1]a/", "http://a/ b", "http://a/\x00", "http://a/\n",
	"http://a/\r\nb: c", "http://a/\x1b[2J", "http://a/\x7f", "http://a/ü", "http://a/%", "http://a/%2", "http://a/%xy", "http://a/#b", "http://a#",
	`http://a\b`, "http://a/\"", "http://a/<", "http://a/^", "http://a/`", "http://a/{", "http://a/|", " http://a",
}

var invalidNames = []string{
	"", ".", "..", "/", "a/b", "..\\x", "a\\", "\x00", "a\tb", "a\nb", "a\r", "\x1b[2J", "\x7f",
	"\u0080", "\u0085", "\u009f", "\u2028", "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e",
	"\u2066", "\u2067", "\u2068", "\u2069", "ends\u202e",
	"\x80", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
}
