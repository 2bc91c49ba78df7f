// Swarms measures downloads from many peers, on links with rates, delays and bad peers, against what people would use
// instead and against what the links allow, and checks the figures that must hold.
//
// Machines are network namespaces at one bridge, with a token bucket at both ends of each one's link; everything runs in
// a network of this program's own, so it needs root. What is measured on such links is kept in memory, because the machines
// that are stood for have a disk each; what is measured on loopback is kept on disk. It prints tables and then one line per
// figure: ok or short, its name, what was measured, and the bar. It exits with status 1 when a figure is short, 2 when it
// could not measure. Contenders take turns, and medians are compared.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"shoal/tests/bench/report"
	"shoal/tests/netns"
)

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil { // a process that a figure started
		if err := roles[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	status, err := netns.Within(measure)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-swarm: %v\n", err)
		status = 2
	}
	os.Exit(status)
}

func measure() {
	var s suite
	flag.IntVar(&s.turns, "turns", 3, "how often each contender takes its turn")
	report.Program{
		Name:  "bench-swarm",
		Limit: 2 * time.Hour,
		Disk:  "on a disk, with 24 GiB free",
		Figures: []report.Figure{
			{Name: "links", Measure: s.links},
			{Name: "crowd8", Measure: s.crowd8},
			{Name: "crowd16", Measure: s.crowd16},
			{Name: "churn", Measure: s.churn},
			{Name: "seed-copies", Measure: s.seedCopies},
			{Name: "death", Measure: s.death},
			{Name: "liars", Measure: s.liars},
			{Name: "delay", Measure: s.delay},
			{Name: "loopback-plain", Measure: s.loopbackPlain},
			{Name: "loopback-tls", Measure: s.loopbackTLS},
			{Name: "cpu", Measure: s.cpu},
			{Name: "memory", Measure: s.memory},
		},
	}.Main()
}

// suite is what the figures share: what some of them measure together is measured once.
type suite struct {
	turns    int
	crowds   map[string]*crowdResult
	loopback []*contender // after their turns; nil before
}
