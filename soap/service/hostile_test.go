package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"shoal/soap"
	"shoal/soap/envelope"
)

// allowed is what an attack may take of the service's memory, in bytes over its whole time, with all that was freed.
const allowed = 2 << 20

const stampEnvelope = `<e:Envelope xmlns:e="` + envelope.Namespace + `"><e:Body><Stamp xmlns="` + soap.Namespace + `"><count>1</count></Stamp></e:Body></e:Envelope>`

// caller is one connection over which calls are made by hand.
type caller struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, r *running) *caller {
	t.Helper()
	nc, err := net.Dial("tcp", r.Addr().String())
	must(t, err)
	t.Cleanup(func() { nc.Close() })
	must(t, nc.SetDeadline(time.Now().Add(20*time.Second)))
	return &caller{nc, bufio.NewReader(nc)}
}

// post is a request's header; the body follows, chunked if its length is negative.
func post(length int) string {
	framing := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		framing = "Transfer-Encoding: chunked"
	}
	return "POST " + soap.Path + " HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\n" + framing + "\r\n\r\n"
}

// stamps checks that a good call over this connection is answered.
func (c *caller) stamps(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(c, post(len(stampEnvelope))+stampEnvelope)
	must(t, err)
	status, body := c.reply(t)
	if status != http.StatusOK || !strings.Contains(body, "StampResponse") {
		t.Errorf("a good call is answered by %d: %s", status, body)
	}
}

func (c *caller) reply(t *testing.T) (status int, body string) {
	t.Helper()
	reply, err := http.ReadResponse(c.r, nil)
	must(t, err)
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	must(t, err)
	return reply.StatusCode, string(text)
}

// flood writes text over and over, total bytes of it, in chunks if so said, until the other side takes no more.
func (c *caller) flood(text string, total int, chunked bool) {
	block := []byte(strings.Repeat(text, max(1, 16<<10/len(text))))
	if chunked {
		block = fmt.Appendf(nil, "%x\r\n%s\r\n", len(block), block)
	}
	for total > 0 {
		n, err := c.Write(block)
		if err != nil {
			return
		}
		total -= n
	}
}

// ended checks that the service has closed the connection, whatever it said before.
func (c *caller) ended(t *testing.T) {
	t.Helper()
	for buffer := make([]byte, 4<<10); ; {
		if _, err := c.r.Read(buffer); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the connection was not closed")
			}
			return
		}
	}
}

