package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	readers     = 64
	libraryName = shoal.Group("library")
	librarySize = 10_000 // objects
)

// library is a group of the first user's with objects, each of which one of the devices offers.
type library struct {
	*server
	clients []*client // each of a device of its own, logged in
	objects []held
}

// held is a name and what it stands for.
type held struct {
	name    shoal.Name
	content shoal.Object
}

// openLibrary starts a server and fills it through the clients. The caller must call close.
func openLibrary(ctx context.Context, b *report.Bench, name string) (_ *library, err error) {
	s, err := startServer(ctx, b, name)
	if err != nil {
		return nil, err
	}
	l := &library{server: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	first, err := s.connectFirst(ctx)
	if err != nil {
		return nil, err
	}
	l.clients = append(l.clients, first)
	create := wire.GroupChange{Sequence: first.next(), Verb: wire.CreateGroup, Group: libraryName}
	if err := first.ask(wire.KindGroup, &create, new(wire.MutationReply)); err != nil {
		return nil, err
	}
	for len(l.clients) < readers {
		c, err := s.connectMore(ctx)
		if err != nil {
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	random := rand.NewChaCha8([32]byte{7})
	for i := range librarySize {
		o := held{name: shoal.Name(fmt.Sprintf("dataset-%05d.tar", i)), content: shoal.Object{Size: 1 << 20}}
		_, _ = random.Read(o.content.ID[:]) // never fails
		l.objects = append(l.objects, o)
	}
	return l, l.each(l.fill)
}

// each calls do for all clients at the same time, and returns their errors.
func (l *library) each(do func(i int) error) error {
	all := make([]error, len(l.clients))
	var working sync.WaitGroup
	for i := range l.clients {
		working.Go(func() { all[i] = do(i) })
	}
	working.Wait()
	return errors.Join(all...)
}

// fill publishes and offers a client's share of the objects.
func (l *library) fill(i int) error {
	c := l.clients[i]
	announce := wire.Announce{Candidates: identity.SignCandidates(c.device, []identity.Candidate{
		{Security: wire.TLS, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(40_000+i))},
	}, time.Now(), time.Hour)}
	for j := i; j < len(l.objects); j += len(l.clients) {
		o := l.objects[j]
		publish := wire.Publish{Sequence: c.next(), Group: libraryName, Name: o.name, Content: o.content}
		if err := c.ask(wire.KindPublish, &publish, new(wire.MutationReply)); err != nil {
			return err
		}
		announce.Offers = append(announce.Offers, wire.Offer{
			Swarm: shoal.Swarm{Group: libraryName, Object: o.content}, Pieces: uint32(o.content.Pieces()),
		})
	}
	return c.ask(wire.KindAnnounce, &announce, new(wire.Empty))
}

func (l *library) close() error {
	hangUp(l.clients)
	return l.Stop()
}
