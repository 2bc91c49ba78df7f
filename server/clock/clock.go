// Package clock judges whether the time by which a server would give tickets is right (wire/PROTOCOL.md rule K2). No
// clock can say so of itself; what there is to hold it against are those of the realm's other servers, and what it said
// before.
//
//   - With other servers at hand, a clock is right that is within Tolerance of more than half of all, its own among them. Of
//     two that differ, neither is: which one it is, nobody knows.
//   - A server alone goes by its own clock, and so do its clients, who learn it in HELLO. It must not go back: what has
//     expired would hold again. So it is right unless it is behind what it has told before, in earlier lives, too.
//
// Where a clock that is right has been set, those who learned the time before must learn it again: Look says when.
package clock

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shoal"
)

const (
	// Tolerance is how far a clock may be off.
	Tolerance = 30 * time.Second
	// Every is how often servers must exchange their times, and Lasts for how long one is counted that was heard from.
	Every = 5 * time.Second
	Lasts = 4 * Every
)

// Server names a server, by its key.
type Server [32]byte

// Told is what another server said last.
type Told struct {
	Time     time.Time // by its clock, Lasts ago at most when it is heard for the first time
	Revision int64     // another one each time it says something
}

// reading is what this machine's clocks say at a moment.
type reading struct {
	wall   time.Time
	passed time.Duration // by a clock that nobody can set, and that goes on while the machine sleeps
}

// Clock judges this machine's. Safe for concurrent use.
type Clock struct {
	read func() reading

	mu      sync.Mutex // guards what is below
	latest  time.Time  // that was right
	settled reading    // when all who knew the time had to learn it again
	wrong   bool       // since then
	heard   reading    // when others were last asked
	others  map[Server]other
}

// other is another server's clock: what it showed when passed was 0 is between the two.
type other struct {
	Told
	earliest, newest time.Time
	changed          time.Duration // passed, when it last said something
}

// New makes a Clock that has told the time before, until latest; the zero time for never.
func New(latest time.Time) *Clock { return newClock(latest, system) }

func newClock(latest time.Time, read func() reading) *Clock {
	now := read()
	return &Clock{read: read, latest: latest, settled: now, heard: reading{passed: now.passed - Lasts}, others: make(map[Server]other)}
}

func system() reading {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		panic(err) // there on every Linux that Go runs on
	}
	return reading{time.Now().Round(0), time.Duration(since.Nano())}
}

// Latest is the latest time that was right.
func (c *Clock) Latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest
}

// Heard takes what the realm's other servers said last, all of them.
func (c *Clock) Heard(told map[Server]Told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.read()
	heard := make(map[Server]other, len(told))
	for server, t := range told {
		o, known := c.others[server]
		if !known || o.Revision != t.Revision {
			// It said so since others were last asked.
			before := c.heard.passed
			if !known {
				before = now.passed - Lasts
			}
			o = other{Told: t, earliest: t.Time.Add(-now.passed), newest: t.Time.Add(-before), changed: now.passed}
		}
		heard[server] = o
	}
	c.others, c.heard = heard, now
}

// Check reports by an error with code Busy that the clock is wrong.
func (c *Clock) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.check(c.read())
}

// check does Check, and remembers what it found. mu is held.
func (c *Clock) check(now reading) error {
	err := c.judge(now)
	c.wrong = c.wrong || err != nil
	return err
}

// judge moves latest on where the clock is right. mu is held.
func (c *Clock) judge(now reading) error {
	all, agree := 1, 1
	for _, o := range c.others {
		if now.passed-o.changed > Lasts {
			continue
		}
		all++
		behind := o.earliest.Add(now.passed).Sub(now.wall) // at least
		ahead := now.wall.Sub(o.newest.Add(now.passed))    // the same
		if behind <= Tolerance && ahead <= Tolerance {
			agree++
		}
	}
	switch behind := c.latest.Sub(now.wall); {
	case all > 1 && 2*agree <= all:
		return shoal.Errorf(shoal.Busy, "the server's clock shows %s, and those of %d of the realm's other %d servers differ by more than %v, so it gives no "+
			"tickets; whoever runs it must set it", show(now.wall), all-agree, all-1, Tolerance)
	case all > 1:
		c.latest = now.wall
	case behind > Tolerance:
		return shoal.Errorf(shoal.Busy, "the server's clock shows %s, and was at %s before, so it gives no tickets; whoever runs it must set it",
			show(now.wall), show(c.latest))
	case behind < 0:
		c.latest = now.wall
	}
	return nil
}

func show(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// Look must be called often. It reports that the clock is right, and that not all who learned the time can have learned
// this one, because it was set by more than Tolerance, or was wrong: they must learn it again.
func (c *Clock) Look() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.read()
	if c.check(now) != nil {
		return false
	}
	set := now.wall.Sub(c.settled.wall) - (now.passed - c.settled.passed)
	if !c.wrong && set.Abs() <= Tolerance {
		return false
	}
	c.settled, c.wrong = now, false
	return true
}
