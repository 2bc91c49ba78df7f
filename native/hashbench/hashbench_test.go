package hashbench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
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

// standard are the hashes of the standard library that are measured.
var standard = []string{"SHA-256", "SHA-1", "MD5", "CRC-32C"}

func TestRunMeasuresEveryLevel(t *testing.T) {
	r, err := Run(t.Context(), Options{Rounds: 1, Slice: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	threads := []int{1}
	if all := runtime.GOMAXPROCS(0); all > 1 {
		threads = append(threads, all)
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(native.Levels(), standard...) {
		for _, n := range threads {
			if i := slices.IndexFunc(r.Rates, func(r Rate) bool { return r.Name == name && r.Threads == n }); i < 0 {
				t.Errorf("%s was not measured on %d threads", name, n)
			}
		}
		if !strings.Contains(out.String(), "\n"+name+" ") {
			t.Errorf("the table does not mention %s:\n%s", name, out.String())
		}
	}
	for _, rate := range r.Rates {
		if rate.GBps <= 0 || math.IsInf(rate.GBps, 0) {
			t.Errorf("%s on %d threads runs at %v GB/s", rate.Name, rate.Threads, rate.GBps)
		}
	}
	if len(r.Figures)+len(r.Missing) > 0 {
		t.Errorf("there are figures without rivals: %v", r.Figures)
	}
}

func TestRunWithRivals(t *testing.T) {
	if _, err := exec.LookPath("b3sum"); err != nil {
		t.Skip("b3sum is not installed: scripts/setup.sh test")
	}
	published, dir := 0, t.TempDir()
	r, err := Run(t.Context(), Options{
		Rounds: 1,
		Slice:  time.Millisecond,
		Rivals: &Rivals{
			FileSize: 3 << 20,
			Dir:      dir,
			Publish: func(_ context.Context, f *os.File, size int64) error {
				published++
				_, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, size))
				return err
			},
			SoftSHA256: []string{"print-sha256"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if published != 2 {
		t.Errorf("published %d times, want once a round and once to warm up", published)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	names := slices.Clone(r.Missing)
	for _, f := range r.Figures {
		if f.Value <= 0 || math.IsInf(f.Value, 0) {
			t.Errorf("%s is %v", f.Name, f.Value)
		}
		names = append(names, f.Name)
	}
	slices.Sort(names)
	want := []string{"avx2", "b3sum-1t", "cgo", "go-twin", "publish", "std-best", "std-md5", "std-sha256-soft", "two-threads"}
	if !slices.Equal(names, want) {
		t.Errorf("figures are %v, want %v", names, want)
	}
	for _, name := range []string{"std-best", "std-sha256-soft", "go-twin", "publish"} {
		if slices.Contains(r.Missing, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestThreadsWorkTogether counts what the threads do, and requires the rate to be that.
func TestThreadsWorkTogether(t *testing.T) {
	const n, d = 1000, 5 * time.Millisecond
	var calls [2]int
	start := time.Now()
	rate, _, err := together(2, d, n, func(thread int) {
		calls[thread]++
		for s := time.Now(); time.Since(s) < 100*time.Microsecond; {
			runtime.Gosched()
		}
	})
	took := time.Since(start)
	if err != nil || calls[0] == 0 || calls[1] == 0 || took < d {
		t.Fatalf("threads made %v calls in %v, %v", calls, took, err)
	}
	bytes := float64(calls[0]+calls[1]) * n
	if least, most := bytes/took.Seconds()/1e9, bytes/d.Seconds()/1e9; rate < least || rate > most {
		t.Errorf("the rate is %v GB/s, want %v to %v", rate, least, most)
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

func TestVerdicts(t *testing.T) {
	for want, f := range map[string]Figure{
		"ok\tx\t2\t>= 2\twhy":       {Value: 2},
		"short\tx\t1.9\t>= 2\twhy":  {Value: 1.9},
		"ok\tx\t2\t<= 2\twhy":       {Value: 2, AtMost: true},
		"short\tx\t2.01\t<= 2\twhy": {Value: 2.01, AtMost: true},
	} {
		f.Name, f.Bar, f.What = "x", 2, "why"
		if got := f.String(); got != want {
			t.Errorf("the verdict is %q, want %q", got, want)
		}
	}
}
