package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal"
)

// Redirects are followed, but not for ever, not out of https, and not to what is no web server.
func TestRedirects(t *testing.T) {
	content := random(1 << 18)
	hops := func(n int) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			at := strings.Count(r.URL.Path, "x")
			if at == n {
				return false
			}
			w.Header().Set("Set-Cookie", "a=b")
			http.Redirect(w, r, fmt.Sprintf("/%s#part", strings.Repeat("x", at+1)), []int{301, 302, 303, 307, 308}[at%5])
			return true
		}
	}
	s := newSite(t, content, hops(redirects))
	if k := fetch(t, s.source(), blocksOf(s.source().Object, 1<<17)); !bytes.Equal(k.got, content) {
		t.Error("other bytes came")
	}
	for _, r := range s.asked() {
		if r.Referer() != "" || len(r.Cookies()) > 0 {
			t.Errorf("sent %v", r.Header)
		}
	}
	_, err := newSite(t, content, hops(redirects+1)).source().Open(t.Context())
	wantCode(t, err, shoal.Changed, "redirects")
	for _, to := range []string{"", "file:///etc/passwd", "ftp://example.com/", "http://", "http://user:secret@example.com/", "http://a b/", "javascript:alert(1)", "http://[::1"} {
		s := newSite(t, content, func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header()["Location"] = []string{to}
			w.WriteHeader(302)
			return true
		})
		if _, err := s.source().Open(t.Context()); !errors.Is(err, shoal.Denied) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	c := &Conn{source: &Source{URL: "https://example.com/"}}
	from := httptest.NewRequest("GET", "https://example.com/", nil).URL
	_, err = c.redirect(from, "http://example.com/x")
	wantCode(t, err, shoal.Denied, "https to http")
	if to, err := c.redirect(from, "//other.example/x"); err != nil || to.String() != "https://other.example/x" {
		t.Errorf("to %v, %v", to, err)
	}
}

// A busy web server is asked again when it says, within bounds.
func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := random(1 << 18)
		asked, busy := 0, "30"
		src := inMemory(t, content, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked++; busy != "" {
				w.Header().Set("Retry-After", busy)
				w.WriteHeader(503)
				return
			}
			http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(content))
		}))
		for _, wait := range []struct {
			says string
			is   time.Duration
		}{{"30", 30 * time.Second}, {"999999999", longestWait}, {"nonsense", usualWait}, {"-1", usualWait}, {"a date", 0}} {
			if busy = wait.says; wait.is == 0 {
				at := time.Now().Add(2 * time.Minute).Truncate(time.Second)
				busy, wait.is = at.UTC().Format(http.TimeFormat), time.Until(at)
			}
			before := asked
			_, err := src.Open(t.Context())
			wantCode(t, err, shoal.Busy, "")
			time.Sleep(wait.is - time.Millisecond)
			_, err = src.Open(t.Context())
			wantCode(t, err, shoal.Busy, "left alone")
			if time.Sleep(2 * time.Millisecond); asked != before+1 {
				t.Errorf("after %q it was asked %d times", wait.says, asked-before)
			}
		}
		busy = ""
		if k := fetch(t, src, []extent{{0, 0, 1 << 18}}); !bytes.Equal(k.got, content) {
			t.Error("other bytes came")
		}
	})
}
