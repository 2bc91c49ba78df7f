package report

import (
	"net/netip"
	"slices"

	"shoal"
	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/wire"
)

// Frame tells of a frame of Shoal's.
func (c *Collector) Frame(v *Conversation, f *check.Frame) {
	v.Frames[f.From]++
	v.Device = f.Conn.Device
	switch f.Conn.Service {
	case wire.ServiceServer:
		v.Service = "server"
	case wire.ServicePeer:
		v.Service, v.Peer = "peer", f.Conn.Identity
	}
	k := c.kind(dialect.Shoal, f.Kind.String())
	k.Bytes += wire.HeaderSize + int64(f.Length)
	switch {
	case f.IsReply():
		k.Replies++
		if f.Flags&wire.FlagError != 0 {
			k.Errors++
		}
		if f.Request != nil {
			k.latencies.add(f.At.Sub(f.Request.At))
		}
	case f.ID == 0:
		k.Events++
	default:
		k.Requests++
	}
	if f.IsPiece() && f.Handle != nil {
		c.block(v, f)
	}
}

// block counts a block to those who sent and fetched it.
func (c *Collector) block(v *Conversation, f *check.Frame) {
	n := int64(f.Data - f.Missing)
	c.peer(v.Device, v.Initiator.Addr()).BlocksIn += n
	c.peer(v.Peer, v.Responder.Addr()).BlocksOut += n
	swarm := f.Handle.Swarm
	if o := c.object(swarm); o != nil {
		o.Blocks++
		o.Bytes += n
		note(o.to, v.Device)
		note(o.from, v.Peer)
	}
	if g := c.get(v, swarm); g != nil {
		if s := g.source(v); s != nil {
			g.add(s, f.Began, f.At, n)
		}
	}
}

// note adds a device to those counted, if there is room.
func note(devices map[shoal.DeviceID]bool, device shoal.DeviceID) {
	if len(devices) < maxPeers {
		devices[device] = true
	}
}

// peer is what is told of a device; what there is no room for is told of nobody.
func (c *Collector) peer(device shoal.DeviceID, address netip.Addr) *Peer {
	p := c.peers[device]
	if p == nil {
		p = &Peer{Device: device}
		if device == (shoal.DeviceID{}) {
			return p
		}
		if len(c.peers) == maxPeers {
			c.report.Omitted.Peers++
			return p
		}
		c.peers[device] = p
	}
	if len(p.Addresses) < maxAddresses && !slices.Contains(p.Addresses, address) {
		p.Addresses = append(p.Addresses, address)
	}
	return p
}

func (p *Peer) carried(sent, received int64) {
	p.Sent += sent
	p.Received += received
}

func (c *Collector) object(swarm shoal.Swarm) *Object {
	o := c.objects[swarm]
	if o == nil {
		if len(c.objects) == maxObjects {
			c.report.Omitted.Objects++
			return nil
		}
		o = &Object{
			File: swarm.Object.ID, Group: swarm.Group, Size: swarm.Object.Size,
			to: map[shoal.DeviceID]bool{}, from: map[shoal.DeviceID]bool{},
		}
		c.objects[swarm] = o
	}
	return o
}

// get is the one that a block over v belongs to.
func (c *Collector) get(v *Conversation, swarm shoal.Swarm) *Get {
	key := getKey{v.Device, swarm}
	g := c.gets[key]
	if g == nil {
		if len(c.report.Gets) == maxGets {
			c.report.Omitted.Gets++
			return nil
		}
		g = &Get{
			File: swarm.Object.ID, Group: swarm.Group, Size: swarm.Object.Size, Device: v.Device, Address: v.Initiator.Addr(),
			open: map[*Conversation]bool{},
		}
		c.gets[key] = g
		c.report.Gets = append(c.report.Gets, g)
	}
	if !g.open[v] {
		g.open[v] = true
		v.gets = append(v.gets, key)
	}
	return g
}

// source is the one that v leads to.
func (g *Get) source(v *Conversation) *Source {
	for _, s := range g.Sources {
		if s.Device == v.Peer && s.Address == v.Responder {
			return s
		}
	}
	if len(g.Sources) == maxSources {
		return nil
	}
	s := &Source{Device: v.Peer, Address: v.Responder}
	g.Sources = append(g.Sources, s)
	return s
}
