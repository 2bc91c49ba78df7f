package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shoal"
	"shoal/identity"
	"shoal/server/passwords"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	floodUsers, floodObjects = 1000, 10_000
	floodRate                = 200 // logins a second
	floodAskers              = 16
	askRate                  = 800 // a second, of all askers
	floodRounds              = 3   // and one before them that is thrown away
	floodTime                = 5 * time.Second
	floodBar                 = 10 // milliseconds
)

// flooded is what one round says.
type flooded struct {
	latencies                []time.Duration // of requests that are no logins
	checked, refused, logins int64
	spent                    proc.Spent
}

// loginFlood measures how long others' requests take while passwords are guessed: so many logins a second, each over a
// connection of its own and from an address of its own, with a wrong password.
func loginFlood(ctx context.Context, b *report.Bench) (_ []report.Verdict, err error) {
	t := newTown(floodUsers, 1, floodObjects, floodAskers)
	if t.password, err = passwords.New().Hash(ctx, netip.Addr{}, []byte(password)); err != nil {
		return nil, err
	}
	if err := t.settle(ctx, b, "login-flood"); err != nil {
		return nil, err
	}
	s, err := startServer(ctx, b, "login-flood")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	askers := make([]*client, floodAskers)
	for i := range askers {
		if askers[i], err = s.connect(ctx, t.keys[i]); err != nil {
			return nil, err
		}
		defer hangUp(askers[i : i+1])
	}
	var rows []string
	var worst []float64
	for round := range 2 + floodRounds {
		rate, name := floodRate, fmt.Sprint(round-1)
		if round == 0 {
			rate, name = 0, "none"
		}
		f, err := t.flood(ctx, s, askers, rate)
		if err != nil {
			return nil, err
		}
		slices.Sort(f.latencies)
		at := func(part float64) float64 {
			return f.latencies[int(float64(len(f.latencies))*part)].Seconds() * 1000
		}
		rows = append(rows, fmt.Sprintf("%s\t%d\t%d\t%d\t%.2f ms\t%.2f ms\t%.2f\t%.2f\t%.2f", name, f.logins, f.checked, f.refused,
			at(.5), at(.99), f.spent.Daemon, f.spent.Own, f.spent.Others))
		if round > 1 {
			worst = append(worst, at(.99))
		}
	}
	title := fmt.Sprintf("\n%d requests a second (LOOKUP and LIST) while %d logins a second come in; cores used; round 0 does not count\n"+
		"flood\tlogins\tchecked\tturned away\tmedian\tp99\tserver\tclients\tothers", askRate, floodRate)
	if err := report.Table(title, rows); err != nil {
		return nil, err
	}
	return []report.Verdict{{Name: "login-flood", Measured: report.Median(worst), Bar: floodBar, Unit: " ms"}}, nil
}

// flood asks for a while, with so many logins a second beside that.
func (t *town) flood(ctx context.Context, s *server, askers []*client, rate int) (f flooded, err error) {
	load, err := proc.StartLoad(s.Daemon)
	if err != nil {
		return f, err
	}
	begin := time.Now()
	var asking, guessing sync.WaitGroup
	errs := make([]error, len(askers)+1)
	took := make([][]time.Duration, len(askers))
	for i, c := range askers {
		asking.Go(func() { took[i], errs[i] = t.keepAsking(ctx, c, begin, i) })
	}
	var g guesser
	guessing.Go(func() { errs[len(askers)] = g.run(ctx, t, s, begin, rate) })
	asking.Wait()
	f.spent, err = load.Spent()
	guessing.Wait() // for those that are in line still, too
	f.checked, f.refused, f.logins = g.checked.Load(), g.refused.Load(), g.logins.Load()
	f.latencies = slices.Concat(took...)
	return f, errors.Join(append(errs, err, context.Cause(ctx))...)
}

// keepAsking sends requests at their times, whether answers are late or not, and returns how long after its time each was
// answered.
func (t *town) keepAsking(ctx context.Context, c *client, begin time.Time, which int) (took []time.Duration, err error) {
	const every = floodAskers * time.Second / askRate
	due := begin.Add(every * time.Duration(which) / floodAskers)
	for n := 0; due.Before(begin.Add(floodTime)) && ctx.Err() == nil; n++ {
		time.Sleep(time.Until(due))
		name, content := t.object((n*floodAskers + which) % t.objects)
		if n%8 == 0 {
			var reply wire.ListReply
			err = c.ask(wire.KindList, &wire.List{Group: t.group(0), After: string(name), Limit: 100}, &reply)
		} else {
			var reply wire.LookupReply
			if err = c.ask(wire.KindLookup, &wire.Lookup{Group: t.group(0), Name: name}, &reply); err == nil && reply.Content != content {
				err = fmt.Errorf("LOOKUP of %q is answered by %+v", name, reply)
			}
		}
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(due))
		due = due.Add(every)
	}
	return took, nil
}

// guesser logs in with wrong passwords.
type guesser struct {
	logins, checked, refused atomic.Int64
}

// run begins so many logins a second, and returns when all of them have ended, or ctx has.
func (g *guesser) run(ctx context.Context, t *town, s *server, begin time.Time, rate int) error {
	var all sync.WaitGroup
	var mu sync.Mutex // guards errs
	var errs []error
	for n := 0; rate > 0 && ctx.Err() == nil; n++ {
		due := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if due.After(begin.Add(floodTime)) {
			break
		}
		time.Sleep(time.Until(due))
		g.logins.Add(1)
		all.Go(func() {
			if err := g.guess(ctx, t, s, n); err != nil && ctx.Err() == nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// guess is one login, of a user from an address.
func (g *guesser) guess(ctx context.Context, t *town, s *server, n int) error {
	from := net.IPv4(127, byte(1+n>>16), byte(n>>8), byte(n))
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	c, err := s.connectBy(ctx, &dialer, identity.NewKey())
	if err != nil {
		return err
	}
	defer hangUp([]*client{c})
	stop := context.AfterFunc(ctx, func() { hangUp([]*client{c}) })
	defer stop()
	err = c.ask(wire.KindLogin, &wire.Login{
		Sequence: c.next(), User: string(t.user(n % t.users)), Password: []byte("not the right one"),
	}, new(wire.MutationReply))
	switch {
	case errors.Is(err, shoal.Denied):
		g.checked.Add(1)
	case errors.Is(err, shoal.Busy), errors.Is(err, shoal.Limit):
		g.refused.Add(1)
	case err == nil:
		return errors.New("a wrong password was taken")
	default:
		return err
	}
	return nil
}
