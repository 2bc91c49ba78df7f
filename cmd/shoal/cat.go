package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"shoal"
	"shoal/client"
	"shoal/client/peer"
)

type catFlags struct {
	common
	source
	rates
}

func newCat() *cobra.Command {
	var c catFlags
	cmd := &cobra.Command{
		Use:   "cat [GROUP/]NAME|[GROUP/]FILEID...",
		Short: "Write files to stdout while they are fetched",
		Long: "Write files to stdout, one after the other: in order, every byte verified, beginning as soon as the beginning is there.\n" +
			"A little more than the reader of stdout seems to need is fetched ahead. What was written lies in a nameless file in the\n" +
			"--state folder as long as the command runs, and is served to others, if the disk has room for twice as much. Where the\n" +
			"exit code is not 0, what was written ends too early: nothing of it is wrong.",
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, targets []string) error { return c.run(cmd.Context(), targets) },
	}
	c.common.add(cmd)
	c.source.add(cmd)
	c.rates.add(cmd)
	return cmd
}

func (c *catFlags) run(ctx context.Context, targets []string) error {
	if c.json {
		return shoal.Errorf(shoal.BadRequest, "stdout has the files' bytes, and no place for --json")
	}
	request, err := c.request()
	if err != nil {
		return err
	}
	keepHeapSmall()
	config, err := c.config(zerolog.ErrorLevel)
	if err != nil {
		return err
	}
	config.Limits = c.limits()
	cl, err := client.Open(ctx, config, client.Serves, nil)
	if cl != nil {
		defer cl.Close()
	}
	if err != nil {
		return err
	}
	out := newOutput(ctx, os.Stdout)
	defer out.end()
	for _, target := range targets {
		if err := catOne(ctx, cl, request, target, out); err != nil {
			return fmt.Errorf("%s: %w", target, err) // what follows would be taken for its rest
		}
	}
	return nil
}

func catOne(ctx context.Context, cl *client.Client, request client.Get, target string, out io.Writer) (err error) {
	if request.Group, request.Target, err = parseTarget(target); err != nil {
		return err
	}
	counted := &counter{to: out}
	defer func() { counted.end() }()
	request.Found = func(name shoal.Name, o shoal.Object, _ string) {
		counted.object = o
		wanted, _ := request.Range.In(o) // it was found to be in it
		counted.begin(shoal.Printable(string(name)), wanted.Length())
	}
	request.Report = counted.report
	return cl.Cat(ctx, request, counted)
}

// counter shows how much has been written, where that is not to be seen.
type counter struct {
	to      io.Writer
	name    string
	bar     *bar // nil while there is none
	written int64
	object  shoal.Object
	status  peer.Status // as it was told last
}

func (c *counter) begin(name string, size int64) {
	c.name = name
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		c.bar = newBar(name, size)
	}
}

// report is told how far the download is.
func (c *counter) report(s peer.Status) {
	if waitsAnew(c.status, s) && barOutput() == nil {
		fmt.Fprintf(os.Stderr, "shoal: %s: %s\n", c.name, waitText(s.Missing, c.object))
	}
	c.status = s
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.written += int64(n)
	if c.bar != nil {
		c.bar.set(c.written)
	}
	return n, err
}

func (c *counter) end() {
	if c.bar != nil {
		c.bar.end()
	}
}

// output is a file that is written to until a context ends, even if its reader stands still: that write is left alone, and
// ends with the process.
type output struct {
	ctx    context.Context
	chunks chan []byte
	done   chan error
}

func newOutput(ctx context.Context, f *os.File) *output {
	o := &output{ctx: ctx, chunks: make(chan []byte), done: make(chan error, 1)}
	go func() {
		for b := range o.chunks {
			_, err := f.Write(b)
			o.done <- err
		}
	}()
	return o
}

func (o *output) Write(b []byte) (int, error) {
	select {
	case o.chunks <- b:
	case <-o.ctx.Done():
		return 0, context.Cause(o.ctx)
	}
	select {
	case err := <-o.done:
		if err != nil {
			return 0, err
		}
		return len(b), nil
	case <-o.ctx.Done():
		return 0, context.Cause(o.ctx)
	}
}

// end gives up a file that nothing more is written to.
func (o *output) end() { close(o.chunks) }
