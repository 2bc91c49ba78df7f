package frames

import (
	"encoding/binary"
	"reflect"

	"shoal/wire"
)

// A Script is a fuzzer's bytes, as they are used up. When none are left, every further one is 0. Not for concurrent use.
type Script struct {
	rest  []byte
	id    uint32
	known map[reflect.Type][]reflect.Value
}

// New makes a script of bytes, which it keeps.
func New(b []byte) *Script {
	return &Script{rest: b, id: 2, known: map[reflect.Type][]reflect.Value{}}
}

// Know makes members of messages that have the type of one of the values one of these, most of the time, so that frames are
// about the same things.
func (s *Script) Know(values ...any) {
	for _, k := range values {
		v := reflect.ValueOf(k)
		s.known[v.Type()] = append(s.known[v.Type()], v)
	}
}

// Byte is the next byte.
func (s *Script) Byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// Bytes are the next n bytes, or fewer where there are not so many.
func (s *Script) Bytes(n int) []byte {
	n = min(n, len(s.rest))
	b := s.rest[:n:n]
	s.rest = s.rest[n:]
	return b
}

// Over reports whether nothing is left.
func (s *Script) Over() bool { return len(s.rest) == 0 }

// corners are numbers at which things change.
var corners = []uint64{
	1<<32 - 1, 1 << 31, 1<<31 - 1, 1 << 16, 1<<16 - 1, 1 << 18, 1<<18 - 1, 1 << 14, 1<<14 - 1, 1 << 20, 255, 256, 1000, 1001, 1<<64 - 1, 1 << 63, 1<<63 - 1, 1 << 46,
}

// number is a small one most of the time, a corner, or any.
func (s *Script) number() uint64 {
	switch b := s.Byte(); {
	case b < 220:
		return uint64(b % 32)
	case b < 250:
		return corners[int(b)%len(corners)]
	}
	var b [8]byte
	copy(b[:], s.Bytes(8))
	return binary.BigEndian.Uint64(b[:])
}

// Number is one of 32 bits.
func (s *Script) Number() uint32 { return uint32(s.number()) }

// Message makes the message of a frame.
func (s *Script) Message(h wire.Header) wire.Message {
	m := wire.NewMessage(h)
	s.fill(reflect.ValueOf(m).Elem())
	return m
}

func (s *Script) fill(v reflect.Value) {
	if known := s.known[v.Type()]; len(known) > 0 {
		if b := s.Byte(); b < 240 {
			v.Set(known[int(b)%len(known)])
			return
		}
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(s.Byte()%2 > 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(s.number()))
	case reflect.Uint8:
		v.SetUint(uint64(s.Byte()))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(s.number())
	case reflect.String:
		v.SetString(string(s.Bytes(int(s.Byte()))))
	case reflect.Array: // of bytes: a key, a hash
		for i, b := range s.Bytes(v.Len()) {
			v.Index(i).SetUint(uint64(b))
		}
	case reflect.Slice:
		n := int(s.Byte())
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(s.Bytes(n))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n%6, n%6))
		for i := range v.Len() {
			s.fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				s.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if s.Byte()%2 > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(v.Elem())
		}
	}
}
