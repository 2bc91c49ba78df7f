// Bench measures shoal against what people would use instead, on this machine, and checks the figures that must hold.
//
// It prints tables and then one line per figure: ok or short, its name, what was measured, and the bar. It exits with
// status 1 when a figure is short, 2 when it could not measure. Only ratios within one run mean something: contenders
// take turns, the first turn of each is thrown away, and medians are compared. All traffic is on loopback.
package main

import (
	"time"

	"shoal/tests/bench/report"
)

func main() {
	report.Program{
		Name:  "bench",
		Limit: 30 * time.Minute,
		Disk:  "on a disk, with 12 GiB free",
		Check: checkDisk,
		Figures: []report.Figure{
			{Name: "small", Measure: small},
			{Name: "memory", Measure: memory},
			{Name: "loopback", Measure: loopback},
		},
	}.Main()
}
