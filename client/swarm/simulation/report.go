package simulation

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is how a swarm did. Times are in seconds, from the start.
type Report struct {
	Peers    int     `json:"peers"`
	Pieces   int     `json:"pieces"`
	Finished int     `json:"finished"` // downloads that ended well
	Left     int     `json:"left"`     // peers that went before they had everything
	Stuck    int     `json:"stuck"`    // downloads that did not end in time
	Failed   int     `json:"failed"`
	Bound    float64 `json:"bound"` // the least time in which all can be done
	First    float64 `json:"first"`
	Median   float64 `json:"median"`
	Last     float64 `json:"last"`
	// SeedCopies is how much the seeds had uploaded when the first download was done, in copies of the object.
	SeedCopies float64 `json:"seed_copies"`
	// Waste is the part of all that was received that was there already.
	Waste float64 `json:"waste"`
	// Jain is the fairness of download times and of uploads per downloader (Jain, Chiu and Hawe 1984): 1 for all alike.
	JainTimes   float64       `json:"jain_times"`
	JainUploads float64       `json:"jain_uploads"`
	Rush        int           `json:"rush"`           // the most attempts to connect to one peer at once, within 0.25 s
	Banned      int           `json:"banned"`         // peers banned anywhere, for good reason
	Wronged     int           `json:"wrongly_banned"` // and honest ones
	Scores      []ScoreRow    `json:"scores"`
	Groups      []GroupReport `json:"groups"`
	Steps       int64         `json:"steps"`
}

// GroupReport is how the peers of a group did.
type GroupReport struct {
	Name     string  `json:"name"`
	Count    int     `json:"count"`
	Finished int     `json:"finished"`
	Started  float64 `json:"started"` // from arrival to the first piece, at most
	Median   float64 `json:"median"`
	Last     float64 `json:"last"`
	Uploaded float64 `json:"uploaded"` // copies of the object, all together
}

// ScoreRow is what was had from the sources of similar scores, over all downloads.
type ScoreRow struct {
	From    float64 `json:"from"` // scores from here on, below From+0.25
	Sources int     `json:"sources"`
	Pieces  float64 `json:"pieces"` // per source
	Load    float64 `json:"load"`   // per source, over the threshold
}

func (s *simulator) report() *Report {
	r := &Report{Peers: len(s.nodes), Pieces: s.pieces, Bound: s.bound(), Rush: s.rush, Steps: s.steps}
	size := math.Max(1, float64(s.config.Size))
	var times, uploads, all []float64
	var got, wasted int64
	banned, wronged := map[int32]bool{}, map[int32]bool{}
	groups := map[*Group][]float64{}
	sent := map[*Group]int64{}
	started := map[*Group]time.Duration{}
	for _, n := range s.nodes {
		sent[n.group] += n.sent
		if n.engine == nil {
			continue
		}
		got += n.got
		if n.here {
			started[n.group] = max(started[n.group], cmp.Or(n.started, s.now)-n.began)
		}
		wasted += max(n.got-int64(n.held)*s.object.PieceLength(), 0)
		uploads = append(uploads, float64(n.sent))
		switch {
		case n.done > 0:
			all = append(all, n.done.Seconds())
			times = append(times, (n.done - n.began).Seconds())
			groups[n.group] = append(groups[n.group], n.done.Seconds())
		case n.failed:
			r.Failed++
		case n.dead:
			r.Left++
		default:
			r.Stuck++
		}
		for p := range n.engine.Peers {
			if other := s.nodeOf(p.Peer); p.Banned && other.group.Lie == "" {
				wronged[other.index] = true
			} else if p.Banned {
				banned[other.index] = true
			}
		}
		s.scores(r, n)
	}
	slices.Sort(all)
	if r.Finished = len(all); r.Finished > 0 {
		r.First, r.Median, r.Last = all[0], all[len(all)/2], all[len(all)-1]
	}
	r.SeedCopies = float64(s.seeded) / size
	if got > 0 {
		r.Waste = float64(wasted) / float64(got)
	}
	r.JainTimes, r.JainUploads, r.Banned, r.Wronged = jain(times), jain(uploads), len(banned), len(wronged)
	for k := range s.config.Groups {
		g := &s.config.Groups[k]
		row := GroupReport{Name: g.Name, Count: g.Count, Finished: len(groups[g]), Uploaded: float64(sent[g]) / size, Started: started[g].Seconds()}
		if slices.Sort(groups[g]); row.Finished > 0 {
			row.Median, row.Last = groups[g][row.Finished/2], groups[g][row.Finished-1]
		}
		r.Groups = append(r.Groups, row)
	}
	for k := range r.Scores {
		row := &r.Scores[k]
		row.Pieces /= float64(row.Sources)
		row.Load /= float64(row.Sources)
	}
	slices.SortFunc(r.Scores, func(a, b ScoreRow) int { return int(math.Copysign(1, b.From-a.From)) })
	return r
}

