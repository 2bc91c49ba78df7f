package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/rpclog"
	"shoal/rpclog/service"
)

// logReader reads a page of a log. The error has code Unreachable where another attempt may succeed.
type logReader func(context.Context, rpclog.Query) (rpclog.Page, error)

// logCommand is what the flags of shoal log say.
type logCommand struct {
	common
	query        rpclog.Query
	level, since string
	socket       string
	follow       bool
}

func newLog() *cobra.Command {
	var l logCommand
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show what the log service has stored",
		Long: "Show what the log service has stored, oldest first: time, level, device, message, and what else an entry says.\n" +
			"All filters must match; --grep looks at the entry as --json shows it.\n\n" +
			"The log service on this machine is asked by its socket. Where there is none, or with --server, the server is asked,\n" +
			"which must have been told that this device may read the log.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.parse(cmd.Flags().Changed("lines")); err != nil {
				return err
			}
			read, end, err := l.reader(cmd.Context(), cmd.Flags().Changed)
			if err != nil {
				return err
			}
			defer end()
			return l.run(cmd.Context(), os.Stdout, read)
		},
	}
	l.add(cmd)
	f := cmd.Flags()
	f.BoolVarP(&l.follow, "follow", "f", false, "go on with what is logged from now on, until Ctrl-C")
	f.IntVarP(&l.query.Last, "lines", "n", 0, "only the last N; default: all, or 10 with -f")
	f.StringVar(&l.query.User, "user", "", "only what this user did")
	f.StringVar(&l.query.Operation, "op", "", "only this operation")
	f.StringVar(&l.level, "level", "", "only this level and above: trace debug info warn error fatal panic")
	f.StringVar(&l.since, "since", "", "only from then on: how long ago, such as 90m, or a time, such as 2026-11-21T10:00:00Z")
	f.StringVar(&l.query.Grep, "grep", "", "only what matches this regular expression")
	f.BoolVar(&l.query.Unverified, "unverified", false, "what came from senders that have not proven to know the key, instead")
	f.StringVar(&l.socket, "socket", service.SocketIn(stateFolder("rpclog")), "the log service's socket: log.sock in its state folder")
	return cmd
}

// reader is where the log is read from: the local service's socket, or the server. given says which flags were.
func (l *logCommand) reader(ctx context.Context, given func(flag string) bool) (read logReader, end func(), err error) {
	local := func(ctx context.Context, q rpclog.Query) (rpclog.Page, error) { return service.Read(ctx, l.socket, q) }
	if !given("server") {
		if _, missing := os.Stat(l.socket); given("socket") || missing == nil {
			return local, func() {}, nil
		}
	}
	cl, err := l.open(ctx)
	if errors.Is(err, shoal.BadRequest) && !given("server") { // no server is known either
		return local, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return cl.ReadLog, cl.Close, nil
}

// parse reads those flags that are more than text. counted says that a number of lines was given.
func (l *logCommand) parse(counted bool) (err error) {
	switch {
	case counted && l.query.Last < 1:
		return shoal.Errorf(shoal.BadRequest, "-n takes a number of lines, not %d", l.query.Last)
	case !counted && l.follow:
		l.query.Last = 10
	}
	if l.level != "" {
		if l.query.Level, err = rpclog.ParseLevel(l.level); err != nil {
			return err
		}
	}
	if l.since != "" {
		l.query.Since, err = parseSince(l.since, time.Now())
	}
	return err
}

func parseSince(s string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, shoal.Errorf(shoal.BadRequest, "--since takes how long ago, such as 90m or 36h, or a time such as 2026-11-21T10:00:00Z, not %q", s)
	}
	return t, nil
}

// How often is asked for new entries, and how long is waited when nobody answers.
const (
	followEvery = 250 * time.Millisecond
	retryEvery  = time.Second
)

// run prints the log. Following ends with ctx, and that is no error; a service that goes away meanwhile is waited for.
func (l *logCommand) run(ctx context.Context, to io.Writer, read logReader) error {
	out := bufio.NewWriter(to)
	limit, printed, away := l.query.Last, 0, false
	for q := l.query; ; {
		page, err := read(ctx, q)
		switch {
		case ctx.Err() != nil && l.follow:
			return nil
		case err != nil && l.follow && q.After != "" && errors.Is(err, shoal.Unreachable):
			if !away {
				fmt.Fprintln(os.Stderr, "shoal:", errorText(err))
			}
			away = true
			if !pause(ctx, retryEvery) {
				return nil
			}
			continue
		case err != nil:
			return err
		}
		away = false
		for _, line := range page.Lines {
			if l.print(out, line); limit > 0 && !l.follow {
				if printed++; printed == limit {
					return out.Flush()
				}
			}
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("printing the log: %w", err)
		}
		if q.After = page.Next; page.More {
			continue
		}
		if !l.follow {
			return nil
		}
		if !pause(ctx, followEvery) {
			return nil
		}
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (l *logCommand) print(out *bufio.Writer, line []byte) {
	if l.json {
		_, _ = out.WriteString(escaped(string(line))) // Flush tells
		_ = out.WriteByte('\n')
		return
	}
	_, _ = out.WriteString(entryText(line))
}
