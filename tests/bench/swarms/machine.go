package main

import (
	"context"
	"fmt"

	"shoal/tests/bench/proc"
	"shoal/tests/netns"
)

// machine is where processes run: a host, or, where there is none, this machine under one of its loopback addresses.
type machine struct {
	*netns.Host
	address string
}

func (m machine) command(args ...string) proc.Command {
	if m.Host != nil {
		args = m.Command(args...)
	}
	return proc.Command{Args: args}
}

// hosts adds a machine to a LAN for each link.
func hosts(ctx context.Context, lan *netns.LAN, links ...netns.Link) ([]machine, error) {
	var list []machine
	for _, link := range links {
		h, err := lan.Add(ctx, link)
		if err != nil {
			return nil, err
		}
		list = append(list, onHost(h))
	}
	return list, nil
}

func onHost(h *netns.Host) machine { return machine{h, h.Addr.String()} }

// loopbacks is n times this machine, under addresses of their own.
func loopbacks(n int) []machine {
	var list []machine
	for i := range n {
		list = append(list, machine{address: fmt.Sprintf("127.0.0.%d", i+1)})
	}
	return list
}