// scores counts the sources of a download by their scores.
func (s *simulator) scores(r *Report, n *node) {
	for _, p := range n.sources {
		if p.Delivered == 0 {
			continue
		}
		from := math.Floor(4*p.Score) / 4
		k := slices.IndexFunc(r.Scores, func(row ScoreRow) bool { return row.From == from })
		if k < 0 {
			k = len(r.Scores)
			r.Scores = append(r.Scores, ScoreRow{From: from})
		}
		r.Scores[k].Sources++
		r.Scores[k].Pieces += float64(p.Delivered) / float64(s.object.PieceLength())
		r.Scores[k].Load += p.Load
	}
}

// bound is the least time in which all downloads can be done that start at the beginning: the object's size over the
// seeds' rate up, over the slowest one's rate down, and all that is to be received over all rates up (Kumar and Ross,
// Peer-Assisted File Distribution: The Minimum Distribution Time, 2006). Several seeds have the object each, so that it
// need not come from one of them alone.
func (s *simulator) bound() float64 {
	seeds, ups, least, count := 0.0, 0.0, math.Inf(1), 0.0
	for _, n := range s.nodes {
		g := n.group
		if g.Whole && g.Lie == "" {
			seeds += n.up
		}
		if g.fetches() {
			least = min(least, n.down)
			count++
		}
		if !g.Whole {
			if !g.Selfish && g.Lie == "" {
				ups += n.up
			}
		}
	}
	size := float64(s.config.Size)
	if seeds == 0 || count == 0 {
		return 0
	}
	return max(size/seeds, size/least, count*size/(seeds+ups))
}

// jain is (Σx)²/(n·Σx²).
func jain(x []float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 1
	}
	return sum * sum / (float64(len(x)) * squares)
}

// Print writes the report as tables.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	over := func(x float64) string {
		if r.Bound == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f× the bound", x/r.Bound)
	}
	row("peers", "%d\t%d pieces", r.Peers, r.Pieces)
	row("downloads", "%d\t%d left, %d stuck, %d failed", r.Finished, r.Left, r.Stuck, r.Failed)
	row("bound", "%v", duration(r.Bound))
	row("first", "%v\t%s", duration(r.First), over(r.First))
	row("median", "%v\t%s", duration(r.Median), over(r.Median))
	row("last", "%v\t%s", duration(r.Last), over(r.Last))
	row("copies from seeds", "%.2f\tbefore the first was done", r.SeedCopies)
	row("received twice", "%.2f %%", 100*r.Waste)
	row("fairness", "%.3f\tof times; %.3f of uploads (Jain)", r.JainTimes, r.JainUploads)
	row("connecting at once", "%d\tto one peer", r.Rush)
	row("banned", "%d\tand %d honest ones", r.Banned, r.Wronged)
	fmt.Fprintln(t, "\ngroup\tpeers\tfinished\tfirst piece\tmedian\tlast\tcopies uploaded")
	for _, g := range r.Groups {
		fmt.Fprintf(t, "%q\t%d\t%d\t%v\t%v\t%v\t%.2f\n", g.Name, g.Count, g.Finished, duration(g.Started), duration(g.Median), duration(g.Last), g.Uploaded)
	}
	fmt.Fprintln(t, "\nscore\tsources\tpieces each\tload over threshold")
	for _, row := range r.Scores {
		fmt.Fprintf(t, "%.2f…\t%d\t%.1f\t%.2f\n", row.From, row.Sources, row.Pieces, row.Load)
	}
	return t.Flush()
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}
