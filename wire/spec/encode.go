package spec

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"

	oracle "github.com/vmware/go-nfs-client/nfs/xdr"
)

// Values are what encoding/json makes of JSON, so that they can be stored and read in any language:
//
//	unsigned int, enum  a number
//	hyper               a string of decimal digits (JSON's numbers end at 2^53)
//	bool                true or false
//	string              a string
//	opaque              a string of hexadecimal digits
//	array               an array
//	struct              an object
//	union               an object with the discriminant and the arm that it selects
//
// In place of an array, a string or opaque data there may be {"repeat": x, "times": n}: n times the element x, or n
// times the string x one after the other.

// Encoding is an encoded value.
type Encoding struct {
	Bytes  []byte
	Leaves []Leaf // every primitive in it, in order; of repeated elements the first one's
	Runs   []Run  // where bytes repeat, in order, not overlapping
}

// Leaf is where a primitive was encoded, or the length of an array.
type Leaf struct {
	Path  string // such as offers.0.group
	Type  *Type
	Begin int // bytes; the length of variable data and its padding belong to it
	End   int
}

// Run says that the Period bytes at Begin stand there Times times.
type Run struct{ Begin, Period, Times int }

// Encode encodes v, a value of t. Every primitive is written by go-nfs-client's encoder.
func Encode(t *Type, v any) (*Encoding, error) {
	e := &encoder{}
	if err := e.encode(t.Name, t, v); err != nil {
		return nil, err
	}
	return &Encoding{e.buf.Bytes(), e.leaves, e.runs}, nil
}

type encoder struct {
	buf       bytes.Buffer
	leaves    []Leaf
	runs      []Run
	repeating int
}

