package faults

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"shoal"
	"shoal/wire"
)

// Publisher is a citizen who publishes and unpublishes in a group that no one else changes: so what must be there is known.
type Publisher struct {
	*Citizen
	group shoal.Group
	n     int
	there map[shoal.Name]shoal.Object
}

// NewPublisher makes a publisher whose user and group have that name.
func NewPublisher(name string, citizen *Citizen) *Publisher {
	return &Publisher{Citizen: citizen, group: shoal.Group(name), there: map[shoal.Name]shoal.Object{}}
}

// names is how many names a publisher has at most; the tracker publishes them again whenever it is connected anew.
const names = 8

// Live makes the user and the group, and publishes and unpublishes until end is closed.
func (p *Publisher) Live(ctx context.Context, end <-chan struct{}) error {
	for _, what := range []any{&wire.Register{User: string(p.group)}, &wire.GroupChange{Verb: wire.CreateGroup, Group: p.group}} {
		if err := p.must(ctx, what); err != nil {
			return err
		}
	}
	for {
		select {
		case <-end:
			return nil
		default:
		}
		if err := p.step(ctx); err != nil {
			return err
		}
	}
}

func (p *Publisher) step(ctx context.Context) error {
	p.n++
	name := shoal.Name(fmt.Sprint("name ", p.n%names))
	if o, there := p.there[name]; there {
		delete(p.there, name)
		if err := p.must(ctx, &wire.Unpublish{Group: p.group, Name: name, File: o.ID}); err != nil {
			return err
		}
	}
	o := shoal.Object{Size: 1}
	binary.BigEndian.PutUint64(o.ID[:], uint64(p.n))
	p.there[name] = o
	if err := p.must(ctx, &wire.Publish{Group: p.group, Name: name, Content: o}); err != nil {
		return err
	}
	if p.n%5 != 0 {
		return nil
	}
	return p.Check(ctx)
}

// Check compares what there is with what must be there.
func (p *Publisher) Check(ctx context.Context) error {
	var want string
	for _, name := range slices.Sorted(maps.Keys(p.there)) {
		want += fmt.Sprintf("%s: %v; ", name, p.there[name].ID)
	}
	got, err := p.Ask(ctx, &wire.List{Group: p.group})
	if err == nil && got.Seen != want {
		err = fmt.Errorf("the group %q has %+v, not %s", p.group, got, want)
	}
	return err
}

func (p *Publisher) must(ctx context.Context, what any) error {
	answered, err := p.Ask(ctx, what)
	if err == nil && answered.Code != 0 {
		err = fmt.Errorf("%T %+v: %w", what, what, answered.Code)
	}
	return err
}
