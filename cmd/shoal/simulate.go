package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client/swarm"
	"shoal/client/swarm/simulation"
	"shoal/client/swarm/upload"
)

// maxConfig bounds the file that describes a swarm, in bytes.
const maxConfig = 1 << 20

// simulateFlags describe a crowd that fetches from seeds.
type simulateFlags struct {
	file, without string
	json          bool
	peers, seeds  int
	up, down      float64
	seedUp        float64
	delay, every  time.Duration
	size          int64
	selfish, lies int
	leave         float64
	config        simulation.Config
}

func newSimulate() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [--config FILE]",
		Short: "Simulate a swarm: many peers in virtual time",
		Long: "Simulate runs the engine of downloads and uploads in virtual time, over links with the rates and delays that the\n" +
			"flags give, and prints how long it takes, next to the least time that is possible. A file describes more than\n" +
			"flags can: groups of peers that differ; \"-\" reads it from standard input. The same seed gives the same result.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.describe(cmd)
			if err != nil {
				return err
			}
			report, err := simulation.Run(c)
			if err != nil {
				return err
			}
			if f.json {
				printJSON(report)
				return nil
			}
			return report.Print(os.Stdout)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.file, "config", "", "a JSON file with size, groups, alpha, beta, k, …; \"-\" for standard input")
	fl.BoolVar(&f.json, "json", false, "one JSON object instead of tables")
	fl.IntVar(&f.peers, "peers", 8, "how many fetch")
	fl.IntVar(&f.seeds, "seeds", 1, "how many have everything from the beginning")
	fl.Int64Var(&f.size, "size", 64<<20, "bytes of the file")
	fl.Float64Var(&f.up, "up", 100, "Mbit/s up of those who fetch; 0 for no limit")
	fl.Float64Var(&f.down, "down", 100, "Mbit/s down of all; 0 for no limit")
	fl.Float64Var(&f.seedUp, "seed-up", 100, "Mbit/s up of a seed; 0 for no limit")
	fl.DurationVar(&f.delay, "delay", 0, "from a peer to the middle of the network")
	fl.DurationVar(&f.every, "every", 0, "the time between two arrivals")
	fl.IntVar(&f.selfish, "selfish", 0, "how many fetch and serve nothing, besides")
	fl.IntVar(&f.lies, "liars", 0, "how many say that they have everything and send false blocks, besides")
	fl.Float64Var(&f.leave, "leave", 0, "the part of those who fetch that leaves half-way, from 0 to 1")
	fl.Uint64Var(&f.config.Seed, "seed", 1, "of the random choices")
	fl.Float64Var(&f.config.Alpha, "alpha", swarm.DefaultAlpha, "the weight of quality in a score")
	fl.Float64Var(&f.config.Beta, "beta", swarm.DefaultBeta, "the weight of load in a score")
	fl.Float64Var(&f.config.K, "k", swarm.DefaultK, "how many times its share a peer is asked for before others are preferred")
	fl.IntVar(&f.config.Peers, "connections", 0, "how many each connects to; 0 for the engine's own limit")
	fl.DurationVar((*time.Duration)(&f.config.Limit), "limit", time.Hour, "how much virtual time to simulate at most")
	fl.StringVar(&f.without, "without", "", "rules to leave out, with commas: "+ruleNames())
	return cmd
}

// describe is the swarm that the flags or the file describe.
func (f *simulateFlags) describe(cmd *cobra.Command) (simulation.Config, error) {
	c := f.config
	if f.file != "" {
		if err := readConfig(f.file, &c); err != nil {
			return c, fmt.Errorf("--config %s: %w", f.file, err)
		}
	} else {
		if f.leave < 0 || f.leave > 1 {
			return c, shoal.Errorf(shoal.BadRequest, "--leave is a part of those who fetch, from 0 to 1; see: %s --help", cmd.CommandPath())
		}
		leaving := int(f.leave * float64(max(f.peers, 0)))
		c.Size = f.size
		for _, g := range []simulation.Group{
			{Name: "seeds", Count: f.seeds, Up: f.seedUp, Whole: true},
			{Name: "peers", Count: f.peers - leaving, Up: f.up},
			{Name: "leaving", Count: leaving, Up: f.up, LeaveAt: 0.5},
			{Name: "selfish", Count: f.selfish, Up: f.up, Selfish: true},
			{Name: "liars", Count: f.lies, Up: f.up, Whole: true, Lie: simulation.Flips},
		} {
			if g.Down, g.Delay = f.down, simulation.Duration(f.delay); !g.Whole {
				g.Every = simulation.Duration(f.every)
			}
			if g.Count != 0 {
				c.Groups = append(c.Groups, g)
			}
		}
	}
	return c, f.leaveOut(&c)
}

func (f *simulateFlags) leaveOut(c *simulation.Config) error {
	for name := range strings.SplitSeq(f.without, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		e, u := swarm.Rules[name], upload.Rules[name]
		if e == 0 && u == 0 {
			return shoal.Errorf(shoal.BadRequest, "--without: there is no rule %q; there are %s", name, ruleNames())
		}
		c.Without |= e
		c.WithoutUpload |= u
	}
	return nil
}

func ruleNames() string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(swarm.Rules)), maps.Keys(upload.Rules))
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// readConfig reads a description of a swarm. What it does not know is an error, so that no typing error goes unseen.
func readConfig(path string, c *simulation.Config) error {
	in := os.Stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return fileError(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	d := json.NewDecoder(io.LimitReader(in, maxConfig))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return shoal.Errorf(shoal.BadRequest, "it is not the description of a swarm: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return shoal.Errorf(shoal.BadRequest, "something follows the description of the swarm")
	}
	return nil
}
