package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"shoal"
	"shoal/client"
	"shoal/client/peer"
)

// show tells how downloads go on: bars on a terminal, events with --json, and a line for each file in the end.
type show struct {
	json     bool
	progress *mpb.Progress
	mu       sync.Mutex // guards stdout: a line belongs to one file
}

// jsonEvery is how often a download's progress is an event.
const jsonEvery = time.Second

func newShow(asJSON bool, files int) *show {
	refresh := 100 * time.Millisecond
	return &show{json: asJSON, progress: mpb.New(mpb.WithOutput(barOutput()), mpb.WithWidth(30), mpb.WithRefreshRate(refresh))}
}

func (s *show) end() { s.progress.Wait() }

// item is one download.
type item struct {
	show   *show
	target string
	name   shoal.Name
	object shoal.Object
	wanted shoal.Range // of the object
	path   string
	begin  time.Time
	bar    *mpb.Bar
	said   time.Time // when the last progress event was

	mu     sync.Mutex // guards status, which the bar reads when it is drawn
	status peer.Status
}

func (s *show) add(target string) *item {
	return &item{show: s, target: target, begin: time.Now()}
}

// found is told what will be fetched.
func (i *item) found(name shoal.Name, o shoal.Object, wanted shoal.Range, path string) {
	i.name, i.object, i.path = name, o, path
	i.wanted, _ = wanted.In(o) // it was found to be in it
	i.status.Size = o.Size
	i.event(i.ranged(map[string]any{"event": "start", "name": name, "file": o.ID, "size": o.Size, "path": path}))
	i.bar = i.show.progress.AddBar(o.Size, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(shoal.Printable(string(name))+" ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return i.text() })),
		mpb.BarExtender(mpb.BarFillerFunc(i.shares), false),
	)
}

// report is told how far it is.
func (i *item) report(status peer.Status) {
	i.mu.Lock()
	was := i.status
	i.status = status
	i.mu.Unlock()
	if status.Size != was.Size { // of the pieces that a range lies in
		i.bar.SetTotal(status.Size, false)
	}
	i.bar.SetCurrent(status.Held)
	if waitsAnew(was, status) {
		i.waits(status)
	}
	if now := time.Now(); now.Sub(i.said) >= jsonEvery {
		i.said = now
		i.event(map[string]any{"event": "progress", "name": i.name, "held": status.Held, "size": status.Size, "sources": sharesOf(status)})
	}
}

// waits says that nobody can be asked for anything at the moment; on a terminal the bar does.
func (i *item) waits(status peer.Status) {
	i.event(map[string]any{"event": "waiting", "name": i.name, "held": status.Held, "missing": missingOf(status.Missing, i.object)})
	if barOutput() == nil {
		fmt.Fprintf(os.Stderr, "shoal: %s: %s\n", shoal.Printable(string(i.name)), waitText(status.Missing, i.object))
	}
}

func (i *item) end() {
	if i.bar != nil {
		i.bar.Abort(true)
	}
}

// done is told that the file is there.
func (i *item) done(got *client.Got, served bool) {
	i.end()
	took := time.Since(i.begin)
	i.mu.Lock()
	status := i.status
	i.mu.Unlock()
	if i.show.json {
		i.event(i.ranged(map[string]any{
			"event": "done", "name": i.name, "file": i.object.ID, "size": i.object.Size, "path": got.Path,
			"present": got.Present, "served": served, "seconds": took.Seconds(), "resumed": status.Resumed, "sources": sharesOf(status),
		}))
		return
	}
	how := "was there already"
	if !got.Present {
		how = fmt.Sprintf("%s in %s, %s, from %s", bytesText(i.wanted.Length()), took.Round(time.Millisecond),
			rateText(status.Size-status.Resumed, took), countSources(status))
	}
	i.show.mu.Lock()
	defer i.show.mu.Unlock()
	fmt.Printf("%s  %s\n", shoal.Printable(got.Path), how)
}

func (i *item) event(event map[string]any) {
	if i.show.json {
		i.show.mu.Lock()
		defer i.show.mu.Unlock()
		printJSON(event)
	}
}

// ranged adds to an event which bytes it is about, if those are not all.
func (i *item) ranged(event map[string]any) map[string]any {
	if i.wanted.Length() < i.object.Size {
		event["begin"], event["end"] = i.wanted.Begin, i.wanted.End
	}
	return event
}

// text stands behind the bar: bytes, rate, time left.
func (i *item) text() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	s, took := i.status, time.Since(i.begin)
	if s.Waiting {
		return fmt.Sprintf("%s / %s  %s", bytesText(s.Held), bytesText(s.Size), waitText(s.Missing, i.object))
	}
	fresh := s.Held - s.Resumed
	return fmt.Sprintf("%s / %s  %s  %s left", bytesText(s.Held), bytesText(s.Size), rateText(fresh, took),
		leftText(fresh, s.Size-s.Resumed, took))
}

// share is what one source has given.
type share struct {
	Device    string `json:"device,omitempty"`
	Mirror    string `json:"mirror,omitempty"` // its host, of a source that is one
	Connected bool   `json:"connected"`
	Bytes     int64  `json:"bytes"`
}

func sharesOf(s peer.Status) []share {
	shares := []share{}
	for _, source := range s.Sources {
		shares = append(shares, shareOf(source.Device, source.Mirror, source.Connected, source.Bytes))
	}
	return shares
}

func shareOf(device shoal.DeviceID, mirror string, connected bool, bytes int64) share {
	s := share{Mirror: mirror, Connected: connected, Bytes: bytes}
	if mirror == "" {
		s.Device = device.String()
	}
	return s
}

// sourceText is a source in a line of several: a mirror's host, or the beginning of a device's key.
func sourceText(device shoal.DeviceID, mirror string) string {
	if mirror != "" {
		return mirror
	}
	return device.String()[:8]
}

func countSources(s peer.Status) string {
	gave := 0
	for _, source := range s.Sources {
		if source.Bytes > 0 {
			gave++
		}
	}
	if gave == 1 {
		return "1 source"
	}
	return fmt.Sprintf("%d sources", gave)
}

// sharesText is each source's share of what came, in one line.
func (i *item) sharesText() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var parts []string
	for _, source := range i.status.Sources {
		if source.Bytes > 0 || source.Connected {
			percent := 100 * float64(source.Bytes) / float64(max(1, i.status.Held-i.status.Resumed))
			parts = append(parts, fmt.Sprintf("%s %.0f%%", sourceText(source.Device, source.Mirror), percent))
		}
	}
	const most = 6
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", len(parts)-most))
	}
	return strings.Join(parts, "  ")
}

// shares draws the line below the bar.
func (i *item) shares(w io.Writer, _ decor.Statistics) error {
	_, err := fmt.Fprintf(w, "    %s\n", i.sharesText())
	return err
}
