package envelope

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"shoal/tests/bounds"
)

const (
	open  = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/">`
	start = open + `<e:Body>`
	end   = `</e:Body></e:Envelope>`
)

func TestRead(t *testing.T) {
	plain := &Message{Name: xml.Name{Space: "urn:x", Local: "Do"}, Fields: []Field{
		{Name: xml.Name{Space: "urn:x", Local: "a"}, Text: "1 < 2"}, {Name: xml.Name{Space: "urn:x", Local: "b"}},
	}}
	body := `<Do xmlns="urn:x"><a>1 &lt; 2</a><b/></Do>`
	nested := &Message{Name: plain.Name, Fields: []Field{{Name: plain.Fields[0].Name, Text: "xy", Nested: true}}}
	for name, c := range map[string]struct {
		text string
		want *Message
		err  error
	}{
		"plain":                           {start + body + end, plain, nil},
		"another prefix":                  {`<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>` + body + `</Body></Envelope>`, plain, nil},
		"declared":                        {"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + start + body + end + "\n", plain, nil},
		"a byte order mark":               {"\ufeff" + start + body + end, plain, nil},
		"a mark and a declaration":        {"\ufeff<?xml version=\"1.0\"?>" + start + body + end, plain, nil},
		"comments and white space":        {"<!-- - -->" + open + " <!-- --> <e:Body>\n" + `<Do xmlns="urn:x"> <a>1 <!-- -->&lt; 2</a>` + "\r\n<b>" + `</b></Do><!-- --></e:Body> </e:Envelope><!-- -->`, plain, nil},
		"CDATA":                           {start + `<Do xmlns="urn:x"><a><![CDATA[1 < 2]]></a><b/></Do>` + end, plain, nil},
		"prefixed":                        {start + `<x:Do xmlns:x="urn:x"><x:a>1 &#60; 2</x:a><x:b></x:b></x:Do>` + end, plain, nil},
		"nested":                          {start + `<Do xmlns="urn:x"><a>x<i><j/>no</i>y</a></Do>` + end, nested, nil},
		"a header":                        {open + `<e:Header><h xmlns="urn:h"><i>1</i></h></e:Header><e:Body>` + body + end, plain, nil},
		"a header that may be ignored":    {open + `<e:Header><h xmlns="urn:h" e:mustUnderstand="0"/></e:Header><e:Body>` + body + end, plain, nil},
		"a header for others":             {open + `<e:Header><h xmlns="urn:h" e:mustUnderstand="1" e:actor="urn:other"/></e:Header><e:Body>` + body + end, plain, nil},
		"a header to be understood":       {open + `<e:Header><h xmlns="urn:h" e:mustUnderstand="1"/></e:Header><e:Body>` + body + end, nil, ErrNotUnderstood},
		"a header for all":                {open + `<e:Header><h xmlns="urn:h" e:mustUnderstand="1" e:actor="http://schemas.xmlsoap.org/soap/actor/next"/></e:Header><e:Body>` + body + end, nil, ErrNotUnderstood},
		"SOAP 1.2":                        {`<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>` + body + end, nil, ErrVersion},
		"no namespace":                    {`<Envelope><Body>` + body + `</Body></Envelope>`, nil, ErrVersion},
		"nothing":                         {"", nil, ErrMalformed},
		"no XML":                          {"count=1", nil, ErrMalformed},
		"no envelope":                     {body, nil, ErrMalformed},
		"no body":                         {open + `</e:Envelope>`, nil, ErrMalformed},
		"an empty body":                   {start + end, nil, ErrMalformed},
		"two elements":                    {start + body + body + end, nil, ErrMalformed},
		"two bodies":                      {start + body + `</e:Body><e:Body>` + body + end, nil, ErrMalformed},
		"two headers":                     {open + `<e:Header/><e:Header/><e:Body>` + body + end, nil, ErrMalformed},
		"two envelopes":                   {start + body + end + start + body + end, nil, ErrMalformed},
		"text in the body":                {start + "text" + body + end, nil, ErrMalformed},
		"text behind":                     {start + body + end + "text", nil, ErrMalformed},
		"half":                            {start + `<Do xmlns="urn:x"><a>`, nil, ErrMalformed},
		"without its end":                 {strings.TrimSuffix(start+body+end, "</e:Envelope>"), nil, ErrMalformed},
		"the wrong end":                   {start + `<Do></do>` + end, nil, ErrMalformed},
		"DOCTYPE":                         {`<!DOCTYPE x>` + start + body + end, nil, ErrMalformed},
		"an unknown entity":               {start + `<Do><a>&x;</a></Do>` + end, nil, ErrMalformed},
		"a processing instruction":        {start + `<?x y?>` + body + end, nil, ErrMalformed},
		"a declaration too late":          {" <?xml version=\"1.0\"?>" + start + body + end, nil, ErrMalformed},
		"another encoding":                {`<?xml version="1.0" encoding="utf-16"?>` + start + body + end, nil, nil},
		"no UTF-8":                        {start + "<Do><a>\xff</a></Do>" + end, nil, ErrMalformed},
		"control characters":              {start + "<Do><a>&#7;</a></Do>" + end, nil, ErrMalformed},
		"deep":                            {start + strings.Repeat("<a>", maxDepth) + strings.Repeat("</a>", maxDepth) + end, nil, ErrMalformed},
		"wide":                            {start + "<Do>" + strings.Repeat("<a/>", MaxFields+1) + "</Do>" + end, nil, ErrMalformed},
		"many elements":                   {start + "<Do><a>" + strings.Repeat("<a/>", maxElements) + "</a></Do>" + end, nil, ErrMalformed},
		"a long text":                     {start + "<Do><a>" + strings.Repeat("x", maxToken) + "</a></Do>" + end, nil, ErrMalformed},
		"a long text in parts":            {start + "<Do><a>" + strings.Repeat(strings.Repeat("x", 1<<10)+"<!---->", 9) + "</a></Do>" + end, nil, ErrMalformed},
		"a long tag":                      {start + "<" + strings.Repeat("x", maxToken) + "/>" + end, nil, ErrMalformed},
		"a long comment":                  {start + "<!--" + strings.Repeat("x", maxToken) + "-->" + body + end, nil, ErrMalformed},
		"many comments":                   {start + strings.Repeat("<!-- -->", maxComments+1) + body + end, nil, ErrMalformed},
		"many attributes":                 {start + "<Do" + attributes(maxAttributes+1) + "/>" + end, nil, ErrMalformed},
		"a header that is not understood": {open + `<e:Header><h e:mustUnderstand="true"/></e:Header>`, nil, ErrNotUnderstood},
	} {
		for way, r := range map[string]io.Reader{
			"at once": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)),
		} {
			got, err := Read(r)
			switch {
			case c.want != nil && (err != nil || !reflect.DeepEqual(got, c.want)):
				t.Errorf("%s, %s: %+v, %v", name, way, got, err)
			case c.want == nil && (err == nil || !errors.Is(err, c.err) && c.err != nil):
				t.Errorf("%s, %s: %+v, error %v, want %v", name, way, got, err, c.err)
			}
		}
	}
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + strconv.Itoa(i) + "=''")
	}
	return b.String()
}

