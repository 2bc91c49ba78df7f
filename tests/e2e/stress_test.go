package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bash runs a line, such as one of the scripts, with these variables in its environment, until it has ended with that code. What it said
// is returned.
func bash(t *testing.T, code int, line string, variables ...string) string {
	t.Helper()
	program, err := lean()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), append(variables, "SHOAL_BIN="+program, "TMPDIR="+t.TempDir())...)
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%s: %v, want exit code %d; it said:\n%s", line, err, code, said)
	}
	return string(said)
}

// TestStress has few people use Shoal for a moment: all is well, and the script notices when it is not.
func TestStress(t *testing.T) {
	t.Parallel()
	const stress = "scripts/stress.sh"
	for name, c := range map[string]struct {
		code      int
		variables []string
		says      []string
	}{
		"well": {0, []string{"CLIENTS=3", "SECONDS=1"}, []string{"\n3 sessions: ", " unpublish ", " CPU ", "nearest to being full: ", "Nothing was wrong, and nothing was kept"}},
		"not well": {
			1,
			[]string{"CLIENTS=1", "SECONDS=1", "MIX=get=1", "STRESS_FAULT=wrong leak"},
			[]string{"times Shoal was wrong", " was fetched, and b3sum says ", "server: descriptors grew from ", "something was wrong: see "},
		},
		"settings": {1, []string{"MIX=list=4,fly=1"}, []string{"not 'fly=1'"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := bash(t, c.code, stress, append([]string{"MIX=list=1,lookup=1,publish=4,get=1,get-one=1,groups=1,logins=1"}, c.variables...)...)
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it did not say %q, but:\n%s", want, said)
				}
			}
		})
	}
}

// TestSoak has few people use Shoal for a moment while daemons are killed and the like: all that was acknowledged is there,
// and the script notices when it is not.
func TestSoak(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("networks and mounts of its own are not allowed here, which root may have")
	}
	for name, c := range map[string]struct {
		code     int
		variable string
		says     []string
	}{
		"well":     {0, "SEED=5", []string{" sessions, and faults for 0.08 minutes", " s\n  operation ", "Is all there that was acknowledged?\nAll of it: "}},
		"not well": {1, "SOAK_FAULT=lost file", []string{"times Shoal was wrong", "session 1: ls lacks nobodys, which was published", " was fetched, and b3sum says ", "it failed: see "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := bash(t, c.code, "scripts/soak.sh 0.08", "CLIENTS=3", c.variable)
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it did not say %q, but:\n%s", want, said)
				}
			}
		})
	}
}

// TestFigures gives the functions that measure what they are to find.
func TestFigures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "samples")
	for _, c := range []struct {
		lines, function string
		code            int
		want            string
	}{
		{"1 10000 5\n2 19000 6\n4 20000 12\n8 20500 25\n", "knee", 0, "2\n"},
		{"1 10000 50\n2 8000 90\n4 20000 60\n8 40000 65\n", "knee", 0, "0\n"},
		{"1 10000 50\n2 8000 60\n4 10900 120\n", "knee", 0, "1\n"},
		{"1 10000 50\n", "knee", 0, "0\n"},
		{"get 0 3000\nget 0 1000\nls 8 2000\nget 4 2000\nls 8 2500\n", "table", 0, "  operation    times    p50 ms       p90       p99       max  errors\n" +
			"  all              5       2.0       2.5       2.5       3.0  exit 4: 1  exit 8: 2\n" +
			"  get              3       2.0       2.0       2.0       3.0  exit 4: 1\n" +
			"  ls               2       2.0       2.0       2.0       2.5  exit 8: 2\n"},
		{"10 peer 900 9\n11 peer 700 8\n11 server 20 5\n12 peer 100 6\n12 server 10 5\n13 peer 300 7\n", "work=" + dir + " held 11 #", 0, "peer 300 8\nserver 10 5\n"},
		{"", "flat heap 1000 1110 10 10 #", 0, ""},
		{"", "flat heap 1000 1111 10 10 #", 1, "  heap grew from 1000 to 1111: that is a leak\n"},
	} {
		write(t, file, []byte(c.lines))
		if got := bash(t, c.code, "source scripts/lib/figures.sh && "+c.function+" "+file); got != c.want {
			t.Errorf("%s of\n%ssays\n%swant\n%s", c.function, c.lines, got, c.want)
		}
	}
}
