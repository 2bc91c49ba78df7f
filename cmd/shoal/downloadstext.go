package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"shoal"
	"shoal/client"
	"shoal/client/queue"
)

// listDownloads shows downloads as they are.
func listDownloads(ctx context.Context, daemon *client.Control, ids []uint64, asJSON bool) error {
	var all []queue.Download
	err := daemon.Downloads(ctx, ids, false, func(d queue.Download) {
		if asJSON {
			printJSON(downloadEvent(d))
			return
		}
		all = append(all, d)
	}, nil, nil)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(downloadsTable(all, time.Now()))
	return err
}

// watchDownloads shows downloads until none of them moves: a table that is drawn anew on a terminal, else a line for each
// change. Without ids, it is not about those that were finished before. The error is that of the first one that failed.
func watchDownloads(ctx context.Context, daemon *client.Control, ids []uint64, asJSON bool) error {
	screen := newScreen()
	known := map[uint64]queue.Download{}
	var failed []uint64
	told := func(d queue.Download) {
		before, was := known[d.ID]
		if asJSON {
			printJSON(downloadEvent(d))
		}
		if !was && d.State.Finished() && len(ids) == 0 {
			return
		}
		known[d.ID] = d
		if d.State == queue.Failed && before.State != queue.Failed {
			failed = append(failed, d.ID)
		}
		if !asJSON && screen == nil && (!was || d.State != before.State || d.Attempts != before.Attempts) {
			_, _ = os.Stdout.Write(downloadsTable([]queue.Download{d}, time.Now())) // nobody is left to be told of an error
		}
	}
	gone := func(id uint64) {
		if asJSON {
			printJSON(map[string]any{"event": "gone", "id": id})
		}
		delete(known, id)
	}
	round := func() {
		if !asJSON && screen != nil {
			screen.draw(downloadsTable(slices.SortedFunc(maps.Values(known), byID), time.Now()))
		}
	}
	if err := daemon.Downloads(ctx, ids, true, told, gone, round); err != nil {
		return err
	}
	for _, id := range failed {
		if d, there := known[id]; there && d.State == queue.Failed {
			return fmt.Errorf("download %d, of %s: %w", id, targetOf(d), d.Fault.Err())
		}
	}
	return nil
}

func byID(a, b queue.Download) int { return cmp.Compare(a.ID, b.ID) }

// targetOf is what was asked for.
func targetOf(d queue.Download) string {
	if d.Wish.Group == shoal.Public {
		return d.Wish.Target
	}
	return string(d.Wish.Group) + "/" + d.Wish.Target
}

// downloadEvent is a download as scripts see it.
func downloadEvent(d queue.Download) map[string]any {
	shares := []share{}
	for _, s := range d.Shares {
		shares = append(shares, shareOf(s.Device, s.Mirror, s.Connected, s.Bytes))
	}
	event := map[string]any{
		"event": "download", "id": d.ID, "state": d.State, "target": targetOf(d), "held": d.Held, "size": d.Size, "rate": int64(d.Rate),
		"sources": shares, "added": d.Added, "seconds": d.Took.Seconds(),
	}
	set := func(name string, value any, is bool) {
		if is {
			event[name] = value
		}
	}
	set("name", d.Name, d.Name != "")
	set("file", d.Object.ID, d.Name != "")
	set("path", d.Path, d.Path != "")
	set("waiting", true, d.Waiting)
	set("missing", missingOf(d.Missing, d.Object), len(d.Missing) > 0)
	set("attempts", d.Attempts, d.Attempts > 0)
	set("retry", d.Retry, !d.Retry.IsZero())
	set("ended", d.Ended, !d.Ended.IsZero())
	set("present", d.Present, d.State == queue.Done)
	set("served", d.Served, d.State == queue.Done)
	if d.Wish.Range != (shoal.Range{}) {
		event["begin"], event["end"] = d.Wish.Range.Begin, d.Wish.Range.End
	}
	if d.Fault != nil {
		event["code"], event["text"] = d.Fault.Code.Error(), d.Fault.Text
	}
	return event
}

