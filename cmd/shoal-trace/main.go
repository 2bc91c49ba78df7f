// Command shoal-trace reads captured traffic, or captures it, and says what it shows and which rules of the protocol it
// breaks.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"shoal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// The exit codes.
const (
	clean    = 0
	violated = 1 // a rule was broken
	failed   = 2 // wrong usage, or what was to be read could not be
)

// run carries out one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	cmd, outcome := newCommand()
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(ctx); err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(os.Stderr, "shoal-trace:", shoal.Printable(strings.TrimSuffix(line, "\n")))
		}
		return failed
	}
	return *outcome
}
