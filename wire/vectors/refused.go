package vectors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"shoal/wire/spec"
)

// refusals collects vectors.
type refusals struct {
	spec *spec.Spec
	all  []Refused
}

func makeRefused(s *spec.Spec) ([]Refused, error) {
	r := &refusals{spec: s}
	r.headers()
	for _, b := range bodies(s) {
		if err := r.body(b); err != nil {
			return nil, err
		}
	}
	for _, b := range bodies(s) {
		if err := r.values(b); err != nil {
			return nil, err
		}
	}
	r.transports()
	return r.all, r.cut()
}

// refuse adds a frame of kind b whose body is encoded as e, changed so that it breaks the rule.
func (r *refusals) refuse(b body, rule string, e *spec.Encoding, format string, args ...any) {
	length := len(e.Bytes)
	if uint64(length) > b.limit {
		return // F1 decides before the body is read; headers has that case
	}
	r.all = append(r.all, Refused{fmt.Sprintf("%v: %s", b, fmt.Sprintf(format, args...)), rule, withRuns(b.header(length), e)})
}

// headers are wrong before anything is read of the body.
func (r *refusals) headers() {
	add := func(rule string, h []byte, format string, args ...any) {
		r.all = append(r.all, Refused{fmt.Sprintf(format, args...), rule, Plain(h)})
	}
	known := map[uint64]bool{}
	for _, k := range r.spec.Kinds {
		known[k.Number] = true
	}
	for _, number := range []uint64{0, 5, 15, 22, 31, 41, 47, 64, 255, 256, 1<<8 | 3, 32768, 65535} {
		if !known[number] {
			add("F2", header(0, number, 0, anID), "unknown kind %d", number)
		}
	}
	for _, flags := range []uint16{2, 4, 5, 7, 8, 0x100, 0x8000, 0x8001, 0xffff} {
		add("F2", header(0, 3, flags, anID), "PING with flags %#x", flags)
	}
	for _, k := range r.spec.Kinds {
		if k.Event() {
			add("F3", header(0, k.Number, 0, anID), "%s with an id", k.Name)
			add("F5", header(0, k.Number, flagReply, anID), "a reply to %s, which is an event", k.Name)
			continue
		}
		add("F3", header(0, k.Number, 0, 0), "%s request with id 0", k.Name)
		add("F5", header(0, k.Number, flagReply, 0), "%s reply with id 0", k.Name)
		add("F5", header(8, k.Number, flagReply|flagError, 0), "%s error with id 0", k.Name)
	}
	for _, b := range bodies(r.spec) {
		for _, length := range []uint64{b.limit + 1, b.limit + 4, math.MaxInt32 + 1, math.MaxUint32} {
			add("F1", header(length, b.kind.Number, b.flags, b.id), "%v of %d bytes", b, length)
		}
	}
}

// body breaks the layout of messages: their ends, lengths and padding.
func (r *refusals) body(b body) error {
	if b.typ == "empty" {
		return nil // whatever there is is too long
	}
	e, err := b.encode(r.spec, newFill(typical).message(r.spec, b.typ))
	if err != nil {
		return err
	}
	short := func(n int) *spec.Encoding { return &spec.Encoding{Bytes: e.Bytes[:n]} }
	r.refuse(b, "X1", short(0), "an empty body")
	for _, l := range e.Leaves {
		if !inArray(l) {
			r.refuse(b, "X1", short(l.Begin+2), "it ends within %s", l.Path)
		}
	}
	if !b.piece() { // whose data may follow
		for _, n := range []int{1, 4} {
			r.refuse(b, "X1", splice(e, len(e.Bytes), 0, make([]byte, n)), "%d bytes left over", n)
		}
	}
	for _, l := range e.Leaves {
		r.leaf(b, e, l)
	}
	return nil
}

// inArray reports whether l is part of an array's element: of a body that ends there, one receiver says that bytes are
// missing (X1), and one that looks ahead that the array's length is wrong (X2).
func inArray(l spec.Leaf) bool { return strings.ContainsAny(l.Path, "0123456789") }

