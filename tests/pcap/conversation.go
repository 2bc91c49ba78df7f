package pcap

import (
	"slices"
	"time"

	"shoal/tests/pcap/check"
	"shoal/tests/pcap/dialect"
	"shoal/tests/pcap/report"
)

const (
	// maxSought is how many bytes of a conversation whose beginning is missing are looked through for a frame of Shoal's: the longest
	// frame has less.
	maxSought = 4 << 20
	// maxFirst is how many bytes tell every dialect.
	maxFirst = 64
)

// conversation is one TCP connection. It is a stream.Handler.
type conversation struct {
	traffic *traffic
	told    *report.Conversation
	whole   bool
	swapped bool // the assembler took the wrong side for the initiator

	first  []byte // of the initiator, until they tell the dialect
	sought int    // bytes in which no frame was found
	given  bool   // up: nothing tells the dialect

	shoal  *check.Conn // one of the two, or none yet
	reader dialect.Reader
}

// side is who the assembler means.
func (c *conversation) side(s check.Side) check.Side {
	if c.swapped {
		return 1 - s
	}
	return s
}

func (c *conversation) Data(from check.Side, at time.Time, b []byte) {
	from = c.side(from)
	c.told.End = at
	c.told.Bytes[from] += int64(len(b))
	switch {
	case c.shoal != nil:
		c.shoal.Data(from, at, b)
	case c.reader != nil:
		c.reader.Data(from, at, b)
	case c.given:
	case c.whole:
		c.begin(from, at, b)
	default:
		c.seek(from, at, b)
	}
}

// begin finds out by the first bytes of the initiator what follows.
func (c *conversation) begin(from check.Side, at time.Time, b []byte) {
	if from == check.Responder { // in no dialect that is known here
		c.given = true
		return
	}
	known := len(c.first)
	c.first = append(c.first, b[:min(len(b), maxFirst-known)]...)
	d, decided := dialect.Recognise(c.first)
	if !decided {
		return
	}
	c.speak(d)
	before := slices.Clone(c.first[:known])
	c.first = nil
	c.pass(from, at, before)
	c.pass(from, at, b)
}

// pass hands on bytes that have been counted.
func (c *conversation) pass(from check.Side, at time.Time, b []byte) {
	switch {
	case len(b) == 0:
	case c.shoal != nil:
		c.shoal.Data(from, at, b)
	case c.reader != nil:
		c.reader.Data(from, at, b)
	}
}

// speak begins reading in a dialect.
func (c *conversation) speak(d dialect.Dialect) {
	c.told.Dialect = d
	count := observer{c.traffic.collector, c.told}
	switch d {
	case dialect.Shoal:
		c.shoal = c.traffic.trace.Open(c.told.Initiator, c.told.Responder, c.told.Begin, c.whole)
		c.traffic.checked[c.shoal] = c.told
	case dialect.RPC:
		c.reader = dialect.NewRPCStream(count, func() { c.speak(dialect.TLS) })
	case dialect.HTTP:
		c.reader = dialect.NewHTTPStream(count)
	case dialect.TLS:
		c.reader = dialect.NewTLSStream(func(name string, protocols []string) {
			c.told.ServerName, c.told.Protocols = name, protocols
		})
	default:
		c.given = true
	}
}

// seek looks for a frame of Shoal's in a conversation whose beginning is missing.
func (c *conversation) seek(from check.Side, at time.Time, b []byte) {
	begin, sender := dialect.Midway(b)
	if begin < 0 {
		if c.sought += len(b); c.sought > maxSought {
			c.given = true
		}
		return
	}
	if sender != from {
		c.swap()
		from = sender
	}
	c.speak(dialect.Shoal)
	c.pass(from, at, b[begin:])
}

// swap takes the other side for the initiator.
func (c *conversation) swap() {
	c.swapped = !c.swapped
	t := c.told
	t.Initiator, t.Responder = t.Responder, t.Initiator
	slices.Reverse(t.Bytes[:])
	slices.Reverse(t.Lost[:])
}

func (c *conversation) Lost(from check.Side, at time.Time, n int64) {
	from = c.side(from)
	c.told.End = at
	c.traffic.collector.Gap(c.told, from, at, c.traffic.number, n)
	switch {
	case c.shoal != nil:
		c.shoal.Lost(from, n)
	case c.reader != nil:
		c.reader.Lost(from, n)
	default: // now it has no beginning
		c.whole, c.first = false, nil
	}
}

func (c *conversation) Close(from check.Side, at time.Time, reset bool) {
	from = c.side(from)
	c.told.End = at
	switch {
	case reset:
		c.told.Closed = report.Reset
	case c.told.Closed == report.Open:
		c.told.Closed = report.HalfClosed
	default:
		c.told.Closed = report.Closed
	}
	if c.shoal != nil {
		c.shoal.Close(from, at, reset)
	}
	if c.told.Closed != report.HalfClosed {
		c.traffic.collector.Over(c.told)
	}
}

func (c *conversation) End(again [2]int64) {
	if c.swapped {
		slices.Reverse(again[:])
	}
	c.told.Again = again
	if c.shoal != nil && !c.traffic.over {
		c.shoal.Close(check.Initiator, c.told.End, true) // how it ended was not captured, or long ago
		delete(c.traffic.checked, c.shoal)
	}
	c.traffic.collector.Close(c.told)
}
