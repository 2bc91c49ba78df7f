// Hostile measures what attackers cost everybody else, on this machine, and checks the figures that must hold.
//
// A server, a peer, a log service and an enrichment service run as processes, as people start them. An attacker is a process
// of its own that gets half a core, by a cgroup, so this needs root. While it attacks, honest clients measure how long they
// wait for what they do; and again while, in its place, a process asks honestly and gets as much of the processor as the
// attacker took. The two take turns. It prints tables and then one line per figure: ok or short, its name, what was measured,
// and the bar. It exits with status 1 when a figure is short, 2 when it could not measure. All traffic is on loopback.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"shoal/tests/bench/report"
)

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil { // a process that a figure started
		if err := playRole(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	if err := raiseFiles(); err != nil {
		fmt.Fprintf(os.Stderr, "bench-hostile: %v\n", err)
		os.Exit(2)
	}
	s := suite{}
	flag.IntVar(&s.rounds, "rounds", 3, "how many rounds of a turn each count")
	flag.DurationVar(&s.turn, "turn", 4*time.Second, "how long a turn is measured")
	flag.IntVar(&s.sources, "sources", 250, "how many addresses an attacker comes from; 0 for that of the honest clients")
	p := report.Program{
		Name:  "bench-hostile",
		Limit: time.Hour,
		Disk:  "the daemons' own are in memory, because a shared disk's syncs take longer or shorter by more than what is measured",
	}
	for _, a := range attacks {
		p.Figures = append(p.Figures, report.Figure{Name: a.name, Measure: s.measurer(a)})
	}
	p.Main()
}

// suite is what all figures share.
type suite struct {
	rounds  int
	turn    time.Duration
	sources int
}
