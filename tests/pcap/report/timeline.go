package report

import (
	"fmt"
	"strings"

	"shoal"
)

// columns is how wide a time line is at most, and shades what stands for how much of the most that any source sent in a part of the
// time.
const columns = 64

var shades = []rune(" .:-=+*#")

// gets are those to show: from more than one source.
func (w *writer) gets(r *Report) (several []*Get) {
	for _, g := range r.Gets {
		if len(g.Sources) > 1 && len(several) < w.most {
			several = append(several, g)
		}
	}
	return several
}

// get draws when each source sent how much.
func (w *writer) get(g *Get) {
	fmt.Fprintf(w, "\nget of %v (%s bytes) by %v at %v\nfrom %s UTC for %v; two sources or more in %.0f %% of the time\n",
		g.File, number(g.Size), g.Device, g.Address, g.Begin.UTC().Format(clock), round(g.End.Sub(g.Begin)), 100*g.Overlap)
	var most int64
	lines := make([][]int64, len(g.Sources))
	for i, s := range g.Sources {
		lines[i] = fit(s.Line)
		for _, n := range lines[i] {
			most = max(most, n)
		}
	}
	for i, s := range g.Sources {
		if i == w.most {
			fmt.Fprintf(w, "and %s more sources\n", number(len(g.Sources)-i))
			break
		}
		fmt.Fprintf(w, "|%s| %s bytes in %s blocks, %s\n", draw(lines[i], most), number(s.Bytes), number(s.Blocks),
			shoal.Printable(fmt.Sprintf("%v at %v", s.Device, s.Address)))
	}
}

// fit adds up neighbours until there are few enough.
func fit(line []int64) []int64 {
	for len(line) > columns {
		half := make([]int64, (len(line)+1)/2)
		for i, n := range line {
			half[i/2] += n
		}
		line = half
	}
	return line
}

func draw(line []int64, most int64) string {
	var b strings.Builder
	for _, n := range line {
		shade := 0
		if n > 0 {
			shade = min(len(shades)-1, 1+int(float64(n)/float64(most)*float64(len(shades)-1)))
		}
		b.WriteRune(shades[shade])
	}
	return b.String()
}
