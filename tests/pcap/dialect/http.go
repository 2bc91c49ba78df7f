package dialect

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"shoal/tests/pcap/check"
)

const (
	maxHead = 64 << 10 // bytes of a request's or an answer's head
	maxLine = 256      // bytes of a line that begins a chunk, or of a trailer
)

var methods = []string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH "}

// isRequestLine reports whether b begins a request, as far as there is enough of it.
func isRequestLine(b []byte) bool {
	for _, m := range methods {
		if startsWith(b, []byte(m)) {
			return true
		}
	}
	return false
}

// HTTPStream reads HTTP/1.1, and SOAP in it.
type HTTPStream struct {
	observer Observer
	asked    []*request // that wait for their answers
	sides    [2]message
}

type request struct {
	Call
	method string
}

// message is a request or an answer being read.
type message struct {
	head  []byte
	body  body
	size  int64
	call  *request // in a body
	blind bool     // something was lost
}

// NewHTTPStream is a Reader.
func NewHTTPStream(o Observer) *HTTPStream { return &HTTPStream{observer: o} }

func (s *HTTPStream) Data(from check.Side, at time.Time, b []byte) {
	m := &s.sides[from]
	if m.blind && (from == check.Initiator && isRequestLine(b) || from == check.Responder && startsWith(b, []byte("HTTP/1.")) && len(b) >= 7) {
		*m = message{}
	}
	for len(b) > 0 && !m.blind {
		if m.call == nil {
			b = s.readHead(m, from, at, b)
		} else {
			n := m.body.take(b)
			m.size += int64(n)
			b = b[n:]
		}
		switch {
		case m.call == nil:
		case m.body.failed:
			*m = message{blind: true}
		case m.body.done():
			s.end(from, at, m)
		}
	}
}

// readHead takes bytes until the empty line, and returns the rest.
func (s *HTTPStream) readHead(m *message, from check.Side, at time.Time, b []byte) []byte {
	before := len(m.head)
	m.head = append(m.head, b[:min(len(b), maxHead-before)]...)
	end := bytes.Index(m.head[max(0, before-3):], []byte("\r\n\r\n"))
	if end < 0 {
		if len(m.head) == maxHead {
			*m = message{blind: true}
		}
		return nil
	}
	end += max(0, before-3) + 4
	head := bufio.NewReader(bytes.NewReader(m.head[:end]))
	var err error
	if from == check.Initiator {
		err = s.request(m, at, head)
	} else {
		err = s.answer(m, head)
	}
	m.head, m.size = nil, int64(end)
	if err != nil {
		*m = message{blind: true}
	}
	return b[end-before:]
}

func (s *HTTPStream) request(m *message, at time.Time, head *bufio.Reader) error {
	r, err := http.ReadRequest(head)
	if err != nil {
		return err
	}
	m.call = &request{Call{Name: operation(r), At: at}, r.Method}
	m.body = newBody(r.ContentLength, r.TransferEncoding)
	return nil
}

// operation is what a request is for: what SOAPAction says after the namespace, or else the method.
func operation(r *http.Request) string {
	action := strings.Trim(r.Header.Get("SOAPAction"), `" `)
	if _, name, ok := strings.Cut(action, "#"); ok && name != "" {
		return "SOAP " + name
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "text/xml") {
		return "SOAP"
	}
	return r.Method
}

func (s *HTTPStream) answer(m *message, head *bufio.Reader) error {
	asked := &request{}
	if len(s.asked) > 0 {
		asked = s.asked[0]
	}
	r, err := http.ReadResponse(head, &http.Request{Method: asked.method})
	if err != nil {
		return err
	}
	m.call = asked
	asked.Failed = r.StatusCode >= 400
	m.body = newBody(r.ContentLength, r.TransferEncoding)
	switch {
	case r.StatusCode < 200: // an answer is still to come
		m.call = &request{}
		m.body = body{}
	case asked.method == http.MethodHead || r.StatusCode == http.StatusNoContent || r.StatusCode == http.StatusNotModified:
		m.body = body{}
	}
	return nil
}

// end takes note of a message that is there in full.
func (s *HTTPStream) end(from check.Side, at time.Time, m *message) {
	c, size := m.call, m.size
	*m = message{}
	switch {
	case from == check.Initiator && len(s.asked) < maxCalls:
		c.Size = size
		s.asked = append(s.asked, c)
		s.observer.Called(&c.Call)
	case from == check.Responder && len(s.asked) > 0 && c == s.asked[0]:
		s.asked = s.asked[1:]
		c.Answer, c.Back = at, size
		s.observer.Answered(&c.Call)
	}
}

func (s *HTTPStream) Lost(from check.Side, n int64) {
	m := &s.sides[from]
	if m.call != nil && !m.body.chunked && n >= 0 && n < m.body.left {
		m.body.left -= n
		m.size += n
		return
	}
	*m = message{blind: true}
	s.asked = nil // which answer is whose cannot be known
}

// body is what follows a head.
type body struct {
	left    int64 // bytes to come, of a chunk if it is chunked; negative for all that comes
	chunked bool
	last    bool   // the chunk of no bytes has come
	line    []byte // that begins a chunk, or ends one
	ended   bool
	failed  bool
}

func newBody(length int64, encoding []string) body {
	if len(encoding) > 0 {
		return body{chunked: true}
	}
	return body{left: length}
}

func (b *body) done() bool { return b.ended || !b.chunked && b.left == 0 }

// take takes what is the body's of p, and returns how many bytes these were.
func (b *body) take(p []byte) int {
	if b.left < 0 {
		return len(p)
	}
	if b.left > 0 {
		n := min(b.left, int64(len(p)))
		b.left -= n
		return int(n)
	}
	for i, c := range p {
		if b.line = append(b.line, c); len(b.line) > maxLine {
			b.failed = true
			return i + 1
		}
		if c == '\n' {
			b.endLine(strings.TrimSpace(string(b.line)))
			b.line = b.line[:0]
			if b.left > 0 || b.ended || b.failed {
				return i + 1
			}
		}
	}
	return len(p)
}

// endLine takes a line of a chunked body: empty after a chunk, the size of the next one, or a trailer.
func (b *body) endLine(line string) {
	switch {
	case b.last:
		b.ended = line == ""
	case line != "":
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		b.left, b.last, b.failed = n, n == 0, err != nil || n < 0
	}
}
