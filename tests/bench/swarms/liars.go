package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"shoal/client"
	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
	"shoal/tests/netns"
)

const witnessName = "witness"

func liarName(i int) string { return fmt.Sprintf("liar%d", i) }

// liars measures a download when half of the sources lie, each in its own way, against one from the honest half alone. A
// witness fetches, all the while, what the downloader serves on. It is an error if anything bad is written or served on, or
// if an honest source is not used to the end.
func (s *suite) liars(ctx context.Context, b *report.Bench) ([]report.Verdict, error) {
	const size = 256 * mib
	links := slices.Repeat([]netns.Link{{Up: 100 * netns.Megabit, Down: 100 * netns.Megabit}}, len(lies))
	var honest, mixed []time.Duration
	var rows []string
	err := onLinks(ctx, b, size, links, func(lan *netns.LAN, u *supply) error {
		others, err := hosts(ctx, lan, append([]netns.Link{fast}, links...)...)
		if err != nil {
			return err
		}
		p := &parish{supply: u, witness: others[0], liars: others[1:]}
		for turn := range s.turns {
			for _, lying := range []bool{turn%2 == 1, turn%2 == 0} {
				took, row, err := p.turn(ctx, turn, lying)
				if err != nil {
					return fmt.Errorf("with liars %v: %w", lying, err)
				}
				if rows = append(rows, row); lying {
					mixed = append(mixed, took)
				} else {
					honest = append(honest, took)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	title := fmt.Sprintf("\n256 MiB from %d honest sources and as many that lie (%v), all at 100 Mbit/s", len(lies), lies)
	ratio := report.Median(mixed).Seconds() / report.Median(honest).Seconds()
	return []report.Verdict{{Name: "liars", Measured: ratio, Bar: 1.25, Unit: "×"}},
		report.Table(title, append([]string{"\tseconds\tpieces that the witness checked"}, rows...))
}

// parish is where liars live among the honest.
type parish struct {
	*supply
	witness machine
	liars   []machine
}

// turn fetches once, with the liars there or without, in a swarm of its own.
func (p *parish) turn(ctx context.Context, turn int, lying bool) (took time.Duration, row string, err error) {
	name := fmt.Sprintf("turn%d-%v", turn, lying)
	sw, _, err := p.shoalSwarm(ctx, name)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, sw.stop()) }()
	others := []string{witnessName}
	for i := range lies {
		others = append(others, liarName(i))
	}
	if err := sw.enrol(ctx, others); err != nil {
		return 0, "", err
	}
	file := filepath.Join(p.folders[0], fileName)
	if lying {
		for i, lie := range lies {
			if _, err := sw.player(ctx, p.liars[i], "liar", liarName(i), file, "-lie", lie); err != nil {
				return 0, "", err
			}
		}
	}
	fetcher, err := client.Device(filepath.Join(sw.dir, fetcherName))
	if err != nil {
		return 0, "", err
	}
	watching, err := sw.player(ctx, p.witness, "witness", witnessName, file, "-target", fetcher.String())
	if err != nil {
		return 0, "", err
	}
	target := filepath.Join(p.dir, name+".bin")
	use, out, finished, err := within(ctx, sw.get(p.fetcher, fetcherName, target))
	if err != nil {
		return 0, "", err
	}
	if !finished {
		return use.Wall, fmt.Sprintf("with liars: %v\tnot after %s\t", lying, seconds(use.Wall)), nil
	}
	if err := errors.Join(same(target, file), sw.honestServed(out, len(p.sources))); err != nil {
		return 0, "", err
	}
	seen, err := watching.verdict(ctx)
	if err != nil {
		return 0, "", err
	}
	row = fmt.Sprintf("with liars: %v\t%s\t%d", lying, seconds(use.Wall), seen)
	return use.Wall, row, os.Remove(target)
}

// honestServed returns an error unless all honest sources gave something and were connected in the end.
func (s *swarm) honestServed(stdout []byte, honest int) error {
	var got gotten
	if err := lastEvent(stdout, &got); err != nil {
		return err
	}
	for i := range honest {
		device, err := client.Device(filepath.Join(s.dir, sourceName(i)))
		if err != nil {
			return err
		}
		good := false
		for _, source := range got.Sources {
			good = good || source.Device == device.String() && source.Connected && source.Bytes > 0
		}
		if !good {
			return fmt.Errorf("the honest source %v was not used to the end: %s", device, stdout)
		}
	}
	return nil
}

// playing is a role that another process plays.
type playing struct {
	*proc.Daemon
	lines *proc.Lines
}

// player starts a role and waits until it is played. The swarm's stop ends it.
func (s *swarm) player(ctx context.Context, on machine, role, device, file string, args ...string) (*playing, error) {
	line, err := s.line(on, role, device, file, args...)
	if err != nil {
		return nil, err
	}
	p := &playing{lines: proc.NewLines()}
	if p.Daemon, err = proc.Start(ctx, s.dir, role+device, on.command(line...), p.lines); err != nil {
		return nil, err
	}
	var event struct{ Event string }
	if err := p.Ready(ctx, p.lines, &event); err != nil {
		return nil, err
	}
	s.players = append(s.players, p.Daemon)
	return p, nil
}

// verdict waits until the witness is done, and returns how many pieces it has checked. One that was bad is an error.
func (p *playing) verdict(ctx context.Context) (checked int, err error) {
	select {
	case <-p.Exited(): // after which all that it said is there
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	var seen struct{ Checked, Bad int }
	select {
	case line := <-p.lines.C:
		err = lastEvent([]byte(line), &seen)
	default:
		err = p.Failure("ended")
	}
	if err == nil && seen.Bad > 0 {
		err = fmt.Errorf("of %d pieces that were served on, %d were bad", seen.Checked, seen.Bad)
	}
	return seen.Checked, err
}
