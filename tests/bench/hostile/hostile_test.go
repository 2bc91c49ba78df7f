package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shoal/tests/bench/proc"
	"shoal/tests/bench/report"
)

// program is the shoal that is attacked.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "shoal-hostile-")
	if err == nil {
		program = filepath.Join(dir, "shoal")
		var said []byte
		if said, err = exec.Command("go", "build", "-o", program, "shoal/cmd/shoal").CombinedOutput(); err != nil {
			err = fmt.Errorf("building shoal: %w\n%s", err, said)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := errors.Join(goleak.Find(), os.RemoveAll(dir)); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// What every attack of the benchmark leads to, for a moment and from a crowd that a test can afford: the attacker gets to
// where it wants to be, and meanwhile each honest client is served.
func TestAttacks(t *testing.T) {
	w, err := startWorld(t.Context(), &report.Bench{Shoal: program}, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			w.targets.Most = 700 // more than an enrichment service keeps
			switch a.role {
			case "hellos", "strangers", "trickle-hello", "trickle-frame": // each is a handshake
				w.targets.Most = 40
			}
			ctx, cancel := context.WithCancel(t.Context())
			var n counts
			b, ended := make(begun), make(chan error, 1)
			go func() { ended <- roles[a.role](ctx, &w.targets, a.at, &n, b) }()
			<-b
			for _, p := range probes {
				c := p.begin(&w.targets)
				once, done := context.WithTimeout(ctx, patience)
				if err := c.do(once); err != nil {
					t.Errorf("%s: %v", p.name, err)
				}
				done()
				c.end()
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if n.opened.Load() == 0 {
				t.Error("the attacker could not open a connection")
			}
		})
	}
}

// What could not even begin in time counts as slow as that, and what failed as slow as anybody waits.
func TestLatenessCounts(t *testing.T) {
	p := probe{every: 10 * time.Millisecond}
	begin := time.Now()
	m := p.keepDoing(t.Context(), stuck{}, begin.Add(-95*time.Millisecond), begin)
	if len(m.took) != 10 || m.at(.99) < 90*time.Millisecond {
		t.Errorf("found %v", m.took)
	}
	for m.failed == 0 {
		m = p.keepDoing(t.Context(), stuck{}, time.Now(), time.Now().Add(10*time.Millisecond))
	}
	if m.at(.99) < patience || m.why == nil {
		t.Errorf("found %+v", m)
	}
}

// stuck is a client that is not served.
type stuck struct{}

func (stuck) do(context.Context) error { return errors.New("no") }
func (stuck) end()                     {}

func TestVerdicts(t *testing.T) {
	found := func(d time.Duration) (all []measured) {
		for range probes {
			all = append(all, measured{took: []time.Duration{d}})
		}
		return all
	}
	f := fight{attack: attack{name: "x"}, world: &world{daemons: []daemon{{name: "server"}, {name: "peer"}}}}
	f.rounds = []round{{turn{found: found(50), daemons: []float64{1, 1}}, turn{found: found(20), daemons: []float64{1, 1}}}}
	before := make([]proc.Usage, 2)
	after := []proc.Usage{{Peak: 100 << 20}, {Peak: 65 << 20}} // the server's garbage is not held against it
	verdicts, err := f.report(before, after)
	if err != nil || len(verdicts) != 2 || verdicts[0].Measured != 2.5 || verdicts[0].OK() || verdicts[1].Measured != 65 || verdicts[1].OK() {
		t.Errorf("verdicts %+v, %v", verdicts, err)
	}
}

func TestCgroupsAreFound(t *testing.T) {
	second := t.TempDir()
	if err := os.WriteFile(filepath.Join(second, "cgroup.controllers"), []byte("cpuset cpu memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mounts, root string
		second       bool
	}{
		"version 1":  {"tmpfs /sys tmpfs rw 0 0\ncgroup /c/cpuset cgroup rw,cpuset 0 0\ncgroup /c/cpu cgroup rw,cpuacct,cpu 0 0\n", "/c/cpu", false},
		"version 2":  {"cgroup2 " + second + " cgroup2 rw 0 0\n", second, true},
		"both":       {"cgroup2 /nowhere cgroup2 rw 0 0\ncgroup /c/cpu cgroup rw,cpu 0 0\n", "/c/cpu", false},
		"not at all": {"cgroup2 /nowhere cgroup2 rw 0 0\n", "", false},
	} {
		root, v2, err := findCgroups(c.mounts)
		if root != c.root || v2 != c.second || (err == nil) != (c.root != "") {
			t.Errorf("%s: %q, %v, %v", name, root, v2, err)
		}
	}
}
