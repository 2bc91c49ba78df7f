package main

import (
	"os"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/native/hashbench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what this machine can do",
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return shoal.Errorf(shoal.BadRequest, "there is no benchmark %q; see: %s --help", given[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchHash())
	return cmd
}

func newBenchHash() *cobra.Command {
	var rounds int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Measure how fast files can be hashed",
		Long: "Hash prints the rates, in GB/s (10^9 bytes), of BLAKE3 at every level that this machine has and in pure Go,\n" +
			"and of the standard library's hashes, on one thread and on all. It takes some seconds.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rounds < 1 {
				return shoal.Errorf(shoal.BadRequest, "--rounds is %d, and has to be at least 1", rounds)
			}
			report, err := hashbench.Run(cmd.Context(), hashbench.Options{Rounds: rounds})
			if err != nil {
				return err
			}
			if asJSON {
				printJSON(report)
				return nil
			}
			return report.Print(os.Stdout)
		},
	}
	cmd.Flags().IntVar(&rounds, "rounds", 9, "how often each is measured; the median is printed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object instead of a table")
	return cmd
}
