package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/meta/histories"
	"shoal/wire"
)

const (
	cells      = 6 // of cellSize citizens each
	publishers = 8 // beside them
	// acksBeforeKill is how many mutations must have been acknowledged since the server was killed before, at least.
	acksBeforeKill = 200
	// killWithin is the time after that in which the server is killed.
	killWithin = 200 * time.Millisecond
	// startsFor is how long a server may live that is killed while it starts, at most.
	startsFor = time.Second
)

// Town is a server that is killed again and again, and those who live there.
type Town struct {
	Service *Service
	address string
	realm   shoal.RealmKey

	memories                   []memory
	asked, acknowledged, again int64 // by cells; of mutations, in all; and those again
}

// memory is what a device saw in the end.
type memory struct {
	key   *identity.Key
	asked []any
	seen  []histories.Answered
}

func (t *Town) connect(ctx context.Context, insist bool) *Citizen {
	return NewCitizen(ctx, t.address, t.realm, identity.NewKey(), insist)
}

// found makes the first user.
func (t *Town) found(ctx context.Context, code string) error {
	c := t.connect(ctx, false)
	answered, err := c.Ask(ctx, &wire.Register{User: "founder", Code: wire.Secret(code)})
	if err == nil && answered.Code != 0 {
		err = answered.Code
	}
	return errors.Join(err, c.Close())
}

// Chapter lets people come, live while the server is killed so many times, and go. The error says what was not right.
func (t *Town) Chapter(ctx context.Context, number, kills int) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all []*Citizen
	connect := func(insist bool) *Citizen {
		c := t.connect(ctx, insist)
		all = append(all, c)
		return c
	}
	defer func() {
		for _, c := range all {
			_ = c.Close() // the calls have told what was wrong
		}
	}()
	var neighbours []*Cell
	for i := range cells {
		neighbours = append(neighbours, NewCell(fmt.Sprintf("%d-%d", number, i), func() *Citizen { return connect(true) }))
	}
	var press []*Publisher
	for i := range publishers {
		press = append(press, NewPublisher(fmt.Sprintf("%d-publisher %d", number, i), connect(false)))
	}
	end := make(chan struct{})
	var lives sync.WaitGroup
	live := func(f func() error) {
		lives.Go(func() {
			if err := f(); err != nil {
				fail(err)
			}
		})
	}
	for _, c := range neighbours {
		for i := range c.citizens {
			live(func() error { return c.Live(ctx, i, end) })
		}
	}
	for _, p := range press {
		live(func() error { return p.Live(ctx, end) })
	}
	err := t.kill(ctx, kills, all)
	close(end)
	lives.Wait()
	if err = errors.Join(context.Cause(ctx), err); err != nil {
		return err
	}
	return t.endChapter(ctx, neighbours, press, all)
}

// kill kills the server at random moments, and starts it again. Sometimes it is killed while it starts, too.
func (t *Town) kill(ctx context.Context, times int, all []*Citizen) error {
	acknowledged := func() (n int64) {
		for _, c := range all {
			n += c.Acknowledged.Load()
		}
		return n
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for n := range times {
		for enough := acknowledged() + acksBeforeKill; acknowledged() < enough; {
			select {
			case <-look.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		time.Sleep(rand.N(killWithin)) // the random moment
		err := t.Service.Kill()
		if n%4 == 1 {
			err = errors.Join(err, t.Service.DieEarly(t.address, rand.N(startsFor)))
		}
		if err = errors.Join(err, t.Service.Restart(t.address)); err != nil {
			return err
		}
	}
	return nil
}

// endChapter checks everything, and writes down what there is.
func (t *Town) endChapter(ctx context.Context, neighbours []*Cell, press []*Publisher, all []*Citizen) error {
	errs := make([]error, len(neighbours)+len(press))
	var run sync.WaitGroup
	for i, c := range neighbours {
		run.Go(func() { errs[i] = c.End(ctx) })
	}
	for i, p := range press {
		run.Go(func() { errs[len(neighbours)+i] = p.Check(ctx) })
	}
	run.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, c := range neighbours {
		t.asked += int64(len(c.history))
	}
	for _, c := range all {
		t.acknowledged += c.Acknowledged.Load()
		t.again += c.Again.Load()
		m := memory{key: c.key, asked: []any{&wire.Whoami{}, &wire.Devices{}, &wire.Groups{}}}
		for _, p := range press {
			if p.Citizen == c {
				m.asked = append(m.asked, &wire.List{Group: p.group})
			}
		}
		seen, err := m.look(ctx, c)
		if err != nil {
			return err
		}
		m.seen = seen
		t.memories = append(t.memories, m)
	}
	return nil
}

func (m *memory) look(ctx context.Context, c *Citizen) (seen []histories.Answered, err error) {
	for _, what := range m.asked {
		answered, err := c.Ask(ctx, what)
		if err != nil {
			return nil, err
		}
		seen = append(seen, answered)
	}
	return seen, nil
}

// Remember returns an error unless everybody who has ever lived here finds everything as it was in the end.
func (t *Town) Remember(ctx context.Context) error {
	for i := range t.memories {
		m := &t.memories[i]
		c := NewCitizen(ctx, t.address, t.realm, m.key, false)
		seen, err := m.look(ctx, c)
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
		for k, was := range m.seen {
			if seen[k] != was {
				return fmt.Errorf("%v asked %T, and it was %+v, and is %+v now", c.Device, m.asked[k], was, seen[k])
			}
		}
	}
	return nil
}
