package client

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"shoal/identity"
	"shoal/wire"
)

// listen opens the port that peers connect to.
func listen(c Config) (net.Listener, error) {
	address := c.Listen
	if address == "" {
		address = ":0"
		if c.Transport.CheckAddress("") != nil {
			address = "127.0.0.1:0" // plaintext stays on this machine
		}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the address to listen on must be HOST:PORT: %w", err)
	}
	if err := c.Transport.CheckAddress(host); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for peers: %w", err)
	}
	return l, nil
}

// addressesOf gives where a listener can be reached: at its own address, or, when it listens on all, at the address that
// the server sees if it is this machine's, then at the machine's others.
func addressesOf(bound net.Addr, security wire.Security) func(netip.Addr) []identity.Candidate {
	return func(observed netip.Addr) []identity.Candidate {
		at, err := netip.ParseAddrPort(bound.String())
		if err != nil {
			return nil
		}
		hosts := []netip.Addr{at.Addr().Unmap().WithZone("")}
		if at.Addr().IsUnspecified() {
			hosts = hostsOf(observed, localAddresses())
		}
		candidates := make([]identity.Candidate, len(hosts))
		for i, host := range hosts {
			candidates[i] = identity.Candidate{Security: security, Addr: netip.AddrPortFrom(host, at.Port())}
		}
		return candidates
	}
}

// hostsOf orders a machine's addresses for others to try. A loopback address is of use only where the server is on this
// machine too, and then so is everybody who can reach no other.
func hostsOf(observed netip.Addr, local []netip.Addr) []netip.Addr {
	observed = observed.Unmap()
	var hosts []netip.Addr
	if slices.Contains(local, observed) {
		hosts = append(hosts, observed)
	}
	for _, a := range local {
		if a != observed && !a.IsLoopback() {
			hosts = append(hosts, a)
		}
	}
	if observed.IsValid() && !slices.Contains(local, observed) {
		hosts = append(hosts, observed) // behind a translator that may forward the port
	}
	return hosts
}

// localAddresses are this machine's addresses that others can use, or that lead back to it.
func localAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var local []netip.Addr
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if addr := prefix.Addr().Unmap(); addr.IsGlobalUnicast() || addr.IsLoopback() {
			local = append(local, addr)
		}
	}
	return local
}
