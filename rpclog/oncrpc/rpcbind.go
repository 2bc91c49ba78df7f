package oncrpc

import (
	"context"
	"errors"
	"fmt"

	"shoal"
	"shoal/xdr"
)

// The numbers of RFC 1833 section 3, for the transports of a Mapping, too.
const (
	ProtocolTCP = 6
	ProtocolUDP = 17

	portmapper        = 100000
	portmapperVersion = 2
	portmapperSet     = 1
	portmapperUnset   = 2
	portmapperGetPort = 3
)

// ErrNoRpcbind means that no rpcbind runs on this machine, which is none of a service's business: it can be called by its
// address.
var ErrNoRpcbind = shoal.Errorf(shoal.Unreachable, "there is no rpcbind on this machine")

// Mapping is where a program can be called on this machine.
type Mapping struct {
	Program, Version uint32
	Protocol         uint32 // ProtocolTCP or ProtocolUDP
	Port             uint32
}

// rpcbinds is where rpcbind listens. Over its socket it knows who asks, over the network it need not believe it.
var rpcbinds = [...]struct{ network, address string }{{"unix", "/run/rpcbind.sock"}, {"tcp", "127.0.0.1:111"}}

// Register tells rpcbind where the program is, in the place of whatever it was told before for the same version and
// protocol (RFC 1833 section 3). The error is ErrNoRpcbind, wrapped, where nobody answers, and has code Denied where
// rpcbind refuses.
func Register(ctx context.Context, m Mapping) error {
	return askRpcbind(ctx, func(c *Client) error {
		done, err := c.change(ctx, portmapperSet, m)
		if done || err != nil {
			return err
		}
		if err := c.unset(ctx, m); err != nil {
			return err
		}
		done, err = c.change(ctx, portmapperSet, m)
		if err == nil && !done {
			err = shoal.Errorf(shoal.Denied, "rpcbind refuses the program %#x; 'rpcinfo -p' shows who has it, root can remove that with 'rpcinfo -d'", m.Program)
		}
		return err
	})
}

// Unregister takes back what Register told, unless rpcbind has been told otherwise since. Errors are as Register's.
func Unregister(ctx context.Context, m Mapping) error {
	return askRpcbind(ctx, func(c *Client) error {
		if port, err := c.port(ctx, m); err != nil || port != m.Port {
			return err
		}
		return c.unset(ctx, m)
	})
}

// askRpcbind lets ask talk to the first rpcbind that answers.
func askRpcbind(ctx context.Context, ask func(*Client) error) error {
	failed := ErrNoRpcbind
	for _, r := range rpcbinds {
		c, err := Dial(ctx, Target{
			Network: r.network, Address: r.address, Program: portmapper, Version: portmapperVersion, MaxReply: 4 << 10,
		})
		if err != nil {
			failed = fmt.Errorf("%w: %w", failed, err)
			continue
		}
		err = ask(c)
		return errors.Join(err, c.Close())
	}
	return failed
}

// unset removes the mapping of m's version and protocol. The portmapper's version 2 removes those of all protocols at
// once, so the other one is put back.
func (c *Client) unset(ctx context.Context, m Mapping) error {
	other := m
	other.Protocol = ProtocolTCP + ProtocolUDP - m.Protocol
	var err error
	if other.Port, err = c.port(ctx, other); err != nil {
		return err
	}
	if _, err = c.change(ctx, portmapperUnset, m); err != nil {
		return err
	}
	// rpcbind says that it did what it did not do, for another user than the one who had registered it.
	left, err := c.port(ctx, m)
	if err == nil && left != 0 {
		err = shoal.Errorf(shoal.Denied, "rpcbind does not remove the program %#x: another user has registered it; root can, with 'rpcinfo -d'", m.Program)
	}
	if err == nil && other.Port != 0 {
		_, err = c.change(ctx, portmapperSet, other)
	}
	return err
}

// port asks where a program is; 0 if rpcbind does not know it.
func (c *Client) port(ctx context.Context, m Mapping) (uint32, error) {
	results, err := c.Call(ctx, portmapperGetPort, m.encode())
	if err != nil {
		return 0, err
	}
	d := xdr.NewDecoder(results)
	port := d.Uint32()
	return port, d.Finish()
}

// change calls SET or UNSET, which tell whether they did it.
func (c *Client) change(ctx context.Context, procedure uint32, m Mapping) (bool, error) {
	results, err := c.Call(ctx, procedure, m.encode())
	if err != nil {
		return false, err
	}
	d := xdr.NewDecoder(results)
	done := d.Bool()
	return done, d.Finish()
}

func (m Mapping) encode() []byte {
	var b []byte
	for _, v := range [...]uint32{m.Program, m.Version, m.Protocol, m.Port} {
		b = xdr.AppendUint32(b, v)
	}
	return b
}
