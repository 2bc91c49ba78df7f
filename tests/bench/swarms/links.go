package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"shoal/tests/bench/report"
	"shoal/tests/netns"
)

// fast is the link of a machine that nothing is to wait for.
var fast = netns.Link{Up: netns.Gigabit, Down: netns.Gigabit}

// onLinks calls do with a supply of size bytes, in memory: a source at each link, a fetcher at a link of 1 Gbit/s and
// shoal's server at one without a rate.
func onLinks(ctx context.Context, b *report.Bench, size int64, links []netns.Link, do func(*netns.LAN, *supply) error) (err error) {
	dir, remove, err := inMemory(b, 4*size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	lan, err := netns.NewLAN(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lan.Close()) }()
	machines, err := hosts(ctx, lan, append([]netns.Link{{}, fast}, links...)...)
	if err != nil {
		return err
	}
	s := &supply{Bench: b, dir: dir, server: machines[0], fetcher: machines[1], sources: machines[2:]}
	// The sources may share a file: what each machine has in memory itself is the same here.
	one := filepath.Join(dir, "sources")
	if err := makeFolderWithFile(ctx, one, size); err != nil {
		return err
	}
	for range links {
		s.folders = append(s.folders, one)
	}
	return do(lan, s)
}

// links measures a download from sources of very different rates, against what their rates add up to.
func (s *suite) links(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	const size = 256 * mib
	var links []netns.Link
	sum := 0.0 // bytes a second
	for _, rate := range []netns.Rate{10, 40, 100, 250} {
		links = append(links, netns.Link{Up: rate * netns.Megabit, Down: rate * netns.Megabit})
		sum += (rate * netns.Megabit).Goodput()
	}
	bound := timeFor(size, sum)
	var contenders []*contender
	err := onLinks(ctx, b, size, links, func(_ *netns.LAN, u *supply) (err error) {
		var stop func() error
		contenders, stop, err = start(ctx, u.aria2, u.libtorrent,
			func(ctx context.Context) (*contender, error) { return u.shoal(ctx, "shoal (TLS 1.3)") })
		if err != nil {
			return err
		}
		return errors.Join(u.alternate(ctx, contenders, 0, s.turns), stop())
	})
	if err != nil {
		return nil, err
	}
	rows := []string{"\tseconds\tof the goodput\tslowest turn"}
	share := 0.0
	for _, c := range contenders {
		wall := report.Median(c.walls)
		share = 100 * bound.Seconds() / wall.Seconds()
		rows = append(rows, fmt.Sprintf("%s\t%s\t%.1f %%\t%s", c.name, seconds(wall), share, seconds(slowest(c.walls))))
	}
	title := fmt.Sprintf("\n256 MiB from sources at 10, 40, 100 and 250 Mbit/s; all of their goodput would take %s s; medians of %d",
		seconds(bound), s.turns)
	return []report.Verdict{{Name: "links", Measured: share, Bar: 97, AtLeast: true, Unit: " %"}}, report.Table(title, rows)
}

func slowest(walls []time.Duration) (most time.Duration) {
	for _, w := range walls {
		most = max(most, w)
	}
	return most
}
