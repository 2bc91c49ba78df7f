package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
)

// byteRate is a flag's value: bytes a second, 0 for any number.
type byteRate int64

// leastRate is the lowest limit, in bytes a second: with less, nobody would take this side for alive.
const leastRate = 1 << 10

func (r *byteRate) Type() string { return "rate" }

func (r *byteRate) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*r), 10)
}

func (r *byteRate) Set(s string) error {
	n, err := parseBytes(s)
	switch {
	case s == "none":
		n = 0
	case err != nil:
		return shoal.Errorf(shoal.BadRequest, "%q is no rate: give bytes a second, as 500K or 2M, or none", s)
	case n > 0 && n < leastRate:
		return shoal.Errorf(shoal.BadRequest, "%d bytes a second are too few: at least 1K, or none for no limit", n)
	}
	*r = byteRate(n)
	return nil
}

// rates are the flags that limit what is sent and received.
type rates struct{ up, down byteRate }

func (r *rates) add(cmd *cobra.Command) {
	cmd.Flags().Var(&r.up, "up", "send so many bytes a second at most, as 500K or 2M; none for no limit")
	cmd.Flags().Var(&r.down, "down", "receive so many bytes a second at most")
}

func (r *rates) limits() client.Rates { return client.Rates{Up: int64(r.up), Down: int64(r.down)} }

// change is what those of the flags say that were given.
func (r *rates) change(cmd *cobra.Command) (change client.RateChange) {
	if cmd.Flags().Changed("up") {
		change.Up = (*int64)(&r.up)
	}
	if cmd.Flags().Changed("down") {
		change.Down = (*int64)(&r.down)
	}
	return change
}

type limitFlags struct {
	common
	rates
}

func newLimit() *cobra.Command {
	var l limitFlags
	cmd := &cobra.Command{
		Use:   "limit [[GROUP/]NAME|[GROUP/]FILEID]",
		Short: "Limit what the running peer sends and receives, or show its limits",
		Long: "Limit what the running peer sends and receives in bytes a second: all its transfers together, or those of one file\n" +
			"alone. That counts at once, for transfers that run, too, and until the peer ends: peer --up and --down are for its\n" +
			"beginning. Without --up and --down the limits are shown. Only the bytes of files count, not what is said about them.",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, targets []string) error {
			return l.run(cmd.Context(), targets, l.change(cmd))
		},
	}
	l.aboutDaemon(cmd)
	l.rates.add(cmd)
	return cmd
}

func (l *limitFlags) run(ctx context.Context, targets []string, change client.RateChange) error {
	var group shoal.Group
	var name shoal.Name
	for _, target := range targets {
		var err error
		if group, name, err = parseNamed(target); err != nil {
			return err
		}
	}
	daemon, err := client.FindDaemon(l.state)
	if err == nil && daemon == nil {
		err = shoal.Errorf(shoal.Unreachable, "no peer runs with the state folder %s; what a command sends and receives is limited by its own --up and --down", l.state)
	}
	if err != nil {
		return err
	}
	defer daemon.Close()
	now, err := daemon.Limit(ctx, group, string(name), change)
	if err != nil {
		return err
	}
	if l.json {
		printJSON(map[string]any{"event": "limits", "up": now.Up, "down": now.Down})
		return nil
	}
	fmt.Printf("up    %s\ndown  %s\n", limitText(now.Up), limitText(now.Down))
	return nil
}

func limitText(bytesPerSecond int64) string {
	if bytesPerSecond == 0 {
		return "no limit"
	}
	return bytesText(bytesPerSecond) + "/s"
}
