package report

import (
	"net/netip"
	"time"

	"shoal"
)

// bins is how many parts the time of a get is cut into. They grow with it.
const bins = 128

// firstBin is what a part is at first.
const firstBin = time.Millisecond

// Get is the blocks of one object that a device fetched, from the first one until no conversation is left over which it fetches
// any.
type Get struct {
	File    shoal.FileID   `json:"file"`
	Group   shoal.Group    `json:"group"`
	Size    int64          `json:"size"`
	Device  shoal.DeviceID `json:"device"`
	Address netip.Addr     `json:"address"`
	Begin   time.Time      `json:"begin"`
	End     time.Time      `json:"end"`
	Bytes   int64          `json:"bytes"`
	Sources []*Source      `json:"sources"`
	Overlap float64        `json:"overlap"` // share of the time in which two sources or more sent
	Bin     Duration       `json:"bin_us"`  // what each number of a source's line stands for

	origin time.Time // of the first bin
	width  time.Duration
	open   map[*Conversation]bool
}

// Source is who sent blocks.
type Source struct {
	Device  shoal.DeviceID `json:"device"`
	Address netip.AddrPort `json:"address"`
	Blocks  int            `json:"blocks"`
	Bytes   int64          `json:"bytes"`
	Line    []int64        `json:"line"` // bytes in each part of the time

	line [bins]int64
}

// add counts a block that came from s between began and at.
func (g *Get) add(s *Source, began, at time.Time, n int64) {
	if g.origin.IsZero() {
		g.origin, g.Begin, g.End, g.width = began, began, at, firstBin
	}
	if began.Before(g.Begin) {
		g.Begin = began
	}
	if at.After(g.End) {
		g.End = at
	}
	g.Bytes += n
	s.Bytes += n
	s.Blocks++
	for g.bin(at) >= bins {
		g.fold()
	}
	first, last := g.bin(began), g.bin(at)
	for b := first; b <= last; b++ { // what came between is taken to have come evenly
		share := n / int64(last-b+1)
		s.line[b] += share
		n -= share
	}
}

// bin is the part of the time that t is in.
func (g *Get) bin(t time.Time) int { return int(max(0, t.Sub(g.origin)) / g.width) }

// fold makes the parts twice as long.
func (g *Get) fold() {
	for _, s := range g.Sources {
		for b := range bins / 2 {
			s.line[b] = s.line[2*b] + s.line[2*b+1]
		}
		clear(s.line[bins/2:])
	}
	g.width *= 2
}

// finish fills in what is told.
func (g *Get) finish() {
	parts := g.bin(g.End) + 1
	var some, several int
	for b := range parts {
		sending := 0
		for _, s := range g.Sources {
			if s.line[b] > 0 {
				sending++
			}
		}
		if sending > 0 {
			some++
		}
		if sending > 1 {
			several++
		}
	}
	for _, s := range g.Sources {
		s.Line = s.line[:parts]
	}
	g.Bin = Duration(g.width)
	if some > 0 {
		g.Overlap = float64(several) / float64(some)
	}
}