// downloadsTable has a line for each download: its number, state, how much is there, the rate, what was asked for, and what
// there is to say of it.
func downloadsTable(all []queue.Download, now time.Time) []byte {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, d := range all {
		cells := []string{fmt.Sprint(d.ID), string(d.State), amountText(d), rateOf(d), targetOf(d), detailText(d, now)}
		for i, cell := range cells {
			cells[i] = shoal.Printable(cell)
		}
		for len(cells) > 1 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1]
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	_ = table.Flush() // to memory
	return text.Bytes()
}

func amountText(d queue.Download) string {
	switch {
	case d.Size == 0 && d.State != queue.Done:
		return "-"
	case d.Held >= d.Size:
		return bytesText(d.Size)
	}
	return fmt.Sprintf("%d%% of %s", 100*d.Held/d.Size, bytesText(d.Size))
}

// rateOf is how fast it goes, or how fast it went.
func rateOf(d queue.Download) string {
	var came int64
	for _, s := range d.Shares {
		came += s.Bytes
	}
	switch {
	case d.State == queue.Running:
		return rateText(int64(d.Rate), time.Second)
	case d.State == queue.Done && came > 0:
		return rateText(came, d.Took)
	}
	return "-"
}

// detailText is what there is to say of a download in its state.
func detailText(d queue.Download, now time.Time) string {
	var parts []string
	switch {
	case d.State == queue.Running && d.Waiting:
		parts = append(parts, waitText(d.Missing, d.Object))
	case d.State == queue.Running && d.Rate > 0:
		left := time.Duration(float64(d.Size-d.Held) / d.Rate * float64(time.Second))
		parts = append(parts, fmt.Sprintf("%v left", left.Round(time.Second)))
	case d.State == queue.Done:
		parts = append(parts, d.Path)
		if d.Present {
			parts = append(parts, "was there already")
		}
	case d.State == queue.Queued && d.Retry.After(now):
		parts = append(parts, fmt.Sprintf("again in %v", d.Retry.Sub(now).Round(time.Second)))
	}
	if d.Fault != nil && d.State != queue.Running {
		text := errorText(d.Fault.Err())
		if d.State == queue.Done {
			text = "not served on: " + text
		}
		parts = append(parts, text)
	}
	if d.State == queue.Running || d.State == queue.Done || d.State == queue.Paused {
		parts = append(parts, sharesLine(d.Shares))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
}

// sharesLine is each device's share of what came.
func sharesLine(shares []queue.Share) string {
	var came int64
	for _, s := range shares {
		came += s.Bytes
	}
	const most = 6
	var parts []string
	for _, s := range shares[:min(len(shares), most)] {
		parts = append(parts, fmt.Sprintf("%s %.0f%%", sourceText(s.Device, s.Mirror), 100*float64(s.Bytes)/float64(max(1, came))))
	}
	if len(shares) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(shares)-most))
	}
	return strings.Join(parts, "  ")
}

// screen draws a text over the last one, on a terminal.
type screen struct {
	out   *os.File
	lines int // of the text that is there
}

// newScreen is nil where stdout is no terminal.
func newScreen() *screen {
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	return &screen{out: os.Stdout}
}

// draw shows as much of text as fits.
func (s *screen) draw(text []byte) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 1 {
		width, height = 80, 24
	}
	_, _ = io.WriteString(s.out, fitted(string(text), width, height-1, &s.lines)) // nobody is left to be told of an error
}

// fitted is what replaces the text of so many lines that is on a terminal by what fits of another one (ECMA-48: CUU, ED).
func fitted(text string, width, height int, lines *int) string {
	var b strings.Builder
	if *lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", *lines)
	}
	all := strings.SplitAfter(text, "\n")
	all = all[:len(all)-1] // nothing is behind the last end of a line
	if hidden := len(all) - height; hidden > 0 {
		all = append(all[:height-1], fmt.Sprintf("and %d more\n", hidden+1))
	}
	for _, line := range all {
		if r := []rune(strings.TrimSuffix(line, "\n")); len(r) >= width {
			line = string(r[:width-1]) + "\n"
		}
		b.WriteString(line)
	}
	*lines = len(all)
	return b.String()
}
