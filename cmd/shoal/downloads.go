package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
	"shoal/client/queue"
)

// aboutDaemon are the flags of commands that talk to the running peer alone.
func (c *common) aboutDaemon(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.state, "state", stateFolder("client"), "the folder of the peer that runs (SHOAL_STATE)")
	f.BoolVar(&c.json, "json", false, "one JSON object a line, to stdout")
}

// daemon is the peer that runs with --state; the caller closes it.
func (c *common) daemon() (*client.Control, error) {
	daemon, err := client.FindDaemon(c.state)
	if err == nil && daemon == nil {
		err = shoal.Errorf(shoal.Unreachable, "no peer runs with the state folder %s, and downloads are queued at one; start it with: shoal peer --state %s", c.state, c.state)
	}
	return daemon, err
}

func newDownloads() *cobra.Command {
	var c common
	var watch bool
	cmd := &cobra.Command{
		Use:   "downloads [ID...]",
		Short: "Show the downloads that the running peer was handed by get --queue",
		Long: "Show the downloads that the running peer was handed by get --queue, or those with the IDs: running, queued, paused, done\n" +
			"and failed ones. The peer runs some at a time (peer --downloads), first in, first out. What fails in a way that may pass,\n" +
			"for want of sources, server or space, is tried again, after 2 seconds at first and after 5 minutes at most, behind those\n" +
			"that have not had their turn. The rest fails for good, until it is resumed. Nothing of that is lost when the peer ends.\n\n" +
			"With --watch the command goes on until nothing of it moves any more; its exit code is then 0, or that of the first\n" +
			"download that failed.",
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, given []string) error {
			ids, err := parseIDs(given)
			if err != nil {
				return err
			}
			daemon, err := c.daemon()
			if err != nil {
				return err
			}
			defer daemon.Close()
			if watch {
				return watchDownloads(cmd.Context(), daemon, ids, c.json)
			}
			return listDownloads(cmd.Context(), daemon, ids, c.json)
		},
	}
	c.aboutDaemon(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on until nothing moves any more")
	cmd.AddCommand(newAlter(client.Pause, "Hold downloads; what has come is kept"),
		newAlter(client.Resume, "Let downloads go on that are paused or failed, or at once those that wait to be tried again"),
		newAlter(client.Cancel, "End downloads and remove what has come of them; of those that are done the file stays"), newClear())
	return cmd
}

// newAlter is a command that does something to downloads.
func newAlter(how client.Alteration, short string) *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   string(how) + " ID...|all",
		Short: short,
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var ids []uint64
			if len(given) > 1 || given[0] != "all" {
				var err error
				if ids, err = parseIDs(given); err != nil {
					return err
				}
			}
			daemon, err := c.daemon()
			if err != nil {
				return err
			}
			defer daemon.Close()
			var failures []error
			err = daemon.Alter(cmd.Context(), how, ids, func(d queue.Download) {
				if c.json {
					printJSON(downloadEvent(d))
				} else {
					fmt.Printf("%d  %s  %s\n", d.ID, d.State, shoal.Printable(targetOf(d)))
				}
			}, func(i int, err error) {
				failures = append(failures, err)
				what := "downloads"
				if i < len(given) {
					what = given[i]
				}
				reportFailure(c.json, what, err)
			})
			if err != nil {
				return err
			}
			return joinFailures(failures)
		},
	}
	c.aboutDaemon(cmd)
	return cmd
}

func newClear() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "Forget the downloads that are done or failed; files stay",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			daemon, err := c.daemon()
			if err != nil {
				return err
			}
			defer daemon.Close()
			return daemon.Alter(cmd.Context(), client.Clear, nil, nil, nil)
		},
	}
	c.aboutDaemon(cmd)
	return cmd
}

// parseIDs reads the numbers of downloads.
func parseIDs(given []string) (ids []uint64, err error) {
	for _, text := range given {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return nil, shoal.Errorf(shoal.BadRequest, "%q is no number of a download, nor pause, resume, cancel or clear; see: shoal downloads --help", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// enqueue hands the targets to the running peer.
func (g *getFlags) enqueue(ctx context.Context, request client.Get, targets []string) error {
	daemon, err := g.daemon()
	if err != nil {
		return err
	}
	defer daemon.Close()
	if request.Folder, err = daemon.Folder(ctx); err != nil {
		return err
	}
	if request.Folder == "" {
		request.Folder = "."
	}
	if len(targets) > 1 && request.Out != "" {
		request.Out += "/"
	}
	failures := make([]error, len(targets))
	gets := make([]client.Get, 0, len(targets))
	var which []int // of the targets each get is
	for i, target := range targets {
		get := request
		if get.Group, get.Target, failures[i] = parseTarget(target); failures[i] == nil {
			gets, which = append(gets, get), append(which, i)
		}
	}
	err = daemon.Queue(ctx, gets, func(i int, d *queue.Download, err error) {
		switch {
		case err != nil:
			failures[which[i]] = err
		case g.json:
			printJSON(map[string]any{"event": "queued", "id": d.ID, "name": targets[which[i]], "state": d.State})
		default:
			fmt.Printf("%d  %s  %s\n", d.ID, d.State, shoal.Printable(targets[which[i]]))
		}
	})
	if err != nil {
		return err
	}
	var failed []error
	for i, err := range failures {
		if err != nil {
			failed = append(failed, err)
			reportFailure(g.json, targets[i], err)
		}
	}
	return joinFailures(failed)
}

// makeFolders makes the folder for several files.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return shoal.Errorf(shoal.BadRequest, "several files need a folder to go to: %w", err)
	}
	return nil
}
