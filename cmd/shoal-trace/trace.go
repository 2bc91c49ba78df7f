package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"shoal"
	"shoal/tests/pcap"
	"shoal/tests/pcap/packet"
	"shoal/tests/pcap/report"
)

// trace is what the flags say.
type trace struct {
	link    string
	write   string
	seconds time.Duration
	all     bool
	json    bool

	out     io.Writer
	outcome int
}

// newCommand is the command, and where its exit code will be.
func newCommand() (*cobra.Command, *int) {
	t := &trace{out: os.Stdout}
	cmd := &cobra.Command{
		Use:   "shoal-trace FILE...",
		Short: "Say what captured traffic shows, and which rules of Shoal's protocol it breaks",
		Long: "shoal-trace reads pcap and pcapng files (\"-\": standard input), or captures what passes a network interface until Ctrl-C. It\n" +
			"puts TCP's streams together, recognises Shoal, ONC RPC, SOAP over HTTP, and TLS, holds every frame that Shoal's two\n" +
			"sides send in plaintext against wire/PROTOCOL.md, and prints who talked to whom about what, how fast, from which sources\n" +
			"the bytes of a download came when, what the capture does not have, and which rules were broken.\n\n" +
			"What the capture lost is told as a gap, and is never a violation. The exit code is 0 if no rule was broken, 1 if one\n" +
			"was, and 2 if what was to be read could not be.",
		Example: "  shoal-trace traffic.pcapng\n" +
			"  sudo shoal-trace -i lo --write traffic.pcapng\n" +
			"  shoal-trace --json traffic.pcapng | jq .violations",
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, files []string) error { return t.run(cmd, files) },
	}
	f := cmd.Flags()
	f.StringVarP(&t.link, "interface", "i", "", "capture what passes this network interface, as lo; takes the right CAP_NET_RAW")
	f.StringVarP(&t.write, "write", "w", "", "write what is captured to this new file as well, as pcapng")
	f.DurationVar(&t.seconds, "for", 0, "capture for so long, as 10s or 5m; 0: until Ctrl-C")
	f.BoolVar(&t.all, "all", false, "list all conversations, devices, objects and gaps, and not only the first")
	f.BoolVar(&t.json, "json", false, "one JSON object for each file or capture, to stdout")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	cmd.CompletionOptions.DisableDefaultCmd = true
	return cmd, &t.outcome
}

func usage(format string, args ...any) error {
	return shoal.Errorf(shoal.BadRequest, "%w; see: shoal-trace --help", fmt.Errorf(format, args...))
}

func (t *trace) run(cmd *cobra.Command, files []string) error {
	switch {
	case t.link != "" && len(files) > 0:
		return usage("files are read, or an interface is captured from, not both")
	case t.link == "" && (t.write != "" || t.seconds != 0):
		return usage("--write and --for go with --interface alone")
	case t.seconds < 0:
		return usage("--for is no time that something can take: %v", t.seconds)
	case t.link != "":
		return t.capture(cmd)
	case len(files) == 0:
		return usage("a file to read, or an interface to capture from, is missing")
	}
	var failures []error
	for i, name := range files {
		if i > 0 && !t.json {
			fmt.Fprintln(t.out)
		}
		if len(files) > 1 && !t.json {
			fmt.Fprintf(t.out, "%s:\n", shoal.Printable(name))
		}
		found, err := pcap.Analysis{}.File(name)
		failures = append(failures, err)
		if found != nil {
			failures = append(failures, t.show(name, found))
		}
	}
	return errors.Join(failures...)
}

// capture captures until it is told to end.
func (t *trace) capture(cmd *cobra.Command) (err error) {
	r, err := packet.Live(t.link)
	if err != nil {
		return err
	}
	if t.write != "" {
		to, created := os.OpenFile(t.write, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if created != nil {
			return errors.Join(shoal.Errorf(shoal.Exists, "%w", created), r.Close())
		}
		r.CopyTo(to)
		defer func() { err = errors.Join(err, to.Close()) }()
	}
	fmt.Fprintf(os.Stderr, "capturing from %s; Ctrl-C ends it\n", shoal.Printable(t.link))

	ended := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() {
		var timeout <-chan time.Time
		if t.seconds > 0 {
			timeout = time.After(t.seconds)
		}
		select {
		case <-cmd.Context().Done():
		case <-timeout:
		case <-ended:
		}
		r.Stop()
	})
	a := pcap.Analysis{}
	if !t.json {
		a.OnViolation = func(v report.Violation) { fmt.Fprintln(t.out, v) }
	}
	found, failed := a.Read(r)
	close(ended)
	stopping.Wait()
	failed = errors.Join(failed, r.Close())
	return errors.Join(failed, t.show(t.link, found))
}

// show prints a report, and notes what it means for the exit code.
func (t *trace) show(name string, found *report.Report) error {
	if !found.Clean() {
		t.outcome = violated
	}
	if !t.json {
		return report.Text{All: t.all}.Write(t.out, found)
	}
	return json.NewEncoder(t.out).Encode(struct {
		From string `json:"from"`
		*report.Report
	}{name, found})
}
