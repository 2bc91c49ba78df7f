package simulation

import (
	"testing"
	"time"
)

func ms(n int) Duration { return Duration(time.Duration(n) * time.Millisecond) }

// links is a download from four sources of different rates.
func links() Config {
	c := Config{Size: 256 << 20, Groups: []Group{{Name: "downloader", Count: 1, Up: 1000, Down: 1000}}}
	for _, rate := range []float64{10, 40, 100, 250} {
		c.Groups = append(c.Groups, Group{Name: "source", Count: 1, Up: rate, Down: rate, Whole: true})
	}
	return c
}

func crowd(n int, mbit float64, size int64) Config {
	return Config{Size: size, Groups: []Group{
		{Name: "seed", Count: 1, Up: mbit, Down: mbit, Whole: true},
		{Name: "crowd", Count: n, Up: mbit, Down: mbit},
	}}
}

func run(t *testing.T, c Config) *Report {
	t.Helper()
	r, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f of bound %.2f: first %.2f median %.2f last %.2f, %d/%d left %d stuck %d failed %d, copies %.2f, waste %.4f, jain %.3f %.3f banned %d wronged %d steps %d",
		r.Last/r.Bound, r.Bound, r.First, r.Median, r.Last, r.Finished, r.Peers, r.Left, r.Stuck, r.Failed, r.SeedCopies, r.Waste, r.JainTimes, r.JainUploads, r.Banned, r.Wronged, r.Steps)
	return r
}

// within wants all downloads to end well, the last within so many times the bound.
func within(t *testing.T, c Config, most float64) *Report {
	t.Helper()
	r := run(t, c)
	if r.Stuck > 0 || r.Failed > 0 || r.Finished == 0 || r.Last > most*r.Bound {
		t.Errorf("the last of %d was done after %.2f s; the bound is %.2f s; %d are stuck, %d failed", r.Finished, r.Last, r.Bound, r.Stuck, r.Failed)
	}
	if r.Waste > 0.01 || r.Wronged > 0 {
		t.Errorf("%.2f %% came twice, %d honest peers were banned", 100*r.Waste, r.Wronged)
	}
	return r
}

func TestLinks(t *testing.T) { within(t, links(), 1/0.97) }

func TestCrowd(t *testing.T) {
	for _, c := range []Config{crowd(8, 100, 64<<20), crowd(16, 50, 256<<20)} {
		if r := within(t, c, 1.12); r.SeedCopies > 1.15 {
			t.Errorf("the seed uploaded %.2f copies before the first was done", r.SeedCopies)
		}
	}
}

// What comes from far away leaves the downlink to others until it is there.
func TestNearAndFar(t *testing.T) {
	t.Parallel()
	near, far := sources(2, 100), sources(8, 2)
	far.Delay = ms(400)
	r := run(t, Config{Size: 256 << 20, Groups: []Group{{Name: "downloader", Count: 1, Up: 100, Down: 1000}, near, far}})
	if !atMost(1.15)(r) {
		t.Errorf("it takes %.2f s of %.2f", r.Last, r.Bound)
	}
}
