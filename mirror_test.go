package shoal

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"shoal/tests/bounds"
	"shoal/tests/names"
)

var goodMirrors = []string{
	"http://a", "https://a", "https://example.com/", "http://example.com:8080/pub/image.iso", "http://192.0.2.1/x",
	"https://[2001:db8::1]/x", "https://[2001:db8::1]:65535", "http://a?x=1", "http://a/%20b/%c3%BC?q=a%2Fb&c=d@e", "http://a/x@y:z",
	"http://A.Example.COM/~user/(x)!$&'*+,;=", "http://a:1/" + strings.Repeat("x", MaxMirror-len("http://a:1/")),
	"http://" + strings.Repeat("a", 253),
}

var badMirrors = []string{
	"", "a", "/x", "//a/x", "http:a", "http:/a", "http://", "https:///x", "http://?x", "HTTP://a", "ftp://a/x", "file:///etc/passwd",
	"javascript:alert(1)", "http://user@a/", "http://user:secret@a/", "http://@a/", "http://a:/", "http://a:0/", "http://a:080/", "http://a:65536/",
	"http://a:99999999999999999999/", "http://a:-1/", "http://a:x/", "http://a:1:2/", "http://::1/", "http://[::1", "http://[]/", "http://[a]/",
	"http://[127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1]x/", "http://[::1]:/", "http://a b/", "http://a/b c",
	"http://a/\x00", "http://a/\n", "http://a/\r\nHost: b", "http://a/\x1b[2J", "http://a/\x7f", "http://a/ü", "http://ü/", "http://a_b/", "http://a%2eb/",
	"http://a/%", "http://a/%2", "http://a/%zz", "http://a/#x", "http://a#x", `http://a\b/`, `http://a/\b`, "http://a/\"", "http://a/<", "http://a/`",
	"http://a/{x}", "http://a/|", "http://a/^", "http://a/\u202e", "http://a/\xff", " http://a/", "http://a/ ", "http://a:1/" + strings.Repeat("x", MaxMirror),
	"http://" + strings.Repeat("a", 254),
}

// Mirrors that are taken are taken apart alike by another program, and have no part that they should not.
func TestMirror(t *testing.T) {
	for _, s := range goodMirrors {
		m, err := ParseMirror(s)
		if err != nil || string(m) != s {
			t.Errorf("%q: %v", s, err)
		}
		u, err := url.Parse(s)
		if err != nil || u.Host != m.Host() || u.User != nil || u.Fragment != "" || u.Opaque != "" {
			t.Errorf("%q has the host %q: %+v, %v", s, m.Host(), u, err)
		}
	}
	for _, s := range badMirrors {
		if _, err := ParseMirror(s); !errors.Is(err, BadRequest) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestCheckMirrors(t *testing.T) {
	var all []Mirror
	for i := range MaxMirrors {
		all = append(all, Mirror("http://a/"+string(rune('a'+i))))
	}
	if err := CheckMirrors(all); err != nil {
		t.Error(err)
	}
	for name, wrong := range map[string][]Mirror{"too many": append(slices.Clone(all), "http://b"), "twice": {"http://a", "http://b", "http://a"}} {
		if err := CheckMirrors(wrong); !errors.Is(err, BadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMirror(f *testing.F) {
	for _, s := range append(goodMirrors, badMirrors...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		bounds.Hold(t, len(s), func() {
			m, err := ParseMirror(s)
			if err != nil {
				return
			}
			u, err := url.Parse(s)
			if err != nil || u.Host != m.Host() || u.String() != s && u.RawQuery == "" && !strings.HasSuffix(s, "?") && !strings.Contains(s, "%") {
				t.Errorf("%q is %+v to another program: %v", s, u, err)
			}
		})
	})
}

// A URL with a hostile name in it is none, or one whose every character shows as it is.
func TestHostileNamesInMirrors(t *testing.T) {
	for _, name := range names.Hostile() {
		for _, s := range []string{"http://example.com/" + name, "http://" + name + "/x", "http://example.com/?" + name, name, "http://" + name + "@example.com/"} {
			m, err := ParseMirror(s)
			if err == nil && (len(m) > MaxMirror || strings.ContainsFunc(string(m)+m.Host(), func(r rune) bool { return r <= ' ' || r >= 0x7f })) {
				t.Errorf("%q is a mirror", s)
			}
		}
	}
}
