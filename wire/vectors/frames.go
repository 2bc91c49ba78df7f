package vectors

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"shoal/wire/spec"
)

const (
	flagReply = 1
	flagError = 2
	anID      = 7 // of the requests and replies in the vectors
)

// body is one kind of frame: what the table of kinds says about a request, reply, error or event.
type body struct {
	kind  spec.Kind
	what  string // request, reply, error or event
	flags uint16
	id    uint32
	typ   string
	limit uint64
}

func (b body) String() string { return b.kind.Name + " " + b.what }

func (b body) piece() bool { return b.typ == "piece_head" }

// bodies lists all of them; with an error_reply to few kinds of request only, for they are alike.
func bodies(s *spec.Spec) []body {
	var all []body
	requests := slices.DeleteFunc(slices.Clone(s.Kinds), spec.Kind.Event)
	for _, k := range s.Kinds {
		if k.Event() {
			all = append(all, body{k, "event", 0, 0, k.Request, k.RequestLimit})
			continue
		}
		all = append(all, body{k, "request", 0, anID, k.Request, k.RequestLimit},
			body{k, "reply", flagReply, anID, k.Reply, k.ReplyLimit})
		if k.Name == requests[0].Name || k.Name == "REQUEST" || k.Name == requests[len(requests)-1].Name {
			all = append(all, body{k, "error", flagReply | flagError, anID, "error_reply", s.ErrorLimit})
		}
	}
	return all
}

// header is laid out by hand, as section 3 draws it.
func header(length uint64, kind uint64, flags uint16, id uint32) []byte {
	h := binary.BigEndian.AppendUint32(nil, uint32(length))
	h = binary.BigEndian.AppendUint16(h, uint16(kind))
	h = binary.BigEndian.AppendUint16(h, flags)
	return binary.BigEndian.AppendUint32(h, id)
}

func (b body) header(length int) []byte { return header(uint64(length), b.kind.Number, b.flags, b.id) }

func (b body) encode(s *spec.Spec, fields map[string]any) (*spec.Encoding, error) {
	if b.typ == "empty" {
		return &spec.Encoding{}, nil
	}
	t := s.Types[b.typ]
	if t == nil {
		return nil, fmt.Errorf("%v: shoal.x has no %s", b, b.typ)
	}
	return spec.Encode(t, fields)
}

// frame makes a vector; data are the raw bytes of a PIECE.
func (b body) frame(s *spec.Spec, name string, fields map[string]any, data Bytes) (Frame, error) {
	f := Frame{
		Name: fmt.Sprintf("%v: %s", b, name), Kind: b.kind.Name, Flags: b.flags, ID: b.id, Type: b.typ,
		Fields: fields, Data: data,
	}
	e, err := b.encode(s, fields)
	if err != nil {
		return f, fmt.Errorf("%s: %w", f.Name, err)
	}
	length := len(e.Bytes) + len(data.Expand())
	if uint64(length) > b.limit {
		return f, fmt.Errorf("%s: %d bytes, where the table of kinds allows %d", f.Name, length, b.limit)
	}
	f.Frame = append(withRuns(b.header(length), e), data...)
	return f, nil
}

// withRuns is head followed by an encoding, with its runs as repetitions.
func withRuns(head []byte, e *spec.Encoding) Bytes {
	var all Bytes
	done := 0
	for _, r := range e.Runs {
		all = append(all, segment{append(head, e.Bytes[done:r.Begin]...), 1},
			segment{e.Bytes[r.Begin : r.Begin+r.Period], r.Times})
		head, done = nil, r.Begin+r.Period*r.Times
	}
	if rest := append(head, e.Bytes[done:]...); len(rest) > 0 {
		all = append(all, segment{rest, 1})
	}
	return all
}

func makeFrames(s *spec.Spec) ([]Frame, error) {
	var frames []Frame
	add := func(b body, name string, fields map[string]any, data Bytes) error {
		f, err := b.frame(s, name, fields, data)
		frames = append(frames, f)
		return err
	}
	for _, b := range bodies(s) {
		if b.typ == "empty" {
			if err := add(b, "empty", nil, nil); err != nil {
				return nil, err
			}
			continue
		}
		for _, extent := range []extent{smallest, typical, largest} {
			var data Bytes
			if b.piece() {
				data = pieceData[extent]
			}
			if err := add(b, extent.String(), newFill(extent).message(s, b.typ), data); err != nil {
				return nil, err
			}
		}
		for _, special := range specials[b.typ] {
			if err := add(b, special.name, with(newFill(typical).message(s, b.typ), special.fields), nil); err != nil {
				return nil, err
			}
		}
	}
	return frames, nil
}

var pieceData = map[extent]Bytes{
	smallest: nil,
	typical:  Plain([]byte("not padded: 15.")),
	largest:  Repeat([]byte{0xb1}, 1<<20),
}