// leaf breaks one primitive of e.
func (r *refusals) leaf(b body, e *spec.Encoding, l spec.Leaf) {
	word := func(v uint32) *spec.Encoding {
		return splice(e, l.Begin, 4, binary.BigEndian.AppendUint32(nil, v))
	}
	switch l.Type.Class {
	case spec.Bool:
		r.refuse(b, "X1", word(2), "%s is a bool of 2", l.Path)
		r.refuse(b, "X1", word(math.MaxUint32), "%s is a bool of -1", l.Path)
	case spec.Enum:
		first, last := l.Type.Values[l.Type.Names[0]], l.Type.Values[l.Type.Names[len(l.Type.Names)-1]]
		if first > 0 {
			r.refuse(b, "X1", word(uint32(first)-1), "%s is %d", l.Path, first-1)
		}
		r.refuse(b, "X1", word(uint32(last)+1), "%s is %d", l.Path, last+1)
		r.refuse(b, "X1", word(math.MaxUint32), "%s is -1", l.Path)
	case spec.Array:
		r.refuse(b, "X2", &spec.Encoding{Bytes: e.Bytes[:l.End]}, "%s has two elements by its length, and none in the body", l.Path)
		r.refuse(b, "X2", word(uint32(l.Type.Length)+1), "%s has %d elements by its length", l.Path, l.Type.Length+1)
		r.refuse(b, "X2", lengthen(e, l, int(l.Type.Length)+1), "%s has %d elements", l.Path, l.Type.Length+1)
		r.refuse(b, "X2", word(math.MaxUint32), "%s has %d elements by its length", l.Path, uint32(math.MaxUint32))
		r.refuse(b, "X2", word(uint32(l.Type.Length)), "%s has %d elements by its length, the body fewer", l.Path, l.Type.Length)
	case spec.Opaque, spec.String:
		n := binary.BigEndian.Uint32(e.Bytes[l.Begin:])
		if n > 1 && !inArray(l) {
			r.refuse(b, "X2", &spec.Encoding{Bytes: e.Bytes[:l.Begin+5]}, "%s has one byte, and more by its length", l.Path)
		}
		if int(n) < l.End-l.Begin-4 {
			if !inArray(l) {
				r.refuse(b, "X1", &spec.Encoding{Bytes: e.Bytes[:l.Begin+4+int(n)]}, "it ends before the padding of %s", l.Path)
			}
			padded := splice(e, l.End-1, 1, []byte{1})
			r.refuse(b, "X1", padded, "%s has padding that is not zero", l.Path)
		}
		tooLong := int(l.Type.Length) + 1
		long := splice(e, l.Begin, l.End-l.Begin, variable(strings.Repeat("a", tooLong)))
		long.Runs = []spec.Run{{Begin: l.Begin + 4, Period: 1, Times: tooLong}}
		r.refuse(b, "X2", long, "%s has %d bytes", l.Path, tooLong)
		r.refuse(b, "X2", word(math.MaxUint32), "%s has %d bytes by its length", l.Path, uint32(math.MaxUint32))
		if left := len(e.Bytes) - l.Begin - 4; left < int(l.Type.Length) {
			r.refuse(b, "X2", word(uint32(left)+1), "%s has a byte more by its length than the body", l.Path)
		}
		if l.Type.Class == spec.String {
			rule := "X1"
			switch {
			case isURL(l.Type):
				rule = "W1"
			case l.Type.Name != "":
				rule = "X3"
			}
			r.refuse(b, rule, splice(e, l.Begin, l.End-l.Begin, variable("\xff")), "%s is not UTF-8", l.Path)
		}
	}
}

// splice is e with some bytes replaced.
func splice(e *spec.Encoding, begin, length int, by []byte) *spec.Encoding {
	changed := append([]byte{}, e.Bytes[:begin]...)
	changed = append(append(changed, by...), e.Bytes[begin+length:]...)
	return &spec.Encoding{Bytes: changed}
}

// lengthen is e with the array at l replaced by one of the given number of elements, all like its first.
func lengthen(e *spec.Encoding, l spec.Leaf, elements int) *spec.Encoding {
	first, end := l.End, l.End
	for _, part := range e.Leaves {
		if strings.HasPrefix(part.Path, l.Path+".0") {
			first = part.End
		}
		if strings.HasPrefix(part.Path, l.Path+".") {
			end = part.End
		}
	}
	element := e.Bytes[l.End:first]
	by := binary.BigEndian.AppendUint32(nil, uint32(elements))
	changed := splice(e, l.Begin, end-l.Begin, append(by, bytes.Repeat(element, elements)...))
	changed.Runs = []spec.Run{{Begin: l.End, Period: len(element), Times: elements}}
	return changed
}

// variable is s as a string or as opaque data.
func variable(s string) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// transports are what a side that speaks TLS sends to one that does not.
func (r *refusals) transports() {
	client := append([]byte{0x16, 3, 1, 0, 0xf4, 1, 0, 0, 0xf0, 3, 3}, make([]byte, 32)...)
	r.all = append(r.all,
		Refused{"the first bytes of a TLS ClientHello, where plaintext was agreed", "T2", Plain(client)},
		Refused{"a TLS alert and the end, where plaintext was agreed", "T2", Plain([]byte{0x15, 3, 3, 0, 2, 2, 70})})
}

// cut adds frames at whose beginning nothing is wrong, but the connection ends too early.
func (r *refusals) cut() error {
	for _, b := range bodies(r.spec) {
		if b.typ == "empty" {
			continue
		}
		e, err := b.encode(r.spec, newFill(typical).message(r.spec, b.typ))
		if err != nil {
			return err
		}
		whole := append(b.header(len(e.Bytes)), e.Bytes...)
		for _, n := range []int{1, 11, 12, 13, len(whole) - 1} {
			r.all = append(r.all, Refused{
				fmt.Sprintf("%v: the connection ends after %d of %d bytes", b, n, len(whole)), "",
				Plain(whole[:n]),
			})
		}
		if b.piece() {
			piece := append(b.header(len(e.Bytes)+16), e.Bytes...)
			r.all = append(r.all, Refused{
				b.String() + ": the connection ends before the block does", "",
				Plain(append(piece, 1, 2, 3)),
			})
		}
	}
	return nil
}
