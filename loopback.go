package shoal

import "net/netip"

// IsLoopback tells whether host, an IP address or a name, can be nothing but this machine: "localhost" or a loopback
// address, with a zone or without. Names are not looked up.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
