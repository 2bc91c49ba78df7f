package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shoal"
)

func newList() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "ls [GROUP]",
		Short: "List what is published: size, sources, copies, FileID, type, name",
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
			incomplete := 0
			table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			for _, e := range entries {
				if c.json {
					printJSON(availabilityOf(map[string]any{
						"group": group, "name": e.Name, "size": e.Content.Size, "file": e.Content.ID, "facts": e.Facts,
					}, e.Availability, e.Content))
				} else {
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", bytesText(e.Content.Size), sourcesText(e.Availability),
						copiesText(e.Availability, e.Content), e.Content.ID, typeText(*e.Facts), shoal.Printable(string(e.Name)))
				}
				if e.Least == 0 {
					incomplete++
				}
			}
			if err := table.Flush(); err != nil {
				return err
			}
			if incomplete > 0 {
				warn("of %d of these files there is less than one copy at the moment; shoal info shows what is missing", incomplete)
			}
			return nil
		},
	}
	c.add(cmd)
	cmd.Long = cmd.Short + ".\n\nWithout a GROUP, that is public, the group of all users. Each line has the size, the number of sources that have the whole file (and, after a plus, of those that have a part),\n" +
		"the number of copies, the FileID, the media type and the name. 2.4 copies are there when the file could be put together\n" +
		"twice from what all sources have, and four tenths of its pieces once more; of less than 1.0 nobody can fetch all, unless\n" +
		"there is a mirror: those are not counted. The type is told from the file's content; with a question mark it is guessed\n" +
		"from the name, as its publisher gave no sample.\n" +
		"shoal info shows more."
	return cmd
}

// sourcesText counts who has a whole file, and who a part.
func sourcesText(a shoal.Availability) string {
	if a.Partial == 0 {
		return fmt.Sprint(a.Whole)
	}
	return fmt.Sprintf("%d+%d", a.Whole, a.Partial)
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
