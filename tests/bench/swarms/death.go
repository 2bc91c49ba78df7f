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

// death measures what a download loses when one of four sources dies half-way: when all its processes are killed, and when
// its link loses everything and nobody is told.
func (s *suite) death(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	const size = 256 * mib
	ways := []struct {
		name string
		die  func(*netns.Host, context.Context) error
		lost []time.Duration
	}{{name: "killed", die: (*netns.Host).Kill}, {name: "black-holed", die: (*netns.Host).Vanish}}
	link := netns.Link{Up: 100 * netns.Megabit, Down: 100 * netns.Megabit}
	links := []netns.Link{link, link, link, link}

	rows := []string{"\tseconds\tlost"}
	var verdicts []report.Verdict
	for range s.turns {
		for i := range ways {
			whole, died, at, err := deathTurn(ctx, b, size, links, ways[i].die)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ways[i].name, err)
			}
			// What was left then is left to three of the four.
			share := at + (whole-at)*time.Duration(len(links))/time.Duration(len(links)-1)
			ways[i].lost = append(ways[i].lost, died-share)
			rows = append(rows, fmt.Sprintf("%s after %s; with all four %s\t%s\t%s", ways[i].name, seconds(at), seconds(whole), seconds(died), seconds(died-share)))
		}
	}
	for _, way := range ways {
		verdicts = append(verdicts, report.Verdict{Name: "death-" + way.name, Measured: report.Median(way.lost).Seconds(), Bar: 1, Unit: " s"})
	}
	return verdicts, report.Table("\n256 MiB from four sources at 100 Mbit/s, one of which dies half-way: what is lost beyond its share", rows)
}

// deathTurn fetches with all sources, and then again with the last one dying half-way, at the time that it returns.
func deathTurn(ctx context.Context, b *report.Bench, size int64, links []netns.Link, die func(*netns.Host, context.Context) error,
) (whole, died, at time.Duration, err error) {
	err = onLinks(ctx, b, size, links, func(_ *netns.LAN, u *supply) error {
		sw, c, err := u.shoalSwarm(ctx, "shoal")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sw.stop()) }()
		use, _, _, err := within(ctx, c.command(filepath.Join(u.dir, "with all")))
		if err != nil {
			return err
		}
		whole, at = use.Wall, use.Wall/2
		victim, failed := u.sources[len(u.sources)-1], make(chan error, 1)
		time.AfterFunc(at, func() { failed <- die(victim.Host, ctx) })
		use, _, _, err = within(ctx, c.command(filepath.Join(u.dir, "with a death")))
		died = use.Wall
		return errors.Join(err, <-failed)
	})
	return whole, died, at, err
}
