// Package vectors makes and reads the test vectors of the protocol, the files in wire/testdata/vectors, which the
// README there describes. It makes them from PROTOCOL.md and shoal.x, with encoders and hashes that are not Shoal's
// own; so the vectors check Shoal, as they check any other implementation.
package vectors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"

	"shoal/wire/spec"
)

// The files, in the folder of the vectors.
const (
	FramesFile     = "frames.json"
	RefusedFile    = "refused.json"
	ObjectsFile    = "objects.json"
	StatementsFile = "statements.json"
)

// Frame is a frame that must be accepted.
type Frame struct {
	Name   string         `json:"name"`
	Kind   string         `json:"kind"`
	Flags  uint16         `json:"flags"`
	ID     uint32         `json:"id"`
	Type   string         `json:"type"`             // of shoal.x, or "empty"
	Fields map[string]any `json:"fields,omitempty"` // as package spec describes values
	Data   Bytes          `json:"data,omitempty"`   // the block's raw bytes in a PIECE
	Frame  Bytes          `json:"frame"`
}

// Refused is what must not be accepted as a frame.
type Refused struct {
	Name  string `json:"name"`
	Rule  string `json:"rule"` // of PROTOCOL.md; "" if nothing is wrong but that the connection ends within the frame
	Frame Bytes  `json:"frame"`
}

// Bytes are written as hexadecimal digits; or, where much of them repeats, as an array of such strings and of
// {"repeat": digits, "times": n}.
type Bytes []segment

type segment struct {
	part  []byte
	times int
}

// Plain makes Bytes without repetition.
func Plain(b []byte) Bytes { return Bytes{{b, 1}} }

// Repeat makes Bytes of times repetitions.
func Repeat(b []byte, times int) Bytes { return Bytes{{b, times}} }

// Expand returns the bytes themselves.
func (b Bytes) Expand() []byte {
	all := []byte{}
	for _, s := range b {
		all = append(all, bytes.Repeat(s.part, s.times)...)
	}
	return all
}

type repetition struct {
	Repeat string `json:"repeat"`
	Times  int    `json:"times"`
}

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) {
	if len(b) == 1 && b[0].times == 1 {
		return json.Marshal(hex.EncodeToString(b[0].part))
	}
	parts := make([]any, len(b))
	for i, s := range b {
		if s.times == 1 {
			parts[i] = hex.EncodeToString(s.part)
		} else {
			parts[i] = repetition{hex.EncodeToString(s.part), s.times}
		}
	}
	return json.Marshal(parts)
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bytes) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if json.Unmarshal(text, &parts) != nil {
		parts = []json.RawMessage{text}
	}
	*b = nil
	for _, part := range parts {
		r := repetition{Times: 1}
		if json.Unmarshal(part, &r.Repeat) != nil {
			if err := json.Unmarshal(part, &r); err != nil {
				return err
			}
		}
		data, err := hex.DecodeString(r.Repeat)
		if err != nil {
			return err
		}
		*b = append(*b, segment{data, r.Times})
	}
	return nil
}

// Load reads one of the files in dir, the folder of the vectors, into v: a *[]Frame, *[]Refused, *Objects or
// *Statements.
func Load(dir fs.FS, file string, v any) error {
	text, err := fs.ReadFile(dir, file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

// Generate makes all files, by their names.
func Generate(s *spec.Spec) (map[string][]byte, error) {
	frames, err := makeFrames(s)
	if err != nil {
		return nil, err
	}
	refused, err := makeRefused(s)
	if err != nil {
		return nil, err
	}
	statements, err := makeStatements(s)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{FramesFile: lines(frames), RefusedFile: lines(refused)}
	files[ObjectsFile], err = json.MarshalIndent(makeObjects(), "", " ")
	if err != nil {
		return nil, err
	}
	files[StatementsFile], err = json.MarshalIndent(statements, "", " ")
	if err != nil {
		return nil, err
	}
	for name := range files {
		files[name] = append(bytes.TrimSpace(files[name]), '\n')
	}
	return files, nil
}

// lines is a JSON array with one vector a line, so that a change shows as the lines it is.
func lines[V any](vs []V) []byte {
	var b bytes.Buffer
	b.WriteString("[\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, v := range vs {
		if err := e.Encode(v); err != nil {
			panic(err) // every type above can be encoded
		}
		if i < len(vs)-1 {
			b.Truncate(b.Len() - 1)
			b.WriteString(",\n")
		}
	}
	b.WriteString("]\n")
	return b.Bytes()
}
