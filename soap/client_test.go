package soap

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"shoal"
	"shoal/soap/envelope"
)

func toText(v any) string { return fmt.Sprint(v) }

func envelopeOf(body string) string {
	return `<e:Envelope xmlns:e="` + envelope.Namespace + `"><e:Body>` + body + `</e:Body></e:Envelope>`
}

func stampReply(time, zone, first string) string {
	return envelopeOf(`<StampResponse xmlns="` + Namespace + `"><time>` + time + `</time><zone>` + zone + `</zone><first>` + first + `</first></StampResponse>`)
}

func enrichReply(parameters string) string {
	return envelopeOf(`<EnrichResponse xmlns="` + Namespace + `">` + parameters + `</EnrichResponse>`)
}

// lying starts a service that answers as it likes, and a client of it.
func lying(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(answer)
	c, err := NewClient(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.CloseClientConnections()
		s.Close()
	})
	return c
}

// saying answers with a status and an envelope.
func saying(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

func wantCode(t *testing.T, what string, err error, code shoal.Code) {
	t.Helper()
	if err == nil || shoal.CodeOf(err) != code {
		t.Errorf("%s: error %v, want one with code %v", what, err, code)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\x1b\x07\n") {
		t.Errorf("%s: the error has control characters: %q", what, err)
	}
}

// raw starts a service that writes bytes of its own, after having read a request's header.
func raw(t *testing.T, answer func(net.Conn)) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(nc))
			answer(nc)
			nc.Close()
		}
	}()
	c, err := NewClient("http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		l.Close()
		<-ended
	})
	return c
}

func TestEndlessRepliesAreBounded(t *testing.T) {
	flood := func(begin, text string) func(net.Conn) {
		return func(nc net.Conn) {
			_, err := io.WriteString(nc, begin)
			for block := []byte(strings.Repeat(text, 16<<10/len(text))); err == nil; {
				_, err = nc.Write(block)
			}
		}
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n"
	for what, answer := range map[string]func(net.Conn){
		"a body":          flood(ok, " "),
		"elements":        flood(ok, "<a>"),
		"a fault":         flood(strings.Replace(ok, "200 OK", "500 Oh", 1)+envelopeOf("<e:Fault><faultstring>")[:100], "x"),
		"a refusal":       flood(strings.Replace(ok, "200 OK", "404 Oh", 1), "x"),
		"a header":        flood(ok[:30], "x"),
		"headers":         flood(ok[:len(ok)-2], "X: y\r\n"),
		"interim replies": flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
		"a status":        flood("HTTP/1.1 200 ", "x"),
	} {
		c := raw(t, answer)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Stamp(t.Context(), 1)
		runtime.ReadMemStats(&after)
		if err == nil || shoal.CodeOf(err) == shoal.Canceled {
			t.Errorf("%s: %v", what, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 1<<20 {
			t.Errorf("%s: it cost %d bytes", what, cost)
		}
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for what, answer := range map[string]string{
		"silence":    "",
		"a header":   "HTTP/1.1 200 OK\r\nContent-Ty",
		"a body":     "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n<e:Env",
		"an interim": "HTTP/1.1 100 Continue\r\n\r\n",
	} {
		hung := func(nc net.Conn) {
			_, _ = io.WriteString(nc, answer)
			_, _ = io.Copy(io.Discard, nc) // until the client gives up
		}
		late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := raw(t, hung).Stamp(late, 1)
		wantCode(t, what, err, shoal.Unreachable)
		cancel()
		canceled, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(20*time.Millisecond, cancel)
		_, err = raw(t, hung).Enrich(canceled, "a", 1, nil)
		wantCode(t, what, err, shoal.Canceled)
		stop.Stop()
		cancel()
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c, err := NewClient("http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Stamp(t.Context(), 1)
	wantCode(t, "nobody", err, shoal.Unreachable)
}

func TestCallsShareAConnectionAndSurviveItsEnd(t *testing.T) {
	connections := 0
	s := httptest.NewUnstartedServer(saying(200, stampReply(goodTime, "CET", "7")))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections++ // by the one goroutine that accepts
		}
	}
	s.Start()
	c, err := NewClient(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if i == 5 {
			s.CloseClientConnections()
		}
		if _, err := c.Stamp(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	s.Close()
	if connections > 3 {
		t.Errorf("%d connections for ten calls", connections)
	}
}

func TestAddresses(t *testing.T) {
	for address, code := range map[string]shoal.Code{
		"http://127.0.0.1:1": 0, "http://localhost:1/enrichment": 0, "http://[::1]:1/": 0, "https://files.example.org": 0,
		"http://192.0.2.1:1": shoal.Denied, "http://localhost.example.org:1": shoal.Denied, "http://0.0.0.0:1": shoal.Denied,
		"": shoal.BadRequest, "127.0.0.1:1": shoal.BadRequest, "ftp://127.0.0.1/": shoal.BadRequest, "http://": shoal.BadRequest,
		"http://user:secret@127.0.0.1:1": shoal.BadRequest, "http://127.0.0.1:1/enrichment?wsdl": shoal.BadRequest, "http://[": shoal.BadRequest,
	} {
		_, err := NewClient(address, nil)
		if code == 0 && err != nil {
			t.Errorf("%q: %v", address, err)
		} else if code != 0 {
			wantCode(t, address, err, code)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(saying(200, stampReply(goodTime, "CET", "7")))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c, err := NewClient(s.URL, roots)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Stamp(t.Context(), 1); err != nil {
		t.Error(err)
	}
	stranger, err := NewClient(s.URL, x509.NewCertPool())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = stranger.Stamp(t.Context(), 1)
	wantCode(t, "an unknown authority", err, shoal.Untrusted)
}
