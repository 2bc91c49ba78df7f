package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/wire"
)

const (
	startUsers, startGroups, startObjects = 100_000, 10_000, 1_000_000
	startRounds                           = 3 // and one before them that is thrown away
	startVisits                           = 100

	startBar     = 6.0  // seconds
	startPeakBar = 1.25 // GiB
)

// start measures how long a server with a large state takes until it listens, and what it has in memory at most until it has
// answered questions about all of that. The state is made once.
func start(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	t := newTown(startUsers, startGroups, startObjects, 1)
	for i := 1; i < startVisits; i++ {
		t.visited = append(t.visited, i*startGroups/startVisits)
	}
	if err := t.settle(ctx, b, "start"); err != nil {
		return nil, err
	}
	var rows []string
	var seconds, peaks []float64
	for round := range 1 + startRounds {
		took, use, err := t.startOnce(ctx, b)
		if err != nil {
			return nil, err
		}
		peak := float64(use.Peak) / (1 << 30)
		rows = append(rows, fmt.Sprintf("%d\t%.2f s\t%.2f s\t%.2f GiB", round, took.Seconds(), use.CPU.Seconds(), peak))
		if round > 0 {
			seconds, peaks = append(seconds, took.Seconds()), append(peaks, peak)
		}
	}
	title := fmt.Sprintf("\nStart with %d users, %d groups and %d objects; round 0 does not count\nround\tready\tprocessor\tmost memory", t.users, t.groups, t.objects)
	if err := report.Table(title, rows); err != nil {
		return nil, err
	}
	return []report.Verdict{
		{Name: "start", Measured: report.Median(seconds), Bar: startBar, Unit: " s"},
		{Name: "start-memory", Measured: report.Median(peaks), Bar: startPeakBar, Unit: " GiB"},
	}, nil
}

// startOnce starts the server and looks whether all is there. The processor time is that until it listened.
func (t *town) startOnce(ctx context.Context, b *report.Bench) (took time.Duration, use proc.Usage, err error) {
	begin := time.Now()
	s, err := startServer(ctx, b, "start")
	if err != nil {
		return 0, use, err
	}
	took = time.Since(begin)
	defer func() { err = errors.Join(err, s.Stop()) }()
	ready, err := s.Usage()
	if err != nil {
		return 0, use, err
	}
	c, err := s.connect(ctx, t.keys[0])
	if err != nil {
		return 0, use, err
	}
	defer hangUp([]*client{c})
	if err := t.look(c); err != nil {
		return 0, use, err
	}
	use, err = s.Usage()
	use.CPU = ready.CPU
	return took, use, err
}

// look asks for all users, all groups, and what is in the groups that the first user is in.
func (t *town) look(c *client) error {
	users, groups := 0, 0
	for after, more := "", true; more; {
		var page wire.UsersReply
		if err := c.ask(wire.KindUsers, &wire.Users{After: after, Limit: wire.MaxList}, &page); err != nil {
			return err
		}
		for _, e := range page.Entries {
			if e.User != string(t.user(users)) || e.Devices != 1 {
				return fmt.Errorf("user %d is %+v", users, e)
			}
			users++
			after = e.User
		}
		more = page.More
	}
	for after, more := "", true; more; {
		var page wire.GroupsReply
		if err := c.ask(wire.KindGroups, &wire.Groups{After: after, Limit: wire.MaxList}, &page); err != nil {
			return err
		}
		for _, e := range page.Entries {
			if after = string(e.Group); e.Owner == "" {
				continue // the one of all users
			}
			if e.Group != t.group(groups) || e.Owner != string(t.user(groups)) {
				return fmt.Errorf("group %d is %+v", groups, e)
			}
			groups++
		}
		more = page.More
	}
	if users != t.users || groups != t.groups {
		return fmt.Errorf("there are %d users and %d groups, not %d and %d", users, groups, t.users, t.groups)
	}
	for _, g := range append([]int{0}, t.visited...) {
		names, err := c.list(t.group(g))
		if err != nil {
			return err
		}
		if len(names) != t.objects/t.groups {
			return fmt.Errorf("the group %d has %d objects, not %d", g, len(names), t.objects/t.groups)
		}
		for i, e := range names {
			if name, content := t.object(g + i*t.groups); e.Name != name || e.Content != content {
				return fmt.Errorf("object %d of the group %d is %+v", i, g, e)
			}
		}
	}
	return nil
}
