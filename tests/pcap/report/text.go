package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"shoal"
	"shoal/tests/pcap/dialect"
)

// Text is how a report is written for people.
type Text struct {
	// All lists all conversations, objects, peers and gaps, and not only the first.
	All bool
}

// few is how many of each are shown where not all are asked for.
const few = 20

// clock is how a time of the day is written.
const clock = "15:04:05.000000"

// writer writes sections of tables. The first error sticks to the buffer.
type writer struct {
	*bufio.Writer
	most int
}

// Write writes r. Nothing in it that came from the network can do anything to a terminal.
func (t Text) Write(to io.Writer, r *Report) error {
	w := &writer{bufio.NewWriter(to), few}
	if t.All {
		w.most = int(^uint(0) >> 1)
	}
	w.capture(r)
	w.conversations(r)
	w.kinds(r)
	w.peers(r)
	w.objects(r)
	for _, g := range w.gets(r) {
		w.get(g)
	}
	w.gaps(r)
	w.violations(r)
	return w.Flush()
}

func (w *writer) capture(r *Report) {
	c := r.Capture
	fmt.Fprintf(w, "%s packets, %s bytes", number(c.Packets), number(c.Bytes))
	if !r.Begin.IsZero() {
		fmt.Fprintf(w, ", from %s UTC for %v", r.Begin.UTC().Format("2006-01-02 "+clock), round(r.End.Sub(r.Begin)))
	}
	fmt.Fprintln(w)
	for _, note := range []struct {
		n    int
		text string
	}{
		{c.Other, "are neither TCP nor UDP, or only parts of such"},
		{c.Malformed, "are malformed"},
		{int(min(c.Dropped, 1<<62)), "more were lost, as the capture itself says"},
	} {
		if note.n > 0 {
			fmt.Fprintf(w, "%s packets %s\n", number(note.n), note.text)
		}
	}
	if c.CutShort {
		fmt.Fprintln(w, "the capture ends within a packet")
	}
}

// cells makes a row of what may be anything.
func cells(all ...any) string {
	texts := make([]string, len(all))
	for i, cell := range all {
		texts[i] = shoal.Printable(fmt.Sprint(cell))
	}
	return strings.Join(texts, "\t")
}

// table writes rows under a title, if there are any: omitted ones are counted.
func (w *writer) table(title string, header string, rows []string, omitted int) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, header)
	for i, row := range rows {
		if i == w.most {
			omitted += len(rows) - i
			break
		}
		fmt.Fprintln(columns, row)
	}
	_ = columns.Flush() // w's error stays with it
	if omitted > 0 {
		fmt.Fprintf(w, "and %s more\n", number(omitted))
	}
}

func (w *writer) conversations(r *Report) {
	var rows []string
	for _, c := range r.Conversations {
		rows = append(rows, cells(c.Number, about(c), c.Initiator, c.Responder,
			c.Begin.UTC().Format(clock), round(c.End.Sub(c.Begin)), number(c.Bytes[0]), number(c.Bytes[1]), ending(c), wrong(c)))
	}
	w.table("conversations", "#\twhat\tinitiator\tresponder\tbegan\tfor\tbytes >\t< bytes\tend\t", rows, r.Omitted.Conversations)
}

// about says what a conversation is.
func about(c *Conversation) string {
	switch c.Dialect {
	case dialect.Shoal:
		return strings.TrimSpace("shoal " + c.Service)
	case dialect.TLS:
		return strings.TrimSpace("TLS " + strings.Join(c.Protocols, ",") + " " + c.ServerName)
	case dialect.RPC:
		return "ONC RPC, " + c.Transport
	case dialect.HTTP:
		return "HTTP"
	}
	return c.Transport
}

func ending(c *Conversation) string {
	if !c.Whole && c.Transport == "TCP" {
		return c.Closed + ", beginning missed"
	}
	return c.Closed
}

func wrong(c *Conversation) string {
	var all []string
	if c.Broken > 0 {
		all = append(all, number(c.Broken)+" violations")
	}
	for side, n := range c.Lost {
		if n != 0 {
			all = append(all, lost(n)+" of "+[]string{">", "<"}[side]+" missing")
		}
	}
	if again := c.Again[0] + c.Again[1]; again > 0 {
		all = append(all, number(again)+" bytes sent again")
	}
	return strings.Join(all, ", ")
}

func lost(n int64) string {
	if n < 0 {
		return "some bytes"
	}
	return number(n) + " bytes"
}

func (w *writer) kinds(r *Report) {
	var rows []string
	for _, k := range r.Kinds {
		row := []any{k.Dialect, k.Name, number(k.Requests), number(k.Replies), number(k.Errors), number(k.Events), number(k.Bytes)}
		for _, d := range []Duration{k.P50, k.P90, k.P99, k.Max} {
			cell := any("")
			if k.latencies.total > 0 {
				cell = round(time.Duration(d))
			}
			row = append(row, cell)
		}
		rows = append(rows, cells(row...))
	}
	most := w.most
	w.most = maxKinds // there are no more
	w.table("kinds, and the time from a request to the end of its reply",
		"\tkind\trequests\treplies\terrors\tevents\tbytes\tp50\tp90\tp99\tmax", rows, 0)
	w.most = most
}

func (w *writer) peers(r *Report) {
	var rows []string
	for _, p := range r.Peers {
		addresses := make([]string, len(p.Addresses))
		for i, a := range p.Addresses {
			addresses[i] = a.String()
		}
		rows = append(rows, cells(p.Device, number(p.Sent), number(p.Received), number(p.BlocksOut), number(p.BlocksIn),
			strings.Join(addresses, " ")))
	}
	w.table("devices", "device\tsent\treceived\tof blocks sent\treceived\taddresses", rows, r.Omitted.Peers)
}

func (w *writer) objects(r *Report) {
	var rows []string
	for _, o := range r.Objects {
		rows = append(rows, cells(o.File, o.Group, number(o.Size), number(o.Blocks), number(o.Bytes), o.From, o.To))
	}
	w.table("objects", "FileID\tgroup\tsize\tblocks\tbytes\tfrom\tto", rows, r.Omitted.Objects)
}

func (w *writer) gaps(r *Report) {
	var rows []string
	for _, g := range r.Gaps {
		rows = append(rows, cells(g.Packet, g.Conversation, g.At.UTC().Format(clock), g.Side, lost(g.Bytes)))
	}
	w.table("gaps: what the capture does not have", "packet\tconversation\tat\tfrom\tmissing", rows, r.Omitted.Gaps)
}

func (w *writer) violations(r *Report) {
	total := len(r.Violations) + r.Omitted.Violations
	if total == 0 {
		fmt.Fprintln(w, "\nno rule was broken")
		return
	}
	fmt.Fprintf(w, "\n%s violations\n", number(total))
	for _, v := range r.Violations {
		fmt.Fprintln(w, v)
	}
	if r.Omitted.Violations > 0 {
		fmt.Fprintf(w, "and %s more\n", number(r.Omitted.Violations))
	}
}

// String is a line for people, fit for a terminal.
func (v Violation) String() string {
	return shoal.Printable(fmt.Sprintf("%s  %s  packet %d, conversation %d, %s of %v > %v: %s",
		v.Rule, v.At.UTC().Format(clock), v.Packet, v.Conversation, v.Side, v.Initiator, v.Responder, v.Text))
}

// number writes a count with its digits in groups of three.
func number[N int | int64](n N) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// round leaves three digits or so.
func round(d time.Duration) time.Duration {
	for unit := time.Microsecond; unit <= time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}