// TestHostileRequests sends each attack while a good client's connection is open, which must go on.
func TestHostileRequests(t *testing.T) {
	patient := run(t, Config{})
	hasty := run(t, Config{limits: limits{header: 300 * time.Millisecond, request: 300 * time.Millisecond, reply: 2 * time.Second, idle: time.Minute, end: time.Second}})
	const much = 64 << 20
	begin := strings.TrimSuffix(stampEnvelope, `1</count></Stamp></e:Body></e:Envelope>`)
	whole := func(body string) func(*caller) {
		return func(c *caller) { _, _ = io.WriteString(c, post(len(body))+body) }
	}
	endless := func(prefix, text string) func(*caller) {
		return func(c *caller) {
			_, _ = fmt.Fprintf(c, "%s%x\r\n%s\r\n", post(-1), len(prefix), prefix)
			c.flood(text, much, true)
		}
	}
	bomb := `<!DOCTYPE b [<!ENTITY a0 "aaaaaaaaaa">`
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf(`<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	bomb += "]>" + strings.Replace(stampEnvelope, "1<", "&a9;<", 1)
	for _, c := range []struct {
		name   string
		status int // of the answer; 0 where none is needed
		slow   bool
		attack func(*caller)
	}{
		{"64 MiB announced", 413, false, func(c *caller) {
			_, _ = io.WriteString(c, post(much))
			c.flood(" ", much, false)
		}},
		{"64 MiB of spaces", 500, false, endless("", " ")},
		{"64 MiB of text", 500, false, endless(begin, "x")},
		{"64 MiB of a tag's name", 500, false, endless("<", "x")},
		{"64 MiB of an attribute", 500, false, endless("<a b='", "x")},
		{"64 MiB of attributes", 500, false, endless("<a", " b=''")},
		{"64 MiB of elements", 500, false, endless(begin, "<a/>")},
		{"64 MiB of comments", 500, false, endless(begin, "<!-- -->")},
		{"64 MiB of comments and spaces", 413, false, endless(begin+"<a>", fmt.Sprintf("%8000s<!--%8000s-->", "", ""))},
		{"64 MiB of entities", 500, false, endless(begin, "&amp;")},
		{"deep nesting", 500, false, endless("", "<a>")},
		{"64 MiB of chunk extensions", 0, false, func(c *caller) {
			_, _ = io.WriteString(c, post(-1)+"1;")
			c.flood("x", much, false)
		}},
		{"entity bomb", 500, false, whole(bomb)},
		{"deep nesting, all there", 500, false, whole(strings.Repeat("<a>", 100_000))},
		{"a huge header", 431, false, func(c *caller) {
			_, _ = io.WriteString(c, "POST "+soap.Path+" HTTP/1.1\r\nHost: a\r\nX: ")
			c.flood("x", much, false)
		}},
		{"many headers", 431, false, func(c *caller) {
			_, _ = io.WriteString(c, "POST "+soap.Path+" HTTP/1.1\r\nHost: a\r\n")
			c.flood("X: y\r\n", much, false)
		}},
		{"a huge request line", 431, false, func(c *caller) {
			_, _ = io.WriteString(c, "GET /")
			c.flood("x", much, false)
		}},
		{"a slow header", 0, true, func(c *caller) { _, _ = io.WriteString(c, "POST ") }},
		{"a slow body", 408, true, func(c *caller) { _, _ = io.WriteString(c, post(1000)+"<e:Envelope") }},
		{"silence", 0, true, func(*caller) {}},
		{"no HTTP", 400, false, func(c *caller) { _, _ = io.WriteString(c, "\x16\x03\x01\x00\xa5\r\n\r\n") }},
		{"half a body and no more", 0, false, func(c *caller) {
			_, _ = io.WriteString(c, post(1000)+"<e:Envelope")
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := patient
			if c.slow {
				r = hasty
			}
			good, bad := dial(t, r), dial(t, r)
			good.stamps(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				c.attack(bad)
			}()
			good.stamps(t)
			if c.status != 0 {
				status, body := bad.reply(t)
				if status != c.status || status == 500 && !strings.Contains(body, "<faultcode>soap:Client<") {
					t.Errorf("answered by %d, want %d: %s", status, c.status, body)
				}
			}
			bad.ended(t)
			bad.Close() // or what is being sent would be taken for a while, so that the answer is not lost
			<-sent
			runtime.ReadMemStats(&after)
			if cost := after.TotalAlloc - before.TotalAlloc; cost > allowed {
				t.Errorf("it cost %d bytes", cost)
			}
			good.stamps(t)
		})
	}
}

// Silent connections make room for those who speak, and those who speak, or have spoken, keep theirs.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	const most = 8
	r := run(t, Config{MaxConnections: most})
	good, quiet := dial(t, r), dial(t, r)
	quiet.stamps(t)
	var silent []*caller
	for range most {
		silent = append(silent, dial(t, r), dial(t, r))
		one := dial(t, r)
		one.stamps(t) // it is answered, so those before it have been accepted
		must(t, one.Close())
		good.stamps(t)
	}
	for _, c := range silent[:len(silent)-most] {
		c.ended(t)
	}
	good.stamps(t)
	quiet.stamps(t)
}

func TestEndIsNotHeldUp(t *testing.T) {
	r := run(t, Config{})
	silent, half, idle := dial(t, r), dial(t, r), dial(t, r)
	_, err := io.WriteString(half, post(1000)+"<e:Envelope")
	must(t, err)
	idle.stamps(t)
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v to end", took)
	}
	for _, c := range []*caller{silent, half, idle} {
		c.ended(t)
	}
}
