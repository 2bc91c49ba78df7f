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
		Long: "Show what is known of one published file: its FileID, size, sources and mirrors, and what the server was told of its content:\n" +
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
				printJSON(map[string]any{
					"group": group, "name": found.Name, "size": found.Object.Size, "file": found.Object.ID, "sources": found.Whole, "partial": found.Partial,
					"facts": found.Facts, "mirrors": mirrors,
				})
				return nil
			}
			return printInfo(found)
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
			fmt.Fprintf(table, "%s\t%s\n", what, printable(value))
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
