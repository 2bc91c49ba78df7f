package service

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shoal/soap"
	"shoal/tests/bounds"
	"shoal/wire/wiretest"
)

// FuzzHTTP holds a whole connection to the service, from its first byte: requests, halves of them, and noise. It ends when the other
// side does, and each answer is one of HTTP.
func FuzzHTTP(f *testing.F) {
	post := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", soap.Path, len(stampEnvelope), stampEnvelope)
	for _, s := range []string{
		post, post + post, "GET " + soap.Path + "?wsdl HTTP/1.1\r\nHost: a\"<>\r\n\r\n", "GET " + soap.Path + "?wsdl HTTP/1.0\r\n\r\n",
		"POST " + soap.Path + " HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
		"POST " + soap.Path + " HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01", "",
	} {
		f.Add([]byte(s))
	}
	n, err := openNumbers(f.TempDir(), time.Now())
	must(f, err)
	l := wiretest.Listen()
	s := &Service{numbers: n, connections: newConnections(8), listener: l, log: zerolog.Nop()}
	server, served := s.server(), make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	f.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			f.Error(err)
		}
		must(f, n.close())
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("HEAD")) {
			return // its answer could not be told from one that is cut off
		}
		var said []byte
		bounds.Hold(t, len(b), func() {
			nc, err := l.Dial(t.Context())
			must(t, err)
			defer nc.Close()
			_, err = nc.Write(b)
			must(t, err)
			must(t, nc.(interface{ CloseWrite() error }).CloseWrite())
			said, err = io.ReadAll(nc)
			must(t, err)
		})
		for in := bufio.NewReader(bytes.NewReader(said)); ; {
			if _, err := in.Peek(1); err != nil {
				return
			}
			r, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			if err != nil {
				t.Fatalf("%q is answered with %q: %v", b, said, err)
			}
		}
	})
}
