package mirror

import (
	"net/netip"
	"syscall"

	"shoal"
)

// A member of a group can publish any URL, and all others follow it: it must not lead into their own networks (server-side
// request forgery, OWASP). So each address is checked when it is connected to: what a name was, or what a redirect says,
// counts for nothing (rule W9).

// control refuses addresses right before they are connected to.
func (s *Source) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return shoal.Errorf(shoal.Denied, "the mirror at %s leads to %q, which is no address", s.URL.Host(), address)
	}
	return s.allowed(at.Addr())
}

func (s *Source) allowed(a netip.Addr) error {
	switch {
	case isPublic(a), s.Private && isNear(a):
		return nil
	case isNear(a):
		return shoal.Errorf(shoal.Denied, "the mirror at %s is at %v, in a private network; only with a server that allows private mirrors "+
			"(shoal server --private-mirrors) these are used", s.URL.Host(), a)
	}
	return shoal.Errorf(shoal.Denied, "the mirror at %s leads to %v, which is no address of a web server", s.URL.Host(), a)
}

// embedding are IPv6 addresses that have an IPv4 address at their end: IPv4-mapped ones (RFC 4291), and those of
// translators (RFC 6052).
var embedding = []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("64:ff9b::/96")}

// within is the IPv4 address in an IPv6 address that has one; else the address itself.
func within(a netip.Addr) netip.Addr {
	for _, p := range embedding {
		if p.Contains(a) {
			b := a.As16()
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	}
	return a
}

// global is where IPv6 addresses of the public Internet are (IANA's registry of global unicast addresses).
var global = netip.MustParsePrefix("2000::/3")

// special are addresses that look like those of the public Internet (IANA's registries of special-purpose addresses, RFC
// 6890), and are not, or have another one within.
var special = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// near are addresses of private networks, besides loopback and what netip calls private.
var near = prefixes("100.64.0.0/10", "198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")

func prefixes(all ...string) (parsed []netip.Prefix) {
	for _, p := range all {
		parsed = append(parsed, netip.MustParsePrefix(p))
	}
	return parsed
}

func contains(all []netip.Prefix, a netip.Addr) bool {
	for _, p := range all {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func isPublic(a netip.Addr) bool {
	a = within(a)
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !contains(special, a) && (a.Is4() || global.Contains(a)) && a.Zone() == ""
}

// isNear reports whether an address is of a private network, or of this machine. Those of a single link are not: it is
// there that clouds tell their machines' secrets.
func isNear(a netip.Addr) bool {
	a = within(a)
	return a.IsLoopback() || a.IsPrivate() || contains(near, a)
}
