// Figures measures how fast this machine hashes and checks the figures that must hold. It prints a table and then one
// line per figure: ok or short, its name, what was measured, and the bar. It exits with status 1 when a figure is short,
// 2 when it could not measure. It needs the program b3sum and 1 GiB in the folder -dir.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"shoal"
	"shoal/native"
	"shoal/native/hashbench"
)

// printSHA256 is the argument with which the program starts itself.
const printSHA256 = "print-sha256"

// errShort says that a figure did not reach its bar.
var errShort = errors.New("a figure is short")

func main() {
	switch err := run(); {
	case err == nil:
	case errors.Is(err, errShort):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(2)
	}
}

func run() error {
	rounds := flag.Int("rounds", 31, "how many rounds; each figure is the median of theirs")
	dir := flag.String("dir", "/var/tmp", "where the file of 1 GiB goes that is hashed")
	flag.Parse()
	if flag.Arg(0) == printSHA256 {
		return hashbench.PrintSHA256(os.Stdout)
	}
	if err := native.Check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := hashbench.Run(ctx, hashbench.Options{
		Rounds: *rounds,
		Rivals: &hashbench.Rivals{FileSize: 1 << 30, Dir: *dir, Publish: publish, SoftSHA256: []string{printSHA256}},
	})
	if err != nil {
		return err
	}
	if err := report.Print(os.Stdout); err != nil {
		return err
	}
	if slices.ContainsFunc(report.Figures, func(f hashbench.Figure) bool { return !f.OK() }) {
		return errShort
	}
	return nil
}

// publish computes a file's hash and manifest.
func publish(ctx context.Context, f *os.File, size int64) error {
	_, _, err := shoal.HashFile(ctx, f, size, nil)
	return err
}
