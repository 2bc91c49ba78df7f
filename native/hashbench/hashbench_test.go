package hashbench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"shoal/native"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "print-sha256" {
		if err := PrintSHA256(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestRunMeasuresEveryLevel(t *testing.T) {
	published := 0
	r, err := Run(t.Context(), Options{
		Rounds:   1,
		Slice:    time.Millisecond,
		FileSize: 3 << 20,
		Dir:      t.TempDir(),
		Publish: func(_ context.Context, f *os.File, size int64) error {
			published++
			_, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, size))
			return err
		},
		SoftSHA256: []string{"print-sha256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if published != 2 {
		t.Errorf("published %d times, want once a round and once to warm up", published)
	}
	rates := make(map[string]float64)
	for _, rate := range r.Rates {
		if rate.GBps <= 0 || math.IsInf(rate.GBps, 0) {
			t.Errorf("%s on %d threads runs at %v GB/s", rate.Name, rate.Threads, rate.GBps)
		}
		rates[rate.Name] = rate.GBps
	}
	for _, name := range append(native.Levels(), "SHA-256", "SHA-1", "MD5", "CRC-32C", lukechampine, softSHA256, publishName) {
		if _, ok := rates[name]; !ok {
			t.Errorf("%s was not measured", name)
		}
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, word := range append(native.Levels(), "std-best", "std-sha256-soft", "go-twin") {
		if !strings.Contains(out.String(), word) {
			t.Errorf("the table does not mention %s:\n%s", word, out.String())
		}
	}
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	a, b, c := key{"a", 1}, key{"b", 1}, key{"c", 1}
	m := measurements{a: {10, 30, 8}, b: {1, 2, 4}, c: {5, 1, 1}}
	if got, ok := m.ratio(a, b, c); !ok || got != 2 { // 10/5, 30/2, 8/4
		t.Errorf("ratio is %v, %v; want 2", got, ok)
	}
	if _, ok := m.ratio(a, key{"d", 1}); ok {
		t.Error("there is a ratio to what was not measured")
	}
}

func TestFigureHolds(t *testing.T) {
	for _, c := range []struct {
		value float64
		most  bool
		want  bool
	}{{2, false, true}, {1.9, false, false}, {2, true, true}, {2.1, true, false}} {
		if got := (Figure{Value: c.value, Bound: 2, Most: c.most}).Holds(); got != c.want {
			t.Errorf("%v against bound 2 (at most: %v) holds: %v, want %v", c.value, c.most, got, c.want)
		}
	}
}
