package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"shoal"
	"shoal/client/queue"
)

// of is a download of a file of 1,000,000 bytes.
func of(target string, state queue.State, more func(*queue.Download)) queue.Download {
	d := queue.Download{ID: 7, Wish: queue.Wish{Group: "lab", Target: target}, State: state, Size: 1_000_000}
	more(&d)
	return d
}

// A line says of each state what there is to be said, in one line that a terminal shows as it is.
func TestDownloadsTable(t *testing.T) {
	now := time.Now()
	shares := []queue.Share{{Device: shoal.DeviceID{1}, Bytes: 300_000}, {Device: shoal.DeviceID{2}, Bytes: 100_000}}
	away := &queue.Fault{Code: shoal.NoSources, Text: "nobody\nhas it"}
	for want, d := range map[string]queue.Download{
		"7  running  40% of 976.6 KiB  97.7 KiB/s  lab/x  6s left  aeaaaaaa 75%  aiaaaaaa 25%": of("x", queue.Running, func(d *queue.Download) {
			d.Held, d.Rate, d.Shares = 400_000, 100_000, shares
		}),
		"7  running  40% of 976.6 KiB  0 B/s  lab/x  waiting for a source": of("x", queue.Running, func(d *queue.Download) { d.Held, d.Waiting = 400_000, true }),
		"7  queued  -  -  lab/x": of("x", queue.Queued, func(d *queue.Download) { d.Size = 0 }),
		"7  queued  0% of 976.6 KiB  -  lab/x  again in 3s  nobody; has it": of("x", queue.Queued, func(d *queue.Download) {
			d.Fault, d.Retry = away, now.Add(3*time.Second)
		}),
		"7  paused  40% of 976.6 KiB  -  lab/x  aeaaaaaa 75%  aiaaaaaa 25%": of("x", queue.Paused, func(d *queue.Download) { d.Held, d.Shares = 400_000, shares }),
		"7  failed  0% of 976.6 KiB  -  lab/x?[2J  nobody; has it":          of("x\x1b[2J", queue.Failed, func(d *queue.Download) { d.Fault = away }),
		"7  done  976.6 KiB  195.3 KiB/s  lab/x  /to/x?[2J  aeaaaaaa 75%  aiaaaaaa 25%": of("x", queue.Done, func(d *queue.Download) {
			d.Held, d.Path, d.Took, d.Shares = 1_000_000, "/to/x\x1b[2J", 2*time.Second, shares
		}),
		"7  done  976.6 KiB  -  lab/x  /to/x  was there already  not served on: nobody; has it": of("x", queue.Done, func(d *queue.Download) {
			d.Held, d.Path, d.Present, d.Fault = 1_000_000, "/to/x", true, away
		}),
	} {
		got := strings.Join(strings.FieldsFunc(string(downloadsTable([]queue.Download{d}, now)), func(r rune) bool { return r == '\n' }), "|")
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := downloadsTable(nil, now); len(got) != 0 {
		t.Errorf("nothing is %q", got)
	}
}

// What a terminal shows anew takes the place of what was there, and never more than there is of it.
func TestFitted(t *testing.T) {
	lines := 0
	if got := fitted("one\ntwo\n", 80, 10, &lines); got != "one\ntwo\n" || lines != 2 {
		t.Errorf("at first %q, of %d lines", got, lines)
	}
	if got := fitted("one\n", 80, 10, &lines); got != "\x1b[2A\x1b[Jone\n" || lines != 1 {
		t.Errorf("then %q, of %d lines", got, lines)
	}
	got := fitted(strings.Repeat("ü", 100)+"\n2\n3\n4\n", 11, 3, &lines)
	if got != "\x1b[1A\x1b[J"+strings.Repeat("ü", 10)+"\n2\nand 2 more\n" || lines != 3 || !utf8.ValidString(got) {
		t.Errorf("where that does not fit %q, of %d lines", got, lines)
	}
	if got := fitted("", 10, 3, &lines); got != "\x1b[3A\x1b[J" || lines != 0 {
		t.Errorf("of nothing %q, of %d lines", got, lines)
	}
}

// Scripts find the same names in each state, and those of a state in it alone.
func TestDownloadEvents(t *testing.T) {
	line, err := json.Marshal(downloadEvent(of("x", queue.Queued, func(d *queue.Download) {
		d.Fault, d.Attempts, d.Wish.Range = &queue.Fault{Code: shoal.NoSources, Text: "why"}, 2, shoal.Range{Begin: 5, End: 6}
	})))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"added":"0001-01-01T00:00:00Z","attempts":2,"begin":5,"code":"no-sources","end":6,"event":"download","held":0,"id":7,"rate":0,"seconds":0,"size":1000000,"sources":[],"state":"queued","target":"lab/x","text":"why"}`
	if string(line) != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
}
