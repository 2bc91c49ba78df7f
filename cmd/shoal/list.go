package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"shoal"
)

func newList() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what is published: name, size, FileID, sources",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			entries, err := cl.List(cmd.Context(), shoal.Public)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, e := range entries {
				if c.json {
					printJSON(map[string]any{
						"name": e.Name, "size": e.Content.Size, "file": e.Content.ID, "sources": e.Whole, "partial": e.Partial,
					})
					continue
				}
				sources := fmt.Sprint(e.Whole)
				if e.Partial > 0 {
					sources += fmt.Sprintf("+%d", e.Partial)
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", bytesText(e.Content.Size), sources, e.Content.ID, printable(string(e.Name)))
			}
			return table.Flush()
		},
	}
	c.add(cmd)
	cmd.Long = cmd.Short + ".\n\nEach line has the size, the number of sources that have the whole file (and, after a plus, of those that have a part),\nthe FileID and the name."
	return cmd
}

// printable replaces what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exponent := float64(n)/unit, 0
	for ; value >= 999.95 && exponent < 5; exponent++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[exponent])
}
