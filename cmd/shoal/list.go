package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"shoal"
)

func newList() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "ls [GROUP]",
		Short: "List what is published: size, sources, FileID, type, name",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			group, err := parseGroups(given)
			if err != nil {
				return err
			}
			cl, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			entries, err := cl.List(cmd.Context(), group)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, e := range entries {
				if c.json {
					printJSON(map[string]any{
						"group": group, "name": e.Name, "size": e.Content.Size, "file": e.Content.ID, "sources": e.Whole, "partial": e.Partial,
						"facts": e.Facts,
					})
					continue
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", bytesText(e.Content.Size), sourcesText(int(e.Whole), int(e.Partial)),
					e.Content.ID, typeText(*e.Facts), printable(string(e.Name)))
			}
			return table.Flush()
		},
	}
	c.add(cmd)
	cmd.Long = cmd.Short + ".\n\nWithout a GROUP, that is public, the group of all users. Each line has the size, the number of sources that have the whole file (and, after a plus, of those that have a part),\n" +
		"the FileID, the media type and the name. The type is told from the file's content; with a question mark it is guessed\n" +
		"from the name, as its publisher gave no sample. shoal info shows more."
	return cmd
}

// sourcesText counts who has a whole file, and who a part.
func sourcesText(whole, partial int) string {
	if partial == 0 {
		return strconv.Itoa(whole)
	}
	return fmt.Sprintf("%d+%d", whole, partial)
}

// typeText is the media type, or why there is none.
func typeText(f shoal.Facts) string {
	switch {
	case f.State == shoal.NoFacts:
		return "-"
	case f.MediaType == "":
		return f.State.String()
	case f.State == shoal.Withheld:
		return f.MediaType + "?"
	}
	return f.MediaType
}

// printable replaces what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == unicode.ReplacementChar, r == '\u2028', r == '\u2029', // ends lines
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069': // turns the direction of text
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
