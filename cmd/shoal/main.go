// Command shoal moves big files among the machines of a group. This package is flags and wiring only.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"shoal/coredump"
)

func main() {
	if err := coredump.Forbid(); err != nil { // not a reason to do nothing
		fmt.Fprintln(os.Stderr, "shoal:", errorText(err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run carries out one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	cmd := newRoot()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err != nil && !isSaid(err) {
		fmt.Fprintln(os.Stderr, "shoal:", errorText(err))
	}
	return exitCode(err)
}
