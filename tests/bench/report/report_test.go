package report

import (
	"errors"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		list []int
		want int
	}{{[]int{7}, 7}, {[]int{9, 1}, 1}, {[]int{5, 1, 9}, 5}, {[]int{4, 3, 2, 1}, 2}} {
		if got := Median(c.list); got != c.want {
			t.Errorf("Median(%v) = %d, want %d", c.list, got, c.want)
		}
	}
}

func TestVerdictsAtTheirBars(t *testing.T) {
	for _, c := range []struct {
		Verdict
		ok bool
	}{
		{Verdict{Measured: 2, Bar: 2, AtLeast: true}, true},
		{Verdict{Measured: 1.99, Bar: 2, AtLeast: true}, false},
		{Verdict{Measured: 64, Bar: 64}, true},
		{Verdict{Measured: 64.1, Bar: 64}, false},
	} {
		word := strings.Fields(c.String())[0]
		if c.Verdict.OK() != c.ok || (word == "ok") != c.ok {
			t.Errorf("%q, want ok: %v", c.String(), c.ok)
		}
		if err := Print([]Verdict{{}, c.Verdict}); (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrShort)) {
			t.Errorf("Print with %q: %v", c.String(), err)
		}
	}
}

func TestFiguresAreChosenByName(t *testing.T) {
	p := Program{Figures: []Figure{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	for only, want := range map[string]string{"": "a,b,c", "b": "b", "c,a": "c,a"} {
		chosen, err := p.choose(only)
		if got := (Program{Figures: chosen}).names(); err != nil || got != want {
			t.Errorf("choose(%q) = %s, %v, want %s", only, got, err, want)
		}
	}
	if _, err := p.choose("a,d"); err == nil {
		t.Error("a figure that does not exist was chosen")
	}
}
