package envelope

import (
	"bytes"
	"encoding/xml"
	"io"
	"sync"
)

// What an envelope may have. A file's head takes 4 KiB in base64, and everything else much less.
const (
	maxToken      = 8 << 10 // bytes of a tag, a comment, or a text between two tags
	maxElements   = 128
	maxComments   = 128
	maxAttributes = 32 // of an element, namespaces included
	maxDepth      = 16
)

var errTooLong = malformed("a tag or text of it is longer than %d bytes", maxToken)

// decoder reads tokens of XML. encoding/xml holds one token at a time, so it can keep no more than source lets through
// for each.
type decoder struct {
	xml      *xml.Decoder
	source   *source
	depth    int // elements that have begun and not ended
	elements int
	comments int
	begun    bool   // a token has been read
	content  []byte // of the element that text reads
}

// source lets maxToken bytes through until allowed is set again.
type source struct {
	r       io.Reader
	allowed int
	next    int   // of buffer, the first byte that has not been let through
	end     int   // of buffer, where what has been read ends
	err     error // of r, for when buffer is empty
	buffer  [4 << 10]byte
}

// ReadByte is all that encoding/xml calls of a reader that has it.
func (s *source) ReadByte() (byte, error) {
	if s.allowed == 0 {
		return 0, errTooLong
	}
	if s.next == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	s.allowed--
	c := s.buffer[s.next]
	s.next++
	return c, nil
}

func (s *source) fill() error {
	for tries := 0; s.next == s.end; tries++ {
		if s.err != nil {
			return s.err
		}
		if tries == 100 {
			return io.ErrNoProgress
		}
		s.next = 0
		s.end, s.err = s.r.Read(s.buffer[:])
	}
	return nil
}

// Read makes it an io.Reader.
func (s *source) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = c
	return 1, nil
}

var sources = sync.Pool{New: func() any { return new(source) }}

func newDecoder(r io.Reader) *decoder {
	s := sources.Get().(*source)
	s.r, s.next, s.end, s.err = r, 0, 0, nil
	return &decoder{xml: xml.NewDecoder(s), source: s}
}

// release gives back what d was lent. d is of no use then.
func (d *decoder) release() {
	d.source.r, d.source.err = nil, nil
	sources.Put(d.source)
	d.source, d.xml = nil, nil
}

// token returns the next token, valid until the one after: an element's beginning or end, text, or a comment.
func (d *decoder) token() (xml.Token, error) {
	d.source.allowed = maxToken
	token, err := d.xml.Token()
	if err != nil {
		return nil, err
	}
	first := !d.begun
	d.begun = true
	switch t := token.(type) {
	case xml.CharData:
		if first { // UTF-8 may begin with a byte order mark, which is no text
			t = bytes.TrimPrefix(t, []byte("\ufeff"))
			d.begun = len(t) > 0
			return t, nil
		}
	case xml.StartElement:
		d.depth++
		d.elements++
		switch {
		case d.depth > maxDepth:
			return nil, malformed("its elements are nested more than %d deep", maxDepth)
		case d.elements > maxElements:
			return nil, malformed("it has more than %d elements", maxElements)
		case len(t.Attr) > maxAttributes:
			return nil, malformed("an element of it has more than %d attributes", maxAttributes)
		}
	case xml.EndElement:
		d.depth--
	case xml.Comment:
		if d.comments++; d.comments > maxComments {
			return nil, malformed("it has more than %d comments", maxComments)
		}
	case xml.Directive:
		return nil, malformed("it has a DOCTYPE, which SOAP forbids")
	case xml.ProcInst:
		if !first || t.Target != "xml" {
			return nil, malformed("it has a processing instruction, which SOAP forbids")
		}
	}
	return token, nil
}
