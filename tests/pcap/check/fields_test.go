package check

import (
	"encoding/binary"
	"fmt"
	"testing"

	"shoal/wire"
	"shoal/wire/spec"
)

// fieldAt names what stands at an offset of a frame: a field of the header, or the member of shoal.x, without the numbers of
// elements.
func fieldAt(t *testing.T, s *spec.Spec, frame []byte, offset int) string {
	if offset < wire.HeaderSize {
		return []string{"length", "kind and flags", "id"}[offset/4]
	}
	h, err := wire.ParseHeader(frame[:wire.HeaderSize])
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range s.Kinds {
		if k.Number != uint64(h.Kind) {
			continue
		}
		body := k.Request
		switch {
		case h.Flags&wire.FlagError != 0:
			body = "error_reply"
		case h.IsReply():
			body = k.Reply
		}
		w := &walker{body: frame[wire.HeaderSize:], target: offset - wire.HeaderSize}
		w.walk(s.Types[body], body)
		if w.found == "" {
			return "data"
		}
		return w.found
	}
	return ""
}

// walker goes through an encoded value until it gets to an offset.
type walker struct {
	body   []byte
	at     int
	target int
	found  string
}

func (w *walker) uint32() uint32 { return binary.BigEndian.Uint32(w.body[w.at:]) }

// pass takes n bytes, with their padding.
func (w *walker) pass(n int, name string) {
	if w.at += (n + 3) / 4 * 4; w.found == "" && w.at > w.target {
		w.found = name
	}
}

func (w *walker) walk(t *spec.Type, name string) {
	switch {
	case w.found != "":
	case t.Class == spec.Struct:
		for _, f := range t.Fields {
			w.walk(f.Type, name+"."+f.Name)
		}
	case t.Class == spec.Union:
		tag := w.uint32()
		w.pass(4, name+"."+t.Fields[0].Name)
		for _, arm := range t.Fields[1:] {
			if t.Values[arm.Name] == uint64(tag) {
				w.walk(arm.Type, name+"."+arm.Name)
			}
		}
	case t.Class == spec.Array:
		n := w.uint32()
		w.pass(4, name+" (length)")
		for range n {
			w.walk(t.Elem, name)
		}
	case t.Class == spec.Opaque || t.Class == spec.String:
		n := w.uint32()
		w.pass(4, name+" (length)")
		w.pass(int(n), name)
	case t.Class == spec.Fixed:
		w.pass(int(t.Length), name)
	case t.Class == spec.Hyper || t.Class == spec.Uhyper:
		w.pass(8, name)
	default:
		w.pass(4, name)
	}
}

func nameOf(frame []byte) string {
	h, _ := wire.ParseHeader(frame[:wire.HeaderSize])
	what := "request"
	switch {
	case h.Flags&wire.FlagError != 0:
		what = "error"
	case h.IsReply():
		what = "reply"
	case h.ID == 0:
		what = "event"
	}
	return fmt.Sprintf("%v %s", h.Kind, what)
}
