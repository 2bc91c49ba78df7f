package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"shoal"
	"shoal/client"
	"shoal/client/peer"
	"shoal/client/store"
)

func newPublish() *cobra.Command {
	var c common
	var noSample bool
	var into string
	var urls []string
	cmd := &cobra.Command{
		Use:   "publish FILE...",
		Short: "Publish files: by the running peer, or in the foreground",
		Long: "Publish files under their names. The peer that runs with the same --state serves them from where they are;\n" +
			"without one, this command serves them itself until it is interrupted. The server gets the first 3 KiB of each file,\n" +
			"to tell what it is, unless --no-sample keeps them back.\n\n" +
			"With --mirror a web server that has the file, too, is one more source: whatever comes from there is verified like the\n" +
			"rest, and files of up to some hundred MiB can be had from there while no peer runs. Every member sees the URL. To\n" +
			"replace the mirrors, publish the file again with others; to have none any more, unpublish it first.",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			group, err := shoal.ParseGroup(into)
			if err != nil {
				return fmt.Errorf("--group: %w", err)
			}
			mirrors, err := parseMirrors(urls, len(files))
			if err != nil {
				return fmt.Errorf("--mirror: %w", err)
			}
			daemon, err := client.FindDaemon(c.state)
			if err != nil {
				return err
			}
			if daemon != nil {
				defer daemon.Close()
				return publishAll(files, c.json, func(name shoal.Name, path string, hashed func(int64)) (shoal.Object, error) {
					return daemon.Publish(cmd.Context(), group, name, path, client.Sampling(!noSample), mirrors, hashed)
				})
			}
			return publishHere(cmd.Context(), &c, group, files, client.Sampling(!noSample), mirrors)
		},
	}
	c.add(cmd)
	cmd.Flags().StringVarP(&into, "group", "g", string(shoal.Public), "the group to publish in")
	cmd.Flags().StringArrayVar(&urls, "mirror", nil, "the URL of the same file on a web server; can be repeated, for one FILE")
	cmd.Flags().BoolVar(&noSample, "no-sample", false, "give nothing of the files' content to the server")
	return cmd
}

// parseMirrors reads the URLs of one file.
func parseMirrors(urls []string, files int) (mirrors []shoal.Mirror, err error) {
	if len(urls) > 0 && files > 1 {
		return nil, shoal.Errorf(shoal.BadRequest, "mirrors are of one file, and %d are named; publish them one by one", files)
	}
	for _, url := range urls {
		m, err := shoal.ParseMirror(url)
		if err != nil {
			return nil, err
		}
		mirrors = append(mirrors, m)
	}
	return mirrors, shoal.CheckMirrors(mirrors)
}

// publishHere serves the files from this process.
func publishHere(ctx context.Context, c *common, group shoal.Group, files []string, sampling client.Sampling, mirrors []shoal.Mirror) error {
	config, err := c.config(zerolog.WarnLevel)
	if err != nil {
		return err
	}
	cl, err := client.Open(ctx, config, client.Serves, nil)
	if cl != nil {
		defer cl.Close()
	}
	if err != nil {
		return err
	}
	served := 0
	err = publishAll(files, c.json, func(name shoal.Name, path string, hashed func(int64)) (shoal.Object, error) {
		file, err := store.Hash(ctx, path, addUp(hashed))
		if err != nil {
			return shoal.Object{}, err
		}
		if err := cl.Publish(ctx, group, name, file, sampling, mirrors...); err != nil {
			_ = file.Close() // only ever read
			return shoal.Object{}, err
		}
		served++
		return file.Object(), nil
	})
	if served == 0 || ctx.Err() != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "no peer runs with this --state, so the files are served from here, until this command is interrupted (Ctrl-C)")
	<-ctx.Done()
	return err
}

// publishAll publishes each file and says how that went; one that fails does not keep the others from it.
func publishAll(files []string, asJSON bool, publish func(name shoal.Name, path string, hashed func(int64)) (shoal.Object, error)) error {
	var failures []error
	for _, file := range files {
		o, name, err := publishOne(file, publish)
		switch {
		case err != nil:
			failures = append(failures, err)
			reportFailure(asJSON, file, err)
		case asJSON:
			printJSON(map[string]any{"event": "published", "name": name, "file": o.ID, "size": o.Size})
		default:
			fmt.Printf("%s  %s\n", o.ID, shoal.Printable(string(name)))
		}
	}
	return joinFailures(failures)
}

func publishOne(file string, publish func(shoal.Name, string, func(int64)) (shoal.Object, error)) (shoal.Object, shoal.Name, error) {
	if err := checkPath(file); err != nil {
		return shoal.Object{}, "", err
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return shoal.Object{}, "", fmt.Errorf("finding %s: %w", file, err)
	}
	name, err := shoal.ParseName(filepath.Base(path))
	if err != nil {
		return shoal.Object{}, "", err
	}
	var size int64
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	bar := newBar("hashing "+shoal.Printable(string(name)), size)
	o, err := publish(name, path, bar.set)
	bar.end()
	return o, name, err
}

func newUnpublish() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "unpublish [GROUP/]NAME...",
		Short: "Take names away; the files themselves stay where they are",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			unpublish, end, err := unpublisher(cmd.Context(), &c)
			if err != nil {
				return err
			}
			defer end()
			return c.eachName(cmd.Context(), names, unpublish)
		},
	}
	c.add(cmd)
	return cmd
}

func newStopShare() *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "stop-share [GROUP/]NAME...",
		Short: "Offer none of your copies any more; the name goes with the last copy of anybody",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			cl, err := c.open(cmd.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			return c.eachName(cmd.Context(), names, cl.StopShare)
		},
	}
	c.add(cmd)
	return cmd
}

// eachName does something to each name; one that fails does not keep the others from it.
func (c *common) eachName(ctx context.Context, names []string, do func(context.Context, shoal.Group, shoal.Name) error) error {
	var failures []error
	for _, given := range names {
		group, name, err := parseNamed(given)
		if err == nil {
			err = do(ctx, group, name)
		}
		if err != nil {
			failures = append(failures, err)
			reportFailure(c.json, given, err)
		}
	}
	return joinFailures(failures)
}

// unpublisher is the running peer's way to take a name away, or this process's own.
func unpublisher(ctx context.Context, c *common) (do func(context.Context, shoal.Group, shoal.Name) error, end func(), err error) {
	daemon, err := client.FindDaemon(c.state)
	if err != nil {
		return nil, nil, err
	}
	if daemon != nil {
		return daemon.Unpublish, daemon.Close, nil
	}
	cl, err := c.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	return cl.Unpublish, cl.Close, nil
}

// open connects a command that only asks.
func (c *common) open(ctx context.Context) (*client.Client, error) {
	config, err := c.config(zerolog.ErrorLevel)
	if err != nil {
		return nil, err
	}
	cl, err := client.Open(ctx, config, client.Silent, nil)
	if err != nil && cl != nil {
		cl.Close()
	}
	return cl, err
}

// reportFailure says at once what failed with one file of several.
func reportFailure(asJSON bool, what string, err error) {
	if asJSON {
		event := map[string]any{"event": "error", "name": what, "code": shoal.CodeOf(err).Error(), "text": err.Error()}
		if absent, is := errors.AsType[*peer.AbsentError](err); is {
			event["missing"] = missingOf(absent.Spans, absent.Object)
		}
		printJSON(event)
	}
	fmt.Fprintf(os.Stderr, "shoal: %s\n", errorText(fmt.Errorf("%s: %w", what, err)))
}