func (e *encoder) encode(path string, t *Type, v any) error {
	switch t.Class {
	case Struct:
		return e.structure(path, t, v)
	case Union:
		return e.union(path, t, v)
	case Array:
		return e.array(path, t, v)
	}
	begin := e.buf.Len()
	goValue, period, err := primitive(t, v)
	if err == nil {
		err = oracle.Write(&e.buf, goValue)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	e.leaves = append(e.leaves, Leaf{path, t, begin, e.buf.Len()})
	if data, ok := goValue.([]byte); ok && period > 0 {
		e.run(begin+4, period, len(data)/period)
	}
	return nil
}

// run records a run, unless it is part of another.
func (e *encoder) run(begin, period, times int) {
	if e.repeating == 0 {
		e.runs = append(e.runs, Run{begin, period, times})
	}
}

func (e *encoder) structure(path string, t *Type, v any) error {
	members, ok := v.(map[string]any)
	if !ok || len(members) != len(t.Fields) {
		return fmt.Errorf("%s: %d members are needed, not %v", path, len(t.Fields), v)
	}
	for _, f := range t.Fields {
		if err := e.encode(path+"."+f.Name, f.Type, members[f.Name]); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) union(path string, t *Type, v any) error {
	members, _ := v.(map[string]any)
	tag := t.Fields[0]
	discriminant, err := natural(members[tag.Name])
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := e.encode(path+"."+tag.Name, tag.Type, discriminant); err != nil {
		return err
	}
	for _, arm := range t.Fields[1:] {
		if t.Values[arm.Name] == discriminant {
			return e.encode(path+"."+arm.Name, arm.Type, members[arm.Name])
		}
	}
	return fmt.Errorf("%s: no arm for %d", path, discriminant)
}

func (e *encoder) array(path string, t *Type, v any) error {
	elements, isArray := v.([]any)
	element, times, isRepeat := Repeated(v)
	if !isArray && !isRepeat {
		return fmt.Errorf("%s: an array is needed, not %v", path, v)
	}
	begin := e.buf.Len()
	if isRepeat {
		elements = []any{element}
	} else {
		times = len(elements)
	}
	if err := oracle.Write(&e.buf, uint32(times)); err != nil {
		return err
	}
	e.leaves = append(e.leaves, Leaf{path, t, begin, e.buf.Len()})
	if isRepeat {
		e.repeating++
	}
	begin = e.buf.Len()
	for i, element := range elements {
		if err := e.encode(fmt.Sprintf("%s.%d", path, i), t.Elem, element); err != nil {
			return err
		}
	}
	if isRepeat {
		e.repeating--
		one := bytes.Clone(e.buf.Bytes()[begin:])
		e.buf.Write(bytes.Repeat(one, times-1))
		e.run(begin, len(one), times)
	}
	return nil
}

// Repeated takes {"repeat": x, "times": n} apart.
func Repeated(v any) (x any, times int, ok bool) {
	members, _ := v.(map[string]any)
	n, err := natural(members["times"])
	x, ok = members["repeat"]
	return x, int(n), ok && err == nil && n > 0
}

// primitive is v as the Go type that the encoder writes as t. period is the number of bytes that repeat, if they do.
func primitive(t *Type, v any) (goValue any, period int, err error) {
	switch t.Class {
	case Uint, Enum:
		n, err := natural(v)
		return uint32(n), 0, err
	case Bool:
		b, ok := v.(bool)
		if !ok {
			return nil, 0, fmt.Errorf("not a bool: %v", v)
		}
		return b, 0, nil
	}
	part, times, repeated := Repeated(v)
	if repeated {
		v = part
	}
	s, ok := v.(string)
	if !ok {
		return nil, 0, fmt.Errorf("not a string: %v", v)
	}
	switch t.Class {
	case Hyper:
		n, err := strconv.ParseInt(s, 10, 64)
		return n, 0, err
	case Uhyper:
		n, err := strconv.ParseUint(s, 10, 64)
		return n, 0, err
	}
	data := []byte(s)
	if t.Class != String {
		if data, err = hex.DecodeString(s); err != nil {
			return nil, 0, err
		}
	}
	if repeated {
		period = len(data)
		data = bytes.Repeat(data, times)
	}
	if t.Class == Fixed {
		if uint64(len(data)) != t.Length {
			return nil, 0, fmt.Errorf("%d bytes where %d are fixed", len(data), t.Length)
		}
		return fixed(data), 0, nil
	}
	return data, period, nil
}

// fixed is data as what the encoder writes without a length.
func fixed(data []byte) any {
	switch len(data) {
	case 32:
		return [32]byte(data)
	case 64:
		return [64]byte(data)
	}
	panic(fmt.Sprintf("no type of shoal.x has %d bytes", len(data)))
}

// natural reads a number of JSON, or of Go.
func natural(v any) (uint64, error) {
	switch n := v.(type) {
	case uint64:
		return n, nil
	case int:
		return uint64(n), nil
	case float64:
		return uint64(n), nil
	}
	return 0, fmt.Errorf("not a number: %v", v)
}

// Flatten lists the primitives of v, a value of t, in the order of their encoding: numbers and bools as uint64,
// strings and opaque data as their bytes in a string, before an array its length.
func Flatten(t *Type, v any) ([]any, error) {
	switch t.Class {
	case Struct, Union:
		var all []any
		members, _ := v.(map[string]any)
		for _, f := range t.Fields {
			if _, there := members[f.Name]; !there && t.Class == Union {
				continue
			}
			flat, err := Flatten(f.Type, members[f.Name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			all = append(all, flat...)
		}
		return all, nil
	case Array:
		return flattenArray(t, v)
	}
	goValue, _, err := primitive(t, v)
	if err != nil {
		return nil, err
	}
	return []any{leaf(goValue)}, nil
}

func flattenArray(t *Type, v any) ([]any, error) {
	if element, times, ok := Repeated(v); ok {
		one, err := Flatten(t.Elem, element)
		all := []any{uint64(times)}
		for range times {
			all = append(all, one...)
		}
		return all, err
	}
	elements, _ := v.([]any)
	all := []any{uint64(len(elements))}
	for _, element := range elements {
		flat, err := Flatten(t.Elem, element)
		if err != nil {
			return nil, err
		}
		all = append(all, flat...)
	}
	return all, nil
}

func leaf(v any) any {
	switch v := v.(type) {
	case uint32:
		return uint64(v)
	case int64:
		return uint64(v)
	case bool:
		if v {
			return uint64(1)
		}
		return uint64(0)
	case []byte:
		return string(v)
	case [32]byte:
		return string(v[:])
	case [64]byte:
		return string(v[:])
	}
	return v
}
