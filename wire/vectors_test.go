package wire

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"shoal"
	"shoal/wire/spec"
	"shoal/wire/vectors"
	"shoal/wire/wiretest"
)

//go:generate go run ./genvectors . testdata/vectors

func vectorFiles() fs.FS { return os.DirFS("testdata/vectors") }

func loadSpec(t testing.TB) *spec.Spec {
	s, err := spec.Load(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loadFrames(t testing.TB) []vectors.Frame {
	var all []vectors.Frame
	if err := vectors.Load(vectorFiles(), vectors.FramesFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("%d vectors; there were more", len(all))
	}
	return all
}

func loadRefused(t testing.TB) []vectors.Refused {
	var all []vectors.Refused
	if err := vectors.Load(vectorFiles(), vectors.RefusedFile, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 500 {
		t.Fatalf("%d vectors; there were more", len(all))
	}
	return all
}

func TestVectorsAreCurrent(t *testing.T) {
	files, err := vectors.Generate(loadSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile("testdata/vectors/" + name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate makes (%v)", name, err)
		}
	}
}

// fragmented is a connection whose reads return at most size bytes.
type fragmented struct {
	net.Conn
	size int
}

func (f fragmented) Read(p []byte) (int, error) { return f.Conn.Read(p[:min(len(p), f.size)]) }

// received is a Conn on which b arrives in the given fragments, and then the end.
func received(t testing.TB, b []byte, fragment int) *Conn {
	near, far := wiretest.Pipe()
	if _, err := far.Write(b); err != nil {
		t.Fatal(err)
	}
	far.Close()
	t.Cleanup(func() { near.Close() })
	return NewConn(fragmented{near, fragment})
}

// readAll reads a frame and decodes it; of a PIECE it reads the data.
func readAll(c *Conn) (Frame, Message, []byte, error) {
	f, err := c.ReadFrame()
	if err != nil {
		return f, nil, nil, err
	}
	m := NewMessage(f.Header)
	if err := Decode(f.Body, m); err != nil {
		return f, nil, nil, err
	}
	data := make([]byte, f.Data)
	return f, m, data, c.ReadData(data)
}

// encode is the inverse of readAll.
func encode(h Header, m Message, data []byte) []byte {
	switch {
	case h.IsPiece():
		return append(AppendPieceHead(nil, h.ID, *m.(*PieceHead), uint32(len(data))), data...)
	case h.Flags&FlagError != 0:
		return AppendFrame(nil, h, m)
	case h.IsReply():
		return AppendReply(nil, h.Kind, h.ID, m)
	case h.ID == 0:
		return AppendEvent(nil, h.Kind, m)
	}
	return AppendRequest(nil, h.Kind, h.ID, m)
}

func TestFrames(t *testing.T) {
	s := loadSpec(t)
	all := loadFrames(t)
	next := AppendRequest(nil, KindPing, 1, &Empty{})
	for i, v := range all {
		raw := v.Frame.Expand()
		check := func(t *testing.T, c *Conn) {
			t.Helper()
			f, m, data, err := readAll(c)
			if err != nil {
				t.Fatal(err)
			}
			checkFrame(t, s, v, f, m, data)
			if got := encode(f.Header, m, data); !bytes.Equal(got, raw) {
				t.Errorf("encoded again it is\n%x, not\n%x", head(got), head(raw))
			}
		}
		end := func(t *testing.T, c *Conn) {
			t.Helper()
			if _, err := c.ReadFrame(); err != io.EOF {
				t.Errorf("after the frame: %v", err)
			}
		}
		t.Run(v.Name, func(t *testing.T) {
			c := received(t, raw, len(raw))
			check(t, c)
			end(t, c)

			c = received(t, raw, 1+len(raw)/5000) // byte by byte, but for the large ones
			check(t, c)
			end(t, c)
			if len(raw) > readBuffer {
				return // the rest differs for frames that share a read, or the buffer
			}

			c = received(t, append(slices.Clone(raw), next...), len(raw)+len(next))
			check(t, c)
			if f, _, _, err := readAll(c); err != nil || f.Kind != KindPing {
				t.Errorf("the frame after it: %v, %v", f, err)
			}
			end(t, c)

			// In the middle of a stream of others, cut anywhere.
			before := all[(i+len(all)-2)%len(all)].Frame.Expand()
			c = received(t, slices.Concat(before, raw, next), 1447)
			if _, _, _, err := readAll(c); err != nil {
				t.Fatal(err)
			}
			check(t, c)
		})
	}
}

func checkFrame(t *testing.T, s *spec.Spec, v vectors.Frame, f Frame, m Message, data []byte) {
	t.Helper()
	if f.Kind.String() != v.Kind || uint16(f.Flags) != v.Flags || f.ID != v.ID {
		t.Errorf("read %v", f.Header)
	}
	if !bytes.Equal(data, v.Data.Expand()) {
		t.Errorf("the block is %x", head(data))
	}
	if v.Type == "empty" {
		if !isEmpty(m) || len(f.Body) != 0 {
			t.Errorf("decoded as %T", m)
		}
		return
	}
	want, err := spec.Flatten(s.Types[v.Type], v.Fields)
	if err != nil {
		t.Fatal(err)
	}
	if got := flatten(m); !slices.Equal(got, want) {
		t.Errorf("the fields are\n%.300q, not\n%.300q", got, want)
	}
}

// flatten lists the primitives of a message as spec.Flatten does. It relies on the fields being in the order of shoal.x.
func flatten(m Message) []any {
	if l, ok := m.(*Lookup); ok { // the only union
		if l.Name != "" {
			return []any{string(l.Group), uint64(byName), string(l.Name)}
		}
		return []any{string(l.Group), uint64(byFile), string(l.File[:])}
	}
	return flattenValue(reflect.ValueOf(m).Elem())
}

func flattenValue(v reflect.Value) (all []any) {
	switch v.Kind() {
	case reflect.Uint32, reflect.Uint64:
		return []any{v.Uint()}
	case reflect.Int64:
		return []any{uint64(v.Int())}
	case reflect.Bool:
		if v.Bool() {
			return []any{uint64(1)}
		}
		return []any{uint64(0)}
	case reflect.String:
		return []any{v.String()}
	case reflect.Pointer:
		return flattenValue(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, flattenValue(v.Field(i))...)
		}
		return all
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if v.Kind() == reflect.Array {
			array := reflect.New(v.Type()).Elem()
			array.Set(v)
			v = array.Slice(0, v.Len())
		}
		return []any{string(v.Bytes())}
	}
	all = append(all, uint64(v.Len()))
	for i := range v.Len() {
		all = append(all, flattenValue(v.Index(i))...)
	}
	return all
}

func TestRefused(t *testing.T) {
	rules := loadSpec(t).Rules
	for _, v := range loadRefused(t) {
		raw := v.Frame.Expand()
		t.Run(v.Name, func(t *testing.T) {
			for _, fragment := range []int{len(raw), 1} {
				_, m, _, err := readAll(received(t, raw, fragment))
				if err == nil {
					t.Fatalf("accepted as %+v", m)
				}
				want := shoal.BadRequest
				switch v.Rule {
				case "":
					want = shoal.Unreachable
				case "T2":
					want = shoal.Unsupported
				default:
					if !slices.Contains(rules, v.Rule) {
						t.Errorf("%s is not a rule", v.Rule)
					}
					if !strings.Contains(err.Error(), fmt.Sprintf("(rule %s)", v.Rule)) {
						t.Errorf("%q does not name rule %s", err, v.Rule)
					}
				}
				if shoal.CodeOf(err) != want {
					t.Errorf("%v has code %v, not %v", err, shoal.CodeOf(err), want)
				}
			}
		})
	}
}

// Refusing must not take what follows for a frame, nor read the body of a frame that is too long.
func TestRefusesBeforeBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wiretest.Pipe()
		for _, h := range bodies() {
			h.Length = h.Kind.row().limit(h.Flags) + 1
			if _, err := far.Write(h.append(nil)); err != nil {
				t.Fatal(err)
			}
			// The body never comes, and the connection stays open: only a reader that does not want it returns.
			if _, err := NewConn(near).ReadFrame(); shoal.CodeOf(err) != shoal.BadRequest {
				t.Error(err)
			}
		}
	})
}

func head(b []byte) []byte { return b[:min(len(b), 200)] }
