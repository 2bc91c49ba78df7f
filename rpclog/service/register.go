package service

import (
	"context"
	"errors"
	"net"
	"time"

	"shoal/rpclog"
	"shoal/rpclog/oncrpc"
)

// How long rpcbind is waited for. Nothing else waits meanwhile, but the end of the service for the second.
const (
	registerTime   = 10 * time.Second
	unregisterTime = 2 * time.Second
)

// beRegistered is known to rpcbind, if there is one, until ctx ends.
func (s *Service) beRegistered(ctx context.Context) {
	_, port, _ := net.SplitHostPort(s.Addr().String())
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		s.log.Error().Err(err).Msg("the service's own port")
		return
	}
	mapping := func(protocol uint32) oncrpc.Mapping {
		return oncrpc.Mapping{Program: rpclog.Program, Version: rpclog.Version, Protocol: protocol, Port: uint32(number)}
	}
	wanted := []oncrpc.Mapping{mapping(oncrpc.ProtocolTCP)}
	if s.packets != nil {
		wanted = append(wanted, mapping(oncrpc.ProtocolUDP))
	}
	var done []oncrpc.Mapping
	for _, m := range wanted {
		if s.tellRpcbind(ctx, m) {
			done = append(done, m)
		}
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unregisterTime)
	defer cancel()
	for _, m := range done {
		if err := oncrpc.Unregister(ctx, m); err != nil {
			s.log.Warn().Err(err).Str("protocol", protocolName(m)).Msg("rpcbind still has the service")
			continue
		}
		s.log.Info().Str("protocol", protocolName(m)).Msg("unregistered from rpcbind")
	}
}

// tellRpcbind registers a mapping, says how that went, and returns whether it must be taken back.
func (s *Service) tellRpcbind(ctx context.Context, m oncrpc.Mapping) bool {
	ctx, cancel := context.WithTimeout(ctx, registerTime)
	defer cancel()
	err := oncrpc.Register(ctx, m)
	switch {
	case err == nil:
		s.log.Info().Str("protocol", protocolName(m)).Uint32("port", m.Port).Msg("registered with rpcbind")
	case errors.Is(err, oncrpc.ErrNoRpcbind):
		s.log.Info().Str("protocol", protocolName(m)).Msg("there is no rpcbind on this machine to register with: callers need the address")
		return false
	default:
		s.log.Warn().Err(err).Str("protocol", protocolName(m)).Msg("not registered with rpcbind: callers need the address")
	}
	return true // perhaps rpcbind did it, and only the answer was lost
}

func protocolName(m oncrpc.Mapping) string {
	if m.Protocol == oncrpc.ProtocolUDP {
		return "udp"
	}
	return "tcp"
}
