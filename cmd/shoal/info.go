package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client/tracker"
)

func newInfo() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "info [GROUP/]NAME|[GROUP/]FILEID",
		Short: "Show what is known of one published file",
		Long: "Show what is known of one published file: its FileID, size, sources and mirrors, how many copies the sources amount to,\n" +
			"and which pieces and bytes none of them has where that is less than one; and what the server was told of its content:\n" +
			"media type, category, text encoding, an image's width and height, the kind of archive, a program's platform.",
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, targets []string) error {
			group, target, err := parseTarget(targets[0])
			if err != nil {
				return err
			}
			cl, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			found, err := cl.Info(cmd.Context(), group, target)
			if err != nil {
				return err
			}
			if c.json {
				mirrors := found.Mirrors
				if mirrors == nil {
					mirrors = []shoal.Mirror{}
				}
				printJSON(availabilityOf(map[string]any{
					"group": group, "name": found.Name, "size": found.Object.Size, "file": found.Object.ID,
					"missing": missingOf(found.Missing, found.Object), "facts": found.Facts, "mirrors": mirrors,
				}, found.Availability, found.Object))
			} else if err := printInfo(found); err != nil {
				return err
			}
			warnOfMissing(found)
			return nil
		},
	}
	c.add(cmd)
	return cmd
}

// printInfo prints a line for each thing that is known.
func printInfo(found *tracker.Found) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(what, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", what, shoal.Printable(value))
		}
	}
	f := found.Facts
	row("name", string(found.Name))
	row("FileID", found.Object.ID.String())
	row("size", fmt.Sprintf("%s (%d bytes)", bytesText(found.Object.Size), found.Object.Size))
	row("sources", fmt.Sprintf("%d with all of it, %d with a part", found.Whole, found.Partial))
	for _, m := range found.Mirrors {
		row("mirror", string(m))
	}
	row("copies", copiesText(found.Availability, found.Object))
	missingRows(row, found)
	row("type", typeText(f))
	row("category", f.Category)
	row("encoding", f.Encoding)
	if f.Width > 0 || f.Height > 0 {
		row("dimensions", fmt.Sprintf("%d x %d", f.Width, f.Height))
	}
	row("archive", f.Archive)
	row("platform", f.Platform)
	switch f.State {
	case shoal.Withheld:
		row("facts", "guessed from the name: the publisher gave no sample")
	case shoal.Pending:
		row("facts", "pending: the enrichment service has not answered yet")
	}
	return table.Flush()
}

// warnOfMissing tells who asks for one file that there is not all of it.
func warnOfMissing(found *tracker.Found) {
	copies := copiesText(found.Availability, found.Object)
	switch {
	case found.Least > 0:
	case len(found.Mirrors) > 0:
		warn("of %s the sources have %s copies at the moment: what they lack has to come from the mirrors", found.Name, copies)
	default:
		warn("of %s there are %s copies at the moment: nobody can fetch all of it", found.Name, copies)
	}
}

// missingRows tell which pieces nobody has.
func missingRows(row func(what, value string), found *tracker.Found) {
	const shown = 20
	told := 0
	for i, s := range found.Missing {
		if i == shown {
			row("missing", fmt.Sprintf("and more: %d pieces in all", found.Object.Pieces()-int(found.Above)))
			return
		}
		told += int(s.Count)
		row("missing", s.In(found.Object))
	}
	if found.Least == 0 && told == 0 {
		row("missing", fmt.Sprintf("up to %d pieces; the server does not know which", found.Object.Pieces()-int(found.Above)))
	}
}