func TestErrorsOfTheReaderComeBack(t *testing.T) {
	broken := errors.New("broken")
	for _, prefix := range []string{"", "<", start, start + "<Do><a>1", start + "<Do/>" + end} {
		_, err := Read(io.MultiReader(strings.NewReader(prefix), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// endless never ends: what Read takes of it is what Read allows.
type endless struct {
	text string
	read int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		n += copy(b[n:], e.text)
	}
	e.read += n
	return n, nil
}

func TestEndlessEnvelopesEnd(t *testing.T) {
	for _, text := range []string{" ", "x", "<a>", "<a/>", "<a", " a=''", "<!-", "<!-- -->", "&", "\x00"} {
		for _, prefix := range []string{"", start, start + "<Do><a>", start + "<Do a='"} {
			source := &endless{text: text}
			if _, err := Read(io.MultiReader(strings.NewReader(prefix), source)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%q after %q: %v", text, prefix, err)
			}
			if source.read > 32<<10 {
				t.Errorf("%q after %q: %d bytes were read", text, prefix, source.read)
			}
		}
	}
}

// FuzzRead looks for panics and for messages that break the limits, and that a message which is written again is read
// the same.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"", start + end, start + `<Do xmlns="urn:x"><a>1 &lt; 2</a><b/></Do>` + end,
		open + `<e:Header><h e:mustUnderstand="1"/></e:Header><e:Body><Do/>` + end,
		start + `<Do xmlns="urn:x"><a>x<i><j/>no</i>y</a><!-- --><b><![CDATA[ ]]></b></Do>` + end,
		"\ufeff<?xml version='1.0'?>" + start + "<x:Do xmlns:x='urn:x' a='&amp;'/>" + end,
		`<!DOCTYPE a [<!ENTITY b "cccccccccc">]>` + start + "<Do>&b;</Do>" + end,
		start + strings.Repeat("<a>", 20), start + "<Do" + attributes(40) + "/>" + end,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounds.Hold(t, len(b), func() {
			m, err := Read(bytes.NewReader(b))
			if err != nil {
				return
			}
			if len(m.Fields) > MaxFields {
				t.Errorf("%d fields", len(m.Fields))
			}
			text := `<?xml version="1.0"?>` + start + element(m.Name, func() (content string) {
				for _, f := range m.Fields {
					if len(f.Text) > maxToken {
						t.Errorf("a text of %d bytes", len(f.Text))
					}
					content += element(f.Name, func() string {
						inner := ""
						if f.Nested {
							inner = "<n/>"
						}
						return escaped(f.Text) + inner
					})
				}
				return content
			}) + end
			if len(text) > maxToken {
				return // escaping makes longer
			}
			if again, err := Read(strings.NewReader(text)); err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("%q\nis %+v\nand written again %+v, %v", b, m, again, err)
			}
		})
	})
}

func element(name xml.Name, content func() string) string {
	return `<` + name.Local + ` xmlns="` + escaped(name.Space) + `">` + content() + `</` + name.Local + `>`
}

func escaped(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

func BenchmarkRead(b *testing.B) {
	text := start + `<Enrich xmlns="urn:x"><name>a.txt</name><size>123456</size><head>` + strings.Repeat("QUFB", 1024) + `</head></Enrich>` + end
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Read(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
