package service

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"shoal/soap"
	"shoal/soap/envelope"
	"shoal/tests/bounds"
)

func TestHTTP(t *testing.T) {
	r := run(t, Config{})
	for _, c := range []struct {
		method, path, contentType, host string
		status                          int
		says                            string
	}{
		{"GET", "/enrichment?wsdl", "", "", 200, `location="` + r.URL() + `"`},
		{"GET", "/enrichment?WSDL", "", "", 200, "wsdl:definitions"},
		{"GET", "/enrichment?wsdl", "", "files.example.org:80", 200, `location="http://files.example.org:80/enrichment"`},
		{"GET", "/enrichment?wsdl", "", "[::1]:7402", 200, `location="http://[::1]:7402/enrichment"`},
		{"GET", "/enrichment?wsdl", "", `a"><b`, 400, ""},
		{"HEAD", "/enrichment?wsdl", "", "", 200, ""},
		{"GET", "/enrichment", "", "", 405, "?wsdl"},
		{"PUT", "/enrichment", "text/xml", "", 405, ""},
		{"POST", "/", "text/xml", "", 404, ""},
		{"GET", "/", "", "", 404, ""},
		{"GET", "/enrichment/../etc/passwd", "", "", 404, ""},
		{"POST", "/enrichment", "application/soap+xml", "", 415, "text/xml"},
		{"POST", "/enrichment", "", "", 415, ""},
		{"POST", "/enrichment", "text/xml; charset=utf-16", "", 415, ""},
		{"POST", "/enrichment", "text/xml; charset=UTF-8", "", 200, "StampResponse"},
		{"POST", "/enrichment", "text/xml", "", 200, "StampResponse"},
	} {
		bad := dial(t, r)
		if c.host == "" {
			c.host = r.Addr().String()
		}
		_, err := fmt.Fprintf(bad, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
			c.method, c.path, c.host, c.contentType, len(stampEnvelope), stampEnvelope)
		must(t, err)
		reply, err := http.ReadResponse(bad.r, &http.Request{Method: c.method})
		must(t, err)
		body, err := io.ReadAll(reply.Body)
		must(t, err)
		if reply.StatusCode != c.status || !bytes.Contains(body, []byte(c.says)) {
			t.Errorf("%+v: %d %s", c, reply.StatusCode, body)
		}
		if reply.StatusCode == 405 && reply.Header.Get("Allow") != "POST" {
			t.Errorf("%+v: %v", c, reply.Header)
		}
	}
}

// FuzzRequest looks for panics, and for answers that are no envelopes.
func FuzzRequest(f *testing.F) {
	n, err := openNumbers(f.TempDir(), time.Now())
	must(f, err)
	f.Cleanup(func() { must(f, n.close()) })
	s := &Service{numbers: n, connections: newConnections(1)}
	enrich := strings.Replace(stampEnvelope, `<Stamp xmlns="`+soap.Namespace+`"><count>1</count></Stamp>`,
		`<Enrich xmlns="`+soap.Namespace+`"><name>a.txt</name><size>12</size><head>iVBORw0K</head></Enrich>`, 1)
	for _, seed := range []string{
		stampEnvelope, enrich, strings.Replace(stampEnvelope, ">1<", ">70000<", 1), strings.Replace(enrich, "a.txt", "../a", 1),
		strings.Replace(enrich, "12", "-12", 1), strings.Replace(enrich, "iVBORw0K", "!", 1), "<!DOCTYPE a>" + enrich, "", "<",
		strings.Replace(enrich, "<e:Body>", `<e:Header><h e:mustUnderstand="1"/></e:Header><e:Body>`, 1),
	} {
		f.Add([]byte(seed), "")
	}
	f.Add([]byte(enrich), soap.Namespace+"#Stamp")
	f.Fuzz(func(t *testing.T, body []byte, action string) {
		bounds.Hold(t, len(body)+len(action), func() {
			request, err := http.NewRequest(http.MethodPost, "http://localhost"+soap.Path, bytes.NewReader(body))
			must(t, err)
			request.Header = http.Header{"Content-Type": {"text/xml"}, "Soapaction": {action}}
			w := &recorder{header: http.Header{}}
			s.ServeHTTP(w, request)
			if w.status == http.StatusRequestEntityTooLarge && len(body) > maxBody {
				return
			}
			m, err := envelope.Read(&w.body)
			if err != nil {
				t.Fatalf("%d, %v", w.status, err)
			}
			fault := m.Name == xml.Name{Space: envelope.Namespace, Local: "Fault"}
			if fault != (w.status == 500) || !fault && w.status != 200 {
				t.Errorf("%v with status %d", m.Name, w.status)
			}
			if fault && m.Fields[0].Text == "soap:Server" {
				t.Errorf("the fault is the service's own: %s", m.Fields[1].Text)
			}
		})
	})
}

// recorder is an http.ResponseWriter that keeps what is written.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
