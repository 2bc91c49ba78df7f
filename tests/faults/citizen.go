package faults

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shoal"
	"shoal/client/tracker"
	"shoal/identity"
	"shoal/server/meta/histories"
	"shoal/wire"
)

// password is everybody's.
const password = "correct horse battery staple"

// Citizen is a device that asks a server for things, one after the other, through a tracker as every client does, and waits
// for each answer, however often the server dies meanwhile. For one goroutine at a time.
type Citizen struct {
	Device              shoal.DeviceID
	Acknowledged, Again atomic.Int64 // mutations, and those that were asked for again

	key      *identity.Key
	tracker  *tracker.Tracker
	sequence uint64 // of the last mutation
	next     uint64 // what the tracker is told next
	remember bool   // to ask again
	done     []done // the last mutations that succeeded
	ended    chan error
	stop     context.CancelFunc
}

// done is a mutation that was acknowledged.
type done struct {
	what     any
	sequence uint64
}

// kept is how many outcomes of a device a server remembers at least, refusals being some (PROTOCOL.md rule S1).
const kept = 128

// NewCitizen connects a device to a server, as soon as there is one. With insist it asks for each mutation that has
// succeeded a second time, under the same sequence number; such a citizen must not publish, because its tracker does so
// once more by itself.
func NewCitizen(ctx context.Context, address string, realm shoal.RealmKey, key *identity.Key, insist bool) *Citizen {
	c := &Citizen{Device: key.Device(), key: key, remember: insist, ended: make(chan error, 1)}
	authority := identity.NewAuthority(realm)
	var sequence func() uint64
	if insist {
		sequence = func() uint64 { return c.next }
	}
	c.tracker = tracker.New(tracker.Config{
		Server: address, Key: key, Transport: identity.Transport{Security: wire.TLS}, Log: zerolog.Nop(),
		Sequence: sequence,
		Accept: func(r *wire.HelloReply) error {
			_, err := authority.VerifyServer(r.Certificate, r.Identity, time.Now())
			return err
		},
	})
	ctx, c.stop = context.WithCancel(ctx)
	go func() { c.ended <- c.tracker.Run(ctx) }()
	return c
}

// Close ends the connection.
func (c *Citizen) Close() error {
	c.stop()
	return <-c.ended
}

// patience is how long a citizen waits for an answer while the server comes and goes, on a machine that is busy.
const patience = 5 * time.Minute

// Ask returns what is answered. The error says that there was no answer, or that asking again was answered otherwise.
func (c *Citizen) Ask(ctx context.Context, what any) (histories.Answered, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if seen, is, err := c.look(ctx, what); is {
		return answer(seen, err)
	}
	c.sequence++
	c.next = c.sequence
	answered, err := answer("", c.change(ctx, what))
	if err != nil || answered.Code != 0 {
		return answered, err
	}
	c.Acknowledged.Add(1)
	// LOGIN may be refused when it is asked for again: the password is looked at first.
	if _, login := what.(*wire.Login); login || !c.remember {
		return answered, nil
	}
	c.done = append(c.done, done{what, c.sequence})
	return answered, c.again(ctx, 1)
}

// Insist asks once more for all mutations that are remembered.
func (c *Citizen) Insist(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.again(ctx, len(c.done))
}

func (c *Citizen) again(ctx context.Context, last int) error {
	for len(c.done) > 0 && c.done[0].sequence+kept <= c.sequence {
		c.done = c.done[1:]
	}
	for _, d := range c.done[max(0, len(c.done)-last):] {
		c.next = d.sequence
		if err := c.change(ctx, d.what); err != nil {
			return fmt.Errorf("%T %+v has succeeded and is asked for again: %w", d.what, d.what, err)
		}
		c.Again.Add(1)
	}
	return nil
}

// answer tells what a server answered from what kept it from answering.
func answer(seen string, err error) (histories.Answered, error) {
	if err == nil {
		return histories.Answered{Seen: seen}, nil
	}
	switch code := shoal.CodeOf(err); code {
	case shoal.NotFound, shoal.Denied, shoal.Exists, shoal.NameTaken, shoal.Limit:
		return histories.Answered{Code: code}, nil
	}
	return histories.Answered{}, err
}

// look asks for what changes nothing.
func (c *Citizen) look(ctx context.Context, what any) (seen string, is bool, err error) {
	switch m := what.(type) {
	case *wire.Whoami:
		who, err := c.tracker.Whoami(ctx)
		return who.User, true, err
	case *wire.Groups:
		all, err := c.tracker.Groups(ctx)
		mine := all[:0]
		for _, g := range all {
			if g.Group != shoal.Public {
				mine = append(mine, g)
			}
		}
		return histories.SeeGroups(mine), true, err
	case *wire.Members:
		all, err := c.tracker.Members(ctx, m.Group, m.Which)
		return histories.SeeMembers(all), true, err
	case *wire.Devices:
		all, err := c.tracker.Devices(ctx, "")
		if err != nil {
			return "", true, err
		}
		return histories.SeeDevices(all), true, nil
	case *wire.List:
		all, err := c.tracker.List(ctx, m.Group)
		for _, e := range all {
			seen += fmt.Sprintf("%s: %v; ", e.Name, e.Content.ID)
		}
		return seen, true, err
	}
	return "", false, nil
}

func (c *Citizen) change(ctx context.Context, what any) error {
	switch m := what.(type) {
	case *wire.Register:
		return queue(ctx, func() error {
			_, err := c.tracker.Register(ctx, m.User, []byte(password), m.Code, "")
			return err
		})
	case *wire.Login:
		return queue(ctx, func() error { return c.tracker.Login(ctx, m.User, []byte(password), "") })
	case *wire.Logout:
		return c.tracker.Logout(ctx)
	case *wire.Account:
		if m.Verb == wire.DeleteUser {
			return c.tracker.DeleteUser(ctx, m.User)
		}
		return c.tracker.RevokeDevice(ctx, m.Device)
	case *wire.GroupChange:
		if m.Verb == wire.CreateGroup {
			return c.tracker.CreateGroup(ctx, m.Group, 0)
		}
		return c.tracker.ChangeGroup(ctx, m.Verb, m.Group, m.User)
	case *wire.Publish:
		return c.tracker.Publish(ctx, m.Group, m.Name, m.Content, nil)
	case *wire.Unpublish:
		return c.tracker.Unpublish(ctx, m.Group, m.Name, m.File)
	}
	return errors.New("not a mutation")
}

// queue asks again while too many others show their passwords.
func queue(ctx context.Context, ask func() error) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		err := ask()
		if !errors.Is(err, shoal.Busy) {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
