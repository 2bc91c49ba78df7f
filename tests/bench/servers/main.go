// Servers measures what a Shoal server answers and holds, on this machine, and checks the figures that must hold.
//
// Each figure runs `shoal server` as a process of its own, with TLS and a state folder on the disk, and talks to it as
// clients do; this process, which makes the load, shares the machine's cores with it. It prints tables and then one line
// per figure: ok or short, its name, what was measured, and the bar. It exits with status 1 when a figure is short, 2 when
// it could not measure. All traffic is on loopback.
package main

import (
	"time"

	"shoal/tests/bench/report"
)

func main() {
	report.Program{
		Name:  "bench-server",
		Limit: 30 * time.Minute,
		Disk:  "on a disk, with 4 GiB free",
		Figures: []report.Figure{
			{Name: "reads", Measure: reads},
			{Name: "idle-conn", Measure: idleConnections},
			{Name: "mutations", Measure: mutations},
			{Name: "start", Measure: start},
			{Name: "login-flood", Measure: loginFlood},
		},
	}.Main()
}
