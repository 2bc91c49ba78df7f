package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"shoal"
)

// printTable prints rows in columns, without what a terminal would obey.
func printTable(rows ...[]string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = shoal.Printable(cell)
		}
		for len(cells) > 1 && cells[len(cells)-1] == "" { // nothing but spaces would follow
			cells = cells[:len(cells)-1]
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

func timeText(t time.Time) string { return t.Format("2006-01-02 15:04:05Z") }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
