package mirror

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"shoal"
	"shoal/tests/bounds"
	"shoal/tests/names"
	"shoal/wire/wiretest"
)

// reading takes blocks, and looks at none of their bytes: those are for the transfer to verify.
type reading struct{ lost chan error }

func (r *reading) Block(_, _, length int, read func([]byte) error) error {
	return read(make([]byte, length))
}
func (r *reading) Refused(int, int, int, error) {}
func (r *reading) Lost(err error)               { r.lost <- err }

// FuzzAnswer has a web server answer whatever it likes: first to what asks whether it has the file, then, where it is
// believed, to what asks for blocks. It ends, and its errors are for people.
func FuzzAnswer(f *testing.F) {
	const size = 10_000
	partial := func(span string, body int, more string) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %s\r\nContent-Length: %d\r\n%s\r\n%s", span, body, more, strings.Repeat("x", body))
	}
	first := partial("0-0/10000", 1, "ETag: \"a\"\r\n")
	f.Add(first, partial("0-9999/10000", 10_000, "ETag: \"a\"\r\n"))
	f.Add(first, partial("0-9999/*", 10_000, ""))
	f.Add(partial("0-0/18446744073709551616", 1, ""), []byte{})
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"), []byte{})
	f.Add([]byte("HTTP/1.1 301 x\r\nLocation: http://other/\x1b[2J\r\n\r\n"), first)
	f.Add([]byte("HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"), []byte{})
	f.Add([]byte("HTTP/1.1 503 x\r\nRetry-After: 99999999999999\r\n\r\n"), []byte{})
	f.Add([]byte("HTTP/1.1 429 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n"), []byte{})
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n"), []byte{})
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\nContent-Encoding: gzip\r\n\r\n"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, probe, answer []byte) {
		bounds.HoldSaid(t, func() int {
			var said atomic.Int64
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				s := &Source{URL: "http://example.com/file", Object: shoal.Object{Size: size}, dial: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := wiretest.Pipe()
					asked++
					text := answer
					if asked == 1 {
						text = probe
					}
					if asked > 20 {
						return nil, io.ErrUnexpectedEOF
					}
					said.Add(int64(len(text)))
					_, err := theirs.Write(text)
					theirs.(interface{ CloseWrite() error }).CloseWrite()
					return ours, err
				}}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, shoal.Errorf(shoal.Unreachable, "no answer"))
				defer cancel()
				c, err := s.Open(ctx)
				checkText(t, err)
				if err != nil {
					return
				}
				r := &reading{lost: make(chan error, 1)}
				ended := make(chan struct{})
				go func() { defer close(ended); c.Run(r) }()
				c.Fetch(0, 0, size)
				time.Sleep(time.Minute)
				c.Close(nil)
				<-ended
				select {
				case err := <-r.lost:
					checkText(t, err)
				default:
				}
				synctest.Wait()
			})
			return int(said.Load())
		})
	})
}

// checkText checks that an error has a code, and says nothing that a terminal obeys.
func checkText(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if shoal.CodeOf(err) == shoal.Internal || strings.ContainsFunc(err.Error(), unicode.IsControl) || bytes.ContainsRune([]byte(err.Error()), '\u202e') {
		t.Errorf("%v: %q", shoal.CodeOf(err), err)
	}
}

// Hostile names in each header of an answer lead to errors that can be shown, or to nothing.
func TestHostileHeaders(t *testing.T) {
	headers := []string{"Content-Range", "ETag", "Last-Modified", "Location", "Content-Encoding", "Retry-After", "Content-Type", "Content-Length", "Transfer-Encoding", "Content-Disposition"}
	statuses := []int{206, 200, 301, 503, 404, 416}
	for i, name := range names.Hostile() {
		if len(name) > 4096 {
			continue
		}
		text := fmt.Sprintf("HTTP/1.1 %d %s\r\n%s: %s\r\nContent-Range: bytes 0-0/7\r\n\r\nx", statuses[i%len(statuses)], name, headers[i%len(headers)], name)
		asked := 0
		s := &Source{URL: "http://example.com/file", Object: shoal.Object{Size: 7}, dial: func(context.Context, string, string) (net.Conn, error) {
			if asked++; asked > 10 {
				return nil, io.ErrUnexpectedEOF
			}
			ours, theirs := wiretest.Pipe()
			_, err := theirs.Write([]byte(text))
			theirs.(interface{ CloseWrite() error }).CloseWrite()
			return ours, err
		}}
		c, err := s.Open(t.Context())
		checkText(t, err)
		if err == nil {
			c.Close(nil)
			c.transport.CloseIdleConnections()
		}
	}
}