// with is a copy of fields with some of them replaced.
func with(fields, replaced map[string]any) map[string]any {
	all := map[string]any{}
	for name, v := range fields {
		all[name] = v
	}
	for name, v := range replaced {
		all[name] = v
	}
	return all
}

// special is a message by those fields that are not typical.
type special struct {
	name   string
	fields map[string]any
}

// factsOf is facts in a state, in which only what is told is not empty.
func factsOf(state int, told map[string]any) map[string]any {
	return with(map[string]any{
		"state": state, "media_type": "", "category": "", "encoding": "", "width": 0, "height": 0, "archive": "", "platform": "",
	}, told)
}

// specials are messages of a type that the extents do not show.
var specials = map[string][]special{
	"publish": append(namesAsFields("name", validNames), []special{
		{"an empty file", map[string]any{"content": object("00", "0"), "head": ""}},
		{"a head that is withheld", map[string]any{"content": object("00", "5"), "head": ""}},
		{"a file that is all head", map[string]any{"content": object("00", "3072"), "head": repeated("0a", 3072)}},
		{"a file of a byte more", map[string]any{"content": object("00", "3073"), "head": repeated("0a", 3072)}},
	}...),
	"announce": {
		{"the largest bitfield", map[string]any{"offers": []any{map[string]any{
			"group": "lab", "content": object("1f", strconv.Itoa(1<<46)), "pieces": 32768, "bitfield": repeated("55", 8192),
		}}}},
		{"the end of an offer", offered("2621441", 0, "")},
		{"a bitfield without spare bits", offered("2097152", 7, "7f")},
	},
	"lookup_reply": {
		{"some sources of a piece that are whole, and some that are not", map[string]any{
			"whole": 2, "partial": 3, "least": 3, "above": 3814, "missing": []any{},
		}},
		{"all missing", map[string]any{"partial": 0, "above": 0, "missing": []any{span(0, 3815)}}},
		{"missing pieces that the server does not know", map[string]any{"missing": []any{}}},
		{"256 spans of many more that are missing", map[string]any{"above": 1, "missing": scattered(256)}},
		{"no facts", map[string]any{"facts": factsOf(0, nil)}},
		{"facts that are pending", map[string]any{"facts": factsOf(1, nil)}},
		{"nothing known", map[string]any{"facts": factsOf(2, nil)}},
		{"a picture", map[string]any{"facts": factsOf(2, map[string]any{"media_type": "image/png", "category": "image", "width": 640, "height": 480})}},
		{"a program", map[string]any{"facts": factsOf(3, map[string]any{"media_type": "application/x-executable", "platform": "linux/amd64"})}},
	},
	"log_reply": {{"two lines", map[string]any{"lines": hex.EncodeToString([]byte("{\"message\":\"a\"}\n{\"message\":\"b\"}\n"))}}},
	"list":      {{"from the beginning", map[string]any{"after": ""}}, {"after a name of spaces", map[string]any{"after": "   "}}},
	"lookup": {
		{"by name", map[string]any{"what": map[string]any{"by": 1, "name": "a name"}}},
		{"by file", map[string]any{"what": map[string]any{"by": 2, "file": hex.EncodeToString(make([]byte, 32))}}},
	},
	"join": {{"no ticket", map[string]any{"ticket": ""}}},
	"registration": append(namesAsFields("user", validNames), []special{
		{"no code and no label", map[string]any{"code": "", "label": ""}},
		{"a code as typed", map[string]any{"code": hex.EncodeToString([]byte("ABCD-efgh jkmn 0O1I-lLpq-rstv-wxyz"))}},
	}...),
	"account": {{"the longest name", map[string]any{"verb": 1, "user": name(64), "device": hex.EncodeToString(make([]byte, 32))}}},
	"group_change": {
		{"create with the longest grace", map[string]any{"verb": 1, "user": "", "grace": 2592000}},
		{"join", map[string]any{"verb": 2, "user": ""}},
		{"leave", map[string]any{"verb": 3, "user": ""}},
		{"reject", map[string]any{"verb": 5}},
		{"remove", map[string]any{"verb": 6}},
		{"delete", map[string]any{"verb": 7, "user": ""}},
		{"transfer", map[string]any{"verb": 8}},
	},
	"join_reply": {{"whole", map[string]any{"whole": true, "bitfield": ""}}},
	"bye":        {{"a code that is not in the table", map[string]any{"code": 4000000000}}},
}

func namesAsFields(field string, names []string) (all []special) {
	for _, n := range names {
		all = append(all, special{fmt.Sprintf("named %+q", n), map[string]any{field: n}})
	}
	return all
}

var validNames = []string{
	" ", "...", ".hidden", "-rf", "a b\u00a0c", "ends with a dot.", "C:", "*?<>|\"", "%2e%2e", "~",
	"\U0001f469\u200d\U0001f469\u200d\U0001f467.png", // a family: three people and two joiners
	"e\u0301 is not \u00e9", "\u0645\u062b\u0627\u0644", "\ufeff", "\u200f", "\u00a0", "\ufffd", "\U0010ffff",
}
