package spec

import (
	"fmt"
	"regexp"
	"strings"
)

// Schema is a file in the XDR language (RFC 4506 section 6), of which it understands what shoal.x uses: constants,
// enums, typedefs, structs, unions over enums, strings, opaque data and arrays of variable length.
type Schema struct {
	Consts map[string]uint64
	Types  map[string]*Type
	Order  []string // names of types as they are declared
}

// Class says what a type is made of.
type Class int

// The classes of types.
const (
	Uint Class = iota // unsigned int
	Hyper
	Uhyper
	Bool
	Enum
	Fixed  // opaque data of fixed length
	Opaque // opaque data of variable length
	String
	Array // of variable length
	Struct
	Union
	Void
)

// Type is one type. Name is that of its declaration, or "" where it is written in place.
type Type struct {
	Name   string
	Class  Class
	Length uint64            // of Fixed: bytes; of Opaque, String and Array: bytes or elements at most
	Elem   *Type             // of Array
	Fields []Field           // of Struct; of Union the discriminant, then the arms
	Values map[string]uint64 // of Enum; of Union: the arms' discriminants
	Names  []string          // of Enum, in order
}

// Field is a named member.
type Field struct {
	Name string
	Type *Type
}

var token = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*|\d+|[{}()<>\[\]=,;:]`)

// ParseSchema reads declarations.
func ParseSchema(text string) (s *Schema, err error) {
	p := &parser{Schema: Schema{Consts: map[string]uint64{}, Types: map[string]*Type{}}}
	for name, class := range map[string]Class{"hyper": Hyper, "bool": Bool} {
		p.Types[name] = &Type{Class: class}
	}
	plain := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(text, " ")
	p.tokens = token.FindAllString(plain, -1)
	if rest := strings.TrimSpace(token.ReplaceAllString(plain, "")); rest != "" {
		return nil, fmt.Errorf("characters that are not understood: %q", rest)
	}
	defer func() {
		if r := recover(); r != nil {
			syntax, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			s, err = nil, syntax
		}
	}()
	for len(p.tokens) > 0 {
		p.definition()
	}
	return &p.Schema, nil
}

type parser struct {
	Schema
	tokens []string
}

type syntaxError string

func (e syntaxError) Error() string { return string(e) }

func (p *parser) fail(format string, args ...any) {
	panic(syntaxError(fmt.Sprintf(format, args...) + " before " + strings.Join(p.tokens[:min(6, len(p.tokens))], " ")))
}

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		p.fail("the end")
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *parser) accept(t string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == t {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *parser) expect(ts ...string) {
	for _, t := range ts {
		if !p.accept(t) {
			p.fail("%q is missing", t)
		}
	}
}

func (p *parser) value() uint64 {
	t := p.next()
	if v, ok := p.Consts[t]; ok {
		return v
	}
	if t[0] < '0' || t[0] > '9' {
		p.fail("%q is not a number or constant", t)
	}
	return number(t)
}

func (p *parser) define(t *Type) {
	if p.Types[t.Name] != nil {
		p.fail("%s is declared twice", t.Name)
	}
	p.Types[t.Name] = t
	p.Order = append(p.Order, t.Name)
}

func (p *parser) definition() {
	switch word := p.next(); word {
	case "const":
		name := p.next()
		p.expect("=")
		p.Consts[name] = p.value()
	case "typedef":
		f := p.declaration()
		t := *f.Type
		t.Name = f.Name
		p.define(&t)
	case "enum":
		t := &Type{Name: p.next(), Class: Enum}
		p.expect("{")
		p.enumBody(t)
		p.define(t)
	case "struct":
		t := &Type{Name: p.next(), Class: Struct}
		p.expect("{")
		for !p.accept("}") {
			t.Fields = append(t.Fields, p.declaration())
			p.expect(";")
		}
		p.define(t)
	case "union":
		p.define(p.union())
	default:
		p.fail("%q begins no definition", word)
	}
	p.expect(";")
}

func (p *parser) enumBody(t *Type) {
	t.Values = map[string]uint64{}
	for {
		name := p.next()
		p.expect("=")
		t.Values[name] = p.value()
		t.Names = append(t.Names, name)
		if p.accept("}") {
			return
		}
		p.expect(",")
	}
}

func (p *parser) union() *Type {
	t := &Type{Name: p.next(), Class: Union, Values: map[string]uint64{}}
	p.expect("switch", "(")
	tag := p.declaration()
	p.expect(")", "{")
	t.Fields = append(t.Fields, tag)
	for !p.accept("}") {
		p.expect("case")
		discriminant, ok := tag.Type.Values[p.next()]
		if !ok {
			p.fail("a case outside its enum")
		}
		p.expect(":")
		arm := p.declaration()
		p.expect(";")
		t.Values[arm.Name] = discriminant
		t.Fields = append(t.Fields, arm)
	}
	return t
}

// declaration reads a type and a name, with the length that may follow the name.
func (p *parser) declaration() Field {
	word := p.next()
	var t *Type
	switch word {
	case "string", "opaque":
		return p.bytes(word)
	case "unsigned":
		switch {
		case p.accept("int"):
			t = &Type{Class: Uint}
		case p.accept("hyper"):
			t = &Type{Class: Uhyper}
		}
	default:
		t = p.Types[word]
	}
	if t == nil {
		p.fail("the type %q is not declared", word)
	}
	name := p.next()
	if len(p.tokens) > 0 && p.tokens[0] == "<" {
		t = p.bounded(Type{Class: Array, Elem: t})
	}
	return Field{name, t}
}

// bytes reads what follows string or opaque.
func (p *parser) bytes(word string) Field {
	name := p.next()
	switch {
	case word == "string":
		return Field{name, p.bounded(Type{Class: String})}
	case p.accept("["):
		t := &Type{Class: Fixed, Length: p.value()}
		p.expect("]")
		return Field{name, t}
	}
	return Field{name, p.bounded(Type{Class: Opaque})}
}

// bounded reads the limit of a variable length; none is without one.
func (p *parser) bounded(t Type) *Type {
	p.expect("<")
	t.Length = p.value()
	p.expect(">")
	return &t
}

// MaxSize is the most bytes that a value is encoded in.
func (t *Type) MaxSize() uint64 {
	switch t.Class {
	case Uint, Bool, Enum:
		return 4
	case Hyper, Uhyper:
		return 8
	case Fixed:
		return (t.Length + 3) / 4 * 4
	case Opaque, String:
		return 4 + (t.Length+3)/4*4
	case Array:
		return 4 + t.Length*t.Elem.MaxSize()
	}
	var all, largest uint64
	for i, f := range t.Fields {
		n := f.Type.MaxSize()
		all += n
		if i > 0 {
			largest = max(largest, n)
		}
	}
	if t.Class == Union {
		return t.Fields[0].Type.MaxSize() + largest
	}
	return all
}
