package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
)

// atOnce is how many of several files are fetched at a time.
const atOnce = 4

type getFlags struct {
	common
	out   string
	queue bool
	source
	rates
}

// source is what downloads are told of where to fetch from, and what.
type source struct {
	bytes   string
	from    string
	timeout time.Duration
}

func (s *source) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.bytes, "range", "", "only the bytes BEGIN-END, without the one at END, as in 1M-2M; BEGIN- for the rest, -N for the last N")
	f.StringVar(&s.from, "from", "", "fetch from this device alone")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "give up when nothing has come for this long; 0 for never")
}

// request is the wish that the flags make.
func (s *source) request() (request client.Get, err error) {
	request.Timeout = s.timeout
	if s.bytes != "" {
		if request.Range, err = shoal.ParseRange(s.bytes); err != nil {
			return request, fmt.Errorf("--range: %w", err)
		}
	}
	if s.from != "" {
		from, err := shoal.ParseDeviceID(s.from)
		if err != nil {
			return request, fmt.Errorf("--from: %w", err)
		}
		request.From = &from
	}
	return request, nil
}

func newGet() *cobra.Command {
	var g getFlags
	cmd := &cobra.Command{
		Use:   "get [GROUP/]NAME|[GROUP/]FILEID...",
		Short: "Fetch files, from all their sources at once",
		Long: "Fetch files, from all their sources at once. What was left unfinished goes on where it ended. A file that is fetched\n" +
			"is whole, verified and on disk when the command ends with 0; it is handed to the peer that runs with the same --state,\n" +
			"which serves it on. Files go to the running peer's --dir if it has one, else to the current folder.\n\n" +
			"With --queue the running peer fetches them, some at a time, and goes on after any interruption, its own end too: the\n" +
			"command ends as soon as that is certain, and shoal downloads shows how it goes on.\n\n" +
			"With --range the file has these bytes alone, and NAME.BEGIN-END for a name unless -o gives one. Only what they lie in is\n" +
			"fetched, and served on while that lasts.",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, targets []string) error { return g.run(cmd.Context(), targets) },
	}
	g.common.add(cmd)
	cmd.Flags().StringVarP(&g.out, "output", "o", "", "the file or folder to write to; a folder for several files")
	cmd.Flags().BoolVar(&g.queue, "queue", false, "hand the downloads to the running peer; see shoal downloads")
	g.source.add(cmd)
	g.rates.add(cmd)
	return cmd
}

func (g *getFlags) run(ctx context.Context, targets []string) error {
	request, err := g.request()
	if err != nil {
		return err
	}
	request.Out = g.out
	if len(targets) > 1 && g.out != "" {
		if err := makeFolder(g.out); err != nil {
			return err
		}
	}
	if g.queue && (g.up > 0 || g.down > 0) {
		return shoal.Errorf(shoal.BadRequest, "with --queue the peer fetches, whose limits are set by shoal limit, and not by --up and --down")
	}
	if g.queue {
		return g.enqueue(ctx, request, targets)
	}
	keepHeapSmall()
	config, err := g.config(zerolog.ErrorLevel)
	if err != nil {
		return err
	}
	config.Limits = g.limits()
	daemon, err := client.FindDaemon(g.state)
	if err != nil {
		return err
	}
	if daemon != nil {
		defer daemon.Close()
		if request.Folder, err = daemon.Folder(ctx); err != nil {
			return err
		}
	}
	cl, err := client.Open(ctx, config, client.Serves, nil)
	if cl != nil {
		defer cl.Close()
	}
	if err != nil {
		return err
	}
	return g.getAll(ctx, cl, daemon, request, targets)
}

// getAll fetches all targets, some at a time; one that fails does not keep the others from it.
func (g *getFlags) getAll(ctx context.Context, cl *client.Client, daemon *client.Control, request client.Get, targets []string) error {
	show := newShow(g.json, len(targets))
	failures := make([]error, len(targets))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, target := range targets {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failures[i] = getOne(ctx, cl, daemon, request, target, show)
		})
	}
	running.Wait()
	show.end()
	var failed []error
	for i, err := range failures {
		if err == nil {
			continue
		}
		failed = append(failed, err)
		reportFailure(g.json, targets[i], err)
	}
	return joinFailures(failed)
}

func getOne(ctx context.Context, cl *client.Client, daemon *client.Control, request client.Get, target string, show *show) error {
	item := show.add(target)
	defer item.end()
	var err error
	if request.Group, request.Target, err = parseTarget(target); err != nil {
		return err
	}
	request.Found = func(name shoal.Name, o shoal.Object, path string) { item.found(name, o, request.Range, path) }
	request.Report = item.report
	got, err := cl.Get(ctx, request)
	if err != nil {
		return err
	}
	served := false
	if got.File != nil {
		defer got.File.Close()
	}
	if daemon != nil && got.File != nil {
		// The file is here, whole and safe: that nobody serves it on is no reason to fail.
		if err := daemon.HandOver(ctx, request.Group, got.Name, got.File); err != nil {
			fmt.Fprintf(os.Stderr, "shoal: %s\n", errorText(fmt.Errorf("%s is not served on: %w", got.File.Path(), err)))
		} else {
			served = true
		}
	}
	item.done(got, served)
	return nil
}

// reachable is an address to show to others: where a server listens on every address, its host stands for this machine's.
func reachable(address string) string {
	for _, every := range []string{"[::]:", "0.0.0.0:"} {
		if port, ok := strings.CutPrefix(address, every); ok {
			return "HOST:" + port
		}
	}
	return address
}
