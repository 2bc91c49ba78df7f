package clock

import (
	"errors"
	"strings"
	"testing"
	"time"

	"shoal"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// machine has clocks that a test sets.
type machine struct{ reading }

func (m *machine) read() reading { return m.reading }

// sleep lets time pass.
func (m *machine) sleep(d time.Duration) { m.wall, m.passed = m.wall.Add(d), m.passed+d }

func newMachine(latest time.Time) (*machine, *Clock) {
	m := &machine{reading{noon, time.Hour}}
	return m, newClock(latest, m.read)
}

func right(t *testing.T, c *Clock) {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func wrong(t *testing.T, c *Clock, text string) {
	t.Helper()
	if err := c.Check(); !errors.Is(err, shoal.Busy) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}

func looks(t *testing.T, c *Clock, set bool) {
	t.Helper()
	if got := c.Look(); got != set {
		t.Errorf("to have been set: %v", got)
	}
}

// A server alone goes by its own clock, wherever it is set to, but not back.
func TestAlone(t *testing.T) {
	m, c := newMachine(time.Time{})
	right(t, c)
	m.sleep(100 * 24 * time.Hour)
	right(t, c)
	looks(t, c, false)
	latest := m.wall
	m.wall = m.wall.Add(-Tolerance)
	right(t, c)
	m.wall = m.wall.Add(-time.Second)
	wrong(t, c, "2026-06-09 12:00:00 UTC before")
	if !c.Latest().Equal(latest) {
		t.Errorf("the latest time is %v", c.Latest())
	}
	looks(t, c, false)
	m.sleep(time.Second)
	right(t, c)
	looks(t, c, true) // some learned the earlier time
	looks(t, c, false)
}

// Whoever learned the time before a clock was set, must learn it again; so must they when it was set little by little.
func TestSet(t *testing.T) {
	m, c := newMachine(time.Time{})
	m.wall = m.wall.Add(Tolerance)
	looks(t, c, false)
	m.sleep(time.Hour)
	m.wall = m.wall.Add(time.Second)
	right(t, c)
	looks(t, c, true)
	looks(t, c, false)
	if !c.Latest().Equal(m.wall) {
		t.Errorf("the latest time is %v", c.Latest())
	}
}

// What was told in an earlier life counts.
func TestEarlierLife(t *testing.T) {
	m, c := newMachine(noon.Add(time.Hour))
	wrong(t, c, "13:00:00 UTC before")
	looks(t, c, false)
	m.wall = noon.Add(2 * time.Hour) // as a machine does whose clock begins anew at each start, when it has asked for the time
	right(t, c)
	looks(t, c, true)
	_, c = newMachine(noon.Add(Tolerance))
	right(t, c)
}

// cluster are other servers, which say something now and then.
type cluster struct {
	*machine
	c        *Clock
	revision int64
	told     map[Server]Told
}

func newCluster(latest time.Time) *cluster {
	m, c := newMachine(latest)
	return &cluster{m, c, 0, make(map[Server]Told)}
}

// say lets a server that is that far ahead of this one say something.
func (k *cluster) say(server byte, ahead time.Duration) {
	k.revision++
	k.told[Server{server}] = Told{k.wall.Add(ahead), k.revision}
}

// hear lets some time pass in which servers say something in the middle.
func (k *cluster) hear(ahead ...time.Duration) {
	k.sleep(Every / 2)
	for i, by := range ahead {
		k.say(byte(i), by)
	}
	k.sleep(Every / 2)
	k.c.Heard(k.told)
}

// More than half of all must be of the same mind.
func TestMajority(t *testing.T) {
	const near, far = Tolerance - Every, Tolerance + Every
	for _, test := range []struct {
		ahead []time.Duration
		right bool
	}{
		{[]time.Duration{0}, true},
		{[]time.Duration{near}, true},
		{[]time.Duration{-near}, true},
		{[]time.Duration{far}, false},
		{[]time.Duration{-far}, false},
		{[]time.Duration{0, time.Hour}, true},
		{[]time.Duration{-time.Hour, near}, true},
		{[]time.Duration{time.Hour, time.Hour}, false},
		{[]time.Duration{time.Hour, -time.Hour}, false},
		{[]time.Duration{0, time.Hour, time.Hour}, false},
		{[]time.Duration{0, 0, time.Hour}, true},
		{[]time.Duration{0, 0, time.Hour, time.Hour}, true},
		{[]time.Duration{0, time.Hour, time.Hour, time.Hour}, false},
	} {
		k := newCluster(time.Time{})
		k.hear(test.ahead...)
		k.hear(test.ahead...)
		if test.right {
			right(t, k.c)
		} else {
			wrong(t, k.c, "the realm's other")
		}
		if t.Failed() {
			t.Fatalf("with others ahead by %v", test.ahead)
		}
	}
}

// The others decide, not what was told before; and they notice at once that this clock is set.
func TestOthersDecide(t *testing.T) {
	k := newCluster(noon.Add(24 * time.Hour))
	wrong(t, k.c, "before")
	k.hear(0, 0)
	right(t, k.c)
	if !k.c.Latest().Equal(k.wall) {
		t.Errorf("the latest time is %v", k.c.Latest())
	}
	for _, by := range []time.Duration{time.Hour, -2 * time.Hour} {
		k.wall = k.wall.Add(by)
		wrong(t, k.c, "2 of the realm's other 2")
		looks(t, k.c, false)
	}
	k.wall = k.wall.Add(time.Hour)
	right(t, k.c)
	looks(t, k.c, true)
}

// A clock that is not heard from any more does not count, nor one that says the same again and again.
func TestSilence(t *testing.T) {
	k := newCluster(time.Time{})
	k.hear(time.Hour, time.Hour)
	wrong(t, k.c, "2 of the realm's other 2")
	for range Lasts / Every {
		k.hear()
	}
	wrong(t, k.c, "2 of the realm's other 2")
	k.hear()
	right(t, k.c)
	k.hear(time.Hour)
	wrong(t, k.c, "1 of the realm's other 1")
	delete(k.told, Server{0})
	k.hear()
	right(t, k.c)
}

// What was said when nobody listened may be old, and is not held against anybody.
func TestFirstWord(t *testing.T) {
	k := newCluster(time.Time{})
	k.say(0, -Tolerance-Every)
	k.c.Heard(k.told)
	right(t, k.c)
	k.hear(-Tolerance - Every)
	wrong(t, k.c, "1 of the realm's other 1")
}

// The machine's own clocks go on.
func TestSystem(t *testing.T) {
	before := system()
	c := New(before.wall.Add(time.Minute))
	wrong(t, c, "before")
	if after := system(); before.passed <= 0 || after.passed < before.passed || time.Since(after.wall) > time.Minute {
		t.Errorf("%v, then %v", before, after)
	}
}
