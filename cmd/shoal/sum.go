package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client/store"
	"shoal/native"
)

func newSum() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sum FILE...",
		Short: "Print the FileIDs of files, in the lines that b3sum prints",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			var failures []error
			for _, file := range files {
				o, err := sum(cmd.Context(), file)
				switch {
				case err != nil:
					failures = append(failures, err)
					reportFailure(asJSON, file, err)
				case asJSON:
					printJSON(map[string]any{"name": file, "file": o.ID, "size": o.Size})
				default:
					fmt.Printf("%s  %s\n", o.ID, file)
				}
			}
			return joinFailures(failures)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func sum(ctx context.Context, path string) (shoal.Object, error) {
	var size int64
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	bar := newBar("hashing "+printable(path), size)
	defer bar.end()
	file, err := store.Hash(ctx, path, addUp(bar.set))
	if err != nil {
		return shoal.Object{}, err
	}
	return file.Object(), file.Close()
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and which BLAKE3 runs",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fmt.Printf("shoal %s, protocol shoal/1, BLAKE3 %s\n", version, native.Level())
			return nil
		},
	}
}

// version is the program's own.
const version = "0.1.0"
