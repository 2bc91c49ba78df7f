package shoal

import (
	"net/netip"
	"strings"
)

const (
	// MaxMirror is the longest Mirror in bytes.
	MaxMirror = 512
	// MaxMirrors is how many mirrors a name has at most.
	MaxMirrors = 8
	// MaxKeptPieces is of how many pieces an object may be whose manifest servers keep: then it has at most 64 KiB.
	MaxKeptPieces = 1980
)

// Mirror is the URL at which a web server has a published file. Only ParseMirror makes one from what a stranger sent.
type Mirror string

// ParseMirror checks that s is a URL with the scheme http or https, a host, perhaps a port, a path and a query, and nothing
// else: no user or password, no fragment, nothing but printable ASCII (PROTOCOL.md, rule W1). So it is safe to print, and
// every program takes it apart in the same way (RFC 3986). The error has code BadRequest.
func ParseMirror(s string) (Mirror, error) {
	if len(s) > MaxMirror {
		return "", Errorf(BadRequest, "the URL of a mirror is %d bytes long; at most %d are allowed", len(s), MaxMirror)
	}
	rest, found := strings.CutPrefix(s, "http://")
	if !found {
		rest, found = strings.CutPrefix(s, "https://")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	switch {
	case !found:
		return "", Errorf(BadRequest, "the URL %q of a mirror begins with neither http:// nor https://", s)
	case strings.ContainsRune(rest[:end], '@'):
		return "", Errorf(BadRequest, "the URL of a mirror has a user or a password, which every member would see")
	case !validHostPort(rest[:end]):
		return "", Errorf(BadRequest, "the URL %q of a mirror needs HOST or HOST:PORT after the scheme, with the host in ASCII", s)
	case !validTail(rest[end:]):
		return "", Errorf(BadRequest, "the URL %q of a mirror has a character that must be written as %%XX, or a fragment", s)
	}
	return Mirror(s), nil
}

// Host is the host of the URL, with the port if it has one.
func (m Mirror) Host() string {
	_, rest, _ := strings.Cut(string(m), "://")
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// CheckMirrors refuses more than MaxMirrors, and the same twice. The error has code BadRequest.
func CheckMirrors(all []Mirror) error {
	if len(all) > MaxMirrors {
		return Errorf(BadRequest, "%d mirrors; at most %d are possible", len(all), MaxMirrors)
	}
	for i, m := range all {
		for _, other := range all[:i] {
			if m == other {
				return Errorf(BadRequest, "the mirror %q is named twice", string(m))
			}
		}
	}
	return nil
}

func validHostPort(s string) bool {
	host, port, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		host = ""
		if port, hasPort = strings.CutPrefix(s[end+1:], ":"); !hasPort && s[end+1:] != "" {
			return false
		}
	} else if host, port, hasPort = strings.Cut(s, ":"); !validHost(host) {
		return false
	}
	return !hasPort || validPort(port)
}

func validHost(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return !isAlphanumeric(r) && r != '-' && r != '.'
	})
}

func validPort(s string) bool {
	n := 0
	for _, r := range s {
		if r < '0' || r > '9' || n > 65535 {
			return false
		}
		n = 10*n + int(r-'0')
	}
	return n >= 1 && n <= 65535 && s[0] != '0'
}

// validTail reports whether s is a path and a query by RFC 3986.
func validTail(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
		case !isAlphanumeric(rune(c)) && !strings.ContainsRune("/?-._~!$&'()*+,;=:@", rune(c)):
			return false
		}
	}
	return true
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
