// Package envelope reads SOAP 1.1 envelopes that strangers sent, whose body is one element with flat children, as
// everything in document/literal wrapped style with simple parameters is. An envelope costs bounded memory, however long
// and deep it is.
package envelope

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Namespace is that of a SOAP 1.1 envelope (SOAP 1.1 section 4).
const Namespace = "http://schemas.xmlsoap.org/soap/envelope/"

// actorNext is the actor that everybody is (SOAP 1.1 section 4.2.2).
const actorNext = "http://schemas.xmlsoap.org/soap/actor/next"

// MaxFields is how many children the element in a body may have.
const MaxFields = 16

var (
	// ErrMalformed is what every error about an envelope itself wraps; others come from reading it.
	ErrMalformed = errors.New("malformed envelope")
	// ErrVersion is for an envelope of another namespace, that is, of another SOAP (SOAP 1.1 section 4.1.2).
	ErrVersion = fmt.Errorf("%w: it is none of SOAP 1.1", ErrMalformed)
	// ErrNotUnderstood is for a header block that says it must be understood (section 4.2.3).
	ErrNotUnderstood = fmt.Errorf("%w: it has a header block that must be understood, and is not", ErrMalformed)
)

// Message is what an envelope's body says.
type Message struct {
	Name   xml.Name // of the element in the body
	Fields []Field  // its children, in order
}

// Field is a child of the element in a body.
type Field struct {
	Name   xml.Name
	Text   string
	Nested bool // it has elements of its own, which are left out
}

// Read reads one envelope up to the end of r, whose length the caller bounds. Errors of r come back as they are.
func Read(r io.Reader) (*Message, error) {
	d := newDecoder(r)
	defer d.release()
	m, err := d.envelope()
	if err != nil {
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("%w: it is not well-formed XML: %s", ErrMalformed, syntax.Msg)
		}
		return nil, err
	}
	return m, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func (d *decoder) envelope() (*Message, error) {
	root, err := d.child()
	if err != nil {
		return nil, err
	}
	switch {
	case root == nil:
		return nil, malformed("there is nothing in it")
	case root.Name.Local != "Envelope":
		return nil, malformed("its root is no Envelope")
	case root.Name.Space != Namespace:
		return nil, ErrVersion
	}
	body, err := d.child()
	if err == nil && body != nil && body.Name == (xml.Name{Space: Namespace, Local: "Header"}) {
		if err = d.header(); err == nil {
			body, err = d.child()
		}
	}
	if err != nil {
		return nil, err
	}
	if body == nil || body.Name != (xml.Name{Space: Namespace, Local: "Body"}) {
		return nil, malformed("it has no Body where one belongs")
	}
	m, err := d.body()
	if err != nil {
		return nil, err
	}
	// Nothing comes after a Body, and nothing but white space and comments after the Envelope.
	for range 2 {
		if more, err := d.child(); err != nil {
			return nil, err
		} else if more != nil {
			return nil, malformed("there are elements after its Body")
		}
	}
	return m, nil
}

// header reads to the end of a Header and refuses what must be understood, because nothing is.
func (d *decoder) header() error {
	for {
		block, err := d.child()
		if block == nil || err != nil {
			return err
		}
		var must, mine bool
		mine = true
		for _, a := range block.Attr {
			switch a.Name {
			case xml.Name{Space: Namespace, Local: "mustUnderstand"}:
				must = a.Value != "0" && a.Value != "false" && a.Value != ""
			case xml.Name{Space: Namespace, Local: "actor"}:
				mine = a.Value == "" || a.Value == actorNext
			}
		}
		if must && mine {
			return ErrNotUnderstood
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
}

// body reads to the end of a Body.
func (d *decoder) body() (*Message, error) {
	wrapper, err := d.child()
	if err != nil {
		return nil, err
	}
	if wrapper == nil {
		return nil, malformed("its Body is empty")
	}
	m := &Message{Name: wrapper.Name}
	for {
		child, err := d.child()
		if err != nil {
			return nil, err
		}
		if child == nil {
			break
		}
		if len(m.Fields) == MaxFields {
			return nil, malformed("its Body has more than %d parameters", MaxFields)
		}
		f := Field{Name: child.Name}
		if f.Text, f.Nested, err = d.text(); err != nil {
			return nil, err
		}
		m.Fields = append(m.Fields, f)
	}
	if more, err := d.child(); err != nil {
		return nil, err
	} else if more != nil {
		return nil, malformed("its Body has more than one element")
	}
	return m, nil
}

// child returns the next element, or nil at the end of the one that it would be in. Between elements there is nothing
// but white space.
func (d *decoder) child() (*xml.StartElement, error) {
	for {
		token, err := d.token()
		if err != nil {
			if err == io.EOF && d.depth == 0 {
				return nil, nil
			}
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimLeft(t, " \t\r\n")) > 0 {
				return nil, malformed("there is text between its elements")
			}
		}
	}
}

// text reads to the end of the element that has begun.
func (d *decoder) text() (text string, nested bool, err error) {
	d.content = d.content[:0]
	for {
		token, err := d.token()
		if err != nil {
			return "", false, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			nested = true
			if err := d.skip(); err != nil {
				return "", false, err
			}
		case xml.EndElement:
			return string(d.content), nested, nil
		case xml.CharData:
			if len(d.content)+len(t) > maxToken {
				return "", false, errTooLong
			}
			d.content = append(d.content, t...)
		}
	}
}

// skip reads to the end of the element that has begun.
func (d *decoder) skip() error {
	for until := d.depth; d.depth >= until; {
		if _, err := d.token(); err != nil {
			return err
		}
	}
	return nil
}
