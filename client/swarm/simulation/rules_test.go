package simulation

import "testing"

// downloader fetches alone, over a link that is not in the way.
var downloader = Group{Name: "downloader", Count: 1, Up: 1000, Down: 1000}

func sources(count int, mbit float64) Group {
	return Group{Name: "sources", Count: count, Up: mbit, Down: mbit, Whole: true, Delay: ms(1)}
}

func churn() Config {
	c := crowd(6, 100, 64<<20)
	c.Groups = append(c.Groups, Group{Name: "leaving", Count: 2, Up: 100, Down: 100, LeaveAt: 0.5})
	return c
}

func liars(lie Lie) Config {
	bad := sources(4, 100)
	bad.Lie = lie
	return Config{Size: 64 << 20, Groups: []Group{downloader, sources(4, 100), bad}}
}

// death is three sources that stay and one that dies after 1.5 s.
func death(hang bool) Config {
	dies := sources(1, 100)
	dies.DieAt, dies.Hang = ms(1500), hang
	return Config{Size: 128 << 20, Groups: []Group{downloader, sources(3, 100), dies}}
}

// far is one source at 200 Mbit/s, 100 ms away and back.
func far() Config {
	return Config{Size: 256 << 20, Groups: []Group{
		{Name: "downloader", Count: 1, Up: 200, Down: 200, Delay: ms(25)},
		{Name: "source", Count: 1, Up: 200, Down: 200, Whole: true, Delay: ms(25)},
	}}
}

// scarce is far more sources than may be asked at a time for pieces of 1 MiB, and most of them slow and far away.
func scarce() Config {
	slow := sources(40, 1)
	slow.Delay = ms(200)
	fast := sources(10, 200)
	fast.Delay = ms(5)
	return Config{Size: 2 << 30, Groups: []Group{downloader, fast, slow}}
}

func TestChurn(t *testing.T) { within(t, churn(), 1.3) }

func TestLiars(t *testing.T) {
	for _, lie := range []Lie{Flips, Trickles, Stale, Forges, Silent} {
		t.Run(string(lie), func(t *testing.T) {
			r := within(t, liars(lie), 1.25)
			if sending := lie == Flips || lie == Forges; sending && r.Banned != 4 {
				t.Errorf("%d of 4 liars were banned", r.Banned)
			}
		})
	}
}

// What a source leaves undone costs no more than its share, and a second to notice.
func TestDeath(t *testing.T) {
	for _, hang := range []bool{false, true} {
		c := death(hang)
		r := within(t, c, 2)
		up := rate(100, 0.956)
		if ideal := 1.5 + (float64(c.Size)-4*up*1.5)/(3*up); r.Last > ideal+1 {
			t.Errorf("it took %.2f s; without a second's loss %.2f s", r.Last, ideal)
		}
	}
}

func TestFar(t *testing.T) { within(t, far(), 1/0.85) }

func TestSameSeedSameReport(t *testing.T) {
	c := churn()
	c.Groups = append(c.Groups, Group{Name: "liars", Count: 2, Up: 100, Down: 100, Whole: true, Lie: Flips})
	a, b := run(t, c), run(t, c)
	if a.Steps != b.Steps || a.Last != b.Last || a.Waste != b.Waste {
		t.Error("two runs differ")
	}
	if c.Seed = 7; run(t, c).Steps == a.Steps {
		t.Error("another seed makes no difference")
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"nobody":       {Size: 1},
		"size":         {Size: -1, Groups: []Group{downloader}},
		"count":        {Size: 1, Groups: []Group{{Count: -1}}},
		"rate":         {Size: 1, Groups: []Group{{Count: 1, Up: -1}}},
		"lie":          {Size: 1, Groups: []Group{{Count: 1, Lie: "often"}}},
		"leave":        {Size: 1, Groups: []Group{{Count: 1, LeaveAt: 2}}},
		"part":         {Size: 1, Groups: []Group{{Count: 1, Part: 2}}},
		"alpha":        {Size: 1, Groups: []Group{downloader}, Alpha: -1},
		"many":         {Size: 1, Groups: []Group{{Count: maxPeers}, {Count: 1}}},
		"connections":  {Size: 1, Groups: []Group{downloader}, Peers: -1},
		"slots":        {Size: 1, Groups: []Group{downloader}, Slots: -1},
		"more goodput": {Size: 1, Groups: []Group{downloader}, Goodput: 2},
	} {
		if _, err := Run(c); err == nil {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}
