package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"shoal"
	"shoal/server/meta/histories"
	"shoal/wire"
)

// Cell is a few citizens who make and delete users, devices and groups, and have to do with nobody else. What they are
// answered is a history that can be checked.
type Cell struct {
	name     string
	citizens []*Citizen
	begin    time.Time

	mu      sync.Mutex // guards what is below
	users   []string   // all that were ever asked for
	history []porcupine.Operation
}

// cellSize is how many citizens a cell has, and cellGroups how many groups they fight for.
const cellSize, cellGroups = 4, 2

// NewCell makes citizens by connect.
func NewCell(name string, connect func() *Citizen) *Cell {
	c := &Cell{name: name, begin: time.Now()}
	for range cellSize {
		c.citizens = append(c.citizens, connect())
	}
	return c
}

// Live lets the i-th citizen live until end is closed.
func (c *Cell) Live(ctx context.Context, i int, end <-chan struct{}) error {
	as := "" // who the citizen believes to be
	var last shoal.Code
	for n := 0; ; n++ {
		select {
		case <-end:
			return nil
		default:
		}
		what := c.wish(i, as)
		if last == shoal.Denied { // perhaps nobody any more
			what = &wire.Whoami{}
		}
		answered, err := c.ask(ctx, i, what)
		if err != nil {
			return err
		}
		switch m := what.(type) {
		case *wire.Register:
			as = believe(answered, m.User, as)
		case *wire.Login:
			as = believe(answered, m.User, as)
		case *wire.Logout:
			as = believe(answered, "", as)
		case *wire.Whoami:
			as, answered.Code = answered.Seen, 0
		}
		last = answered.Code
	}
}

func believe(answered histories.Answered, now, before string) string {
	if answered.Code != 0 {
		return before
	}
	return now
}

// ask asks, and writes down what is answered.
func (c *Cell) ask(ctx context.Context, i int, what any) (histories.Answered, error) {
	citizen := c.citizens[i]
	call := time.Since(c.begin)
	answered, err := citizen.Ask(ctx, what)
	if err != nil {
		return answered, fmt.Errorf("%s, citizen %d: %T %+v: %w", c.name, i, what, what, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, histories.Did(i, histories.Asked{By: citizen.Device, What: what}, call, answered, time.Since(c.begin)))
	return answered, nil
}

// wish is what a citizen wants next.
func (c *Cell) wish(i int, as string) any {
	n := rand.IntN(1000)
	if as == "" {
		if n < 700 {
			return &wire.Register{User: c.newUser(n < 50)}
		}
		return &wire.Login{User: c.anyUser()}
	}
	group := shoal.Group(fmt.Sprintf("%s group %d", c.name, rand.IntN(cellGroups)))
	switch {
	case n < 4:
		return &wire.Account{Verb: wire.DeleteUser, User: as}
	case n < 6:
		return &wire.Account{Verb: wire.DeleteUser, User: c.anyUser()}
	case n < 9:
		return &wire.Logout{}
	case n < 13:
		return &wire.Account{Verb: wire.RevokeDevice, Device: c.citizens[rand.IntN(cellSize)].Device}
	case n < 15:
		return &wire.Login{User: as}
	case n < 80:
		return &wire.Whoami{}
	case n < 120:
		return &wire.Devices{}
	case n < 240:
		return &wire.Groups{}
	case n < 360:
		return &wire.Members{Group: group, Which: wire.MembersIn}
	case n < 420:
		return &wire.Members{Group: group, Which: wire.MembersAsking}
	}
	return c.change(group)
}

// change is something to do to a group.
func (c *Cell) change(group shoal.Group) *wire.GroupChange {
	verbs := [...]wire.GroupVerb{
		wire.CreateGroup, wire.CreateGroup, wire.JoinGroup, wire.JoinGroup, wire.JoinGroup, wire.JoinGroup, wire.AcceptUser,
		wire.AcceptUser, wire.AcceptUser, wire.AcceptUser, wire.RejectUser, wire.LeaveGroup, wire.RemoveUser, wire.TransferGroup,
		wire.DeleteGroup,
	}
	m := &wire.GroupChange{Verb: verbs[rand.IntN(len(verbs))], Group: group}
	if m.Verb.NamesUser() {
		m.User = c.anyUser()
	}
	return m
}

// newUser is a name that nobody had, but for one of these that is taken.
func (c *Cell) newUser(taken bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if taken && len(c.users) > 0 {
		return c.users[rand.IntN(len(c.users))]
	}
	u := fmt.Sprintf("%s user %d", c.name, len(c.users))
	c.users = append(c.users, u)
	return u
}

// anyUser is one of the last users: most of them are there.
func (c *Cell) anyUser() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.users) == 0 {
		return c.name + " nobody"
	}
	const last = 2 * cellSize
	few := c.users[max(0, len(c.users)-last):]
	return few[rand.IntN(len(few))]
}

// End asks again for what was done, looks at all that there is once more, and returns an error unless all that was
// answered is possible.
func (c *Cell) End(ctx context.Context) error {
	for i, citizen := range c.citizens {
		if err := citizen.Insist(ctx); err != nil {
			return fmt.Errorf("%s, citizen %d: %w", c.name, i, err)
		}
	}
	for i := range c.citizens {
		for _, what := range []any{&wire.Whoami{}, &wire.Devices{}, &wire.Groups{}} {
			if _, err := c.ask(ctx, i, what); err != nil {
				return err
			}
		}
	}
	if err := histories.Check(histories.From(histories.State{}, nil), c.history); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}
