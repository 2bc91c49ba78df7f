package link

import (
	"context"
	"net"

	"shoal"
	"shoal/identity"
)

// Dialer opens a connection to an address, HOST:PORT, which is not protected yet.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// TCP is the Dialer of the network, where the transport allows that. Its errors have code Unreachable, or Denied for
// plaintext that would leave the machine.
func TCP(transport identity.Transport) Dialer {
	return func(ctx context.Context, address string) (net.Conn, error) {
		var dialer net.Dialer
		nc, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, shoal.Errorf(shoal.Unreachable, "%w; is it running, and the address right?", err)
		}
		if host, _, err := net.SplitHostPort(nc.RemoteAddr().String()); err == nil {
			if err := transport.CheckAddress(host); err != nil {
				nc.Close()
				return nil, err
			}
		}
		return nc, nil
	}
}
