package proc

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseStat(t *testing.T) {
	const stat = "4242 (a (b) c d) S 1 4242 4242 0 -1 4194560 900 0 0 0 150 75 9 9 20 0 1 0 100 1000 200 0"
	cpu, err := parseStat(stat)
	if want := 2250 * time.Millisecond; err != nil || cpu != want {
		t.Errorf("parseStat = %v, %v, want %v", cpu, err, want)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", strings.Replace(stat, "150", "many", 1)} {
		if cpu, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) = %v, want an error", bad, cpu)
		}
	}
}

func TestParseStatus(t *testing.T) {
	peak, err := parseStatus("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   68 kB\n")
	if err != nil || peak != 68<<10 {
		t.Errorf("parseStatus = %d, %v, want %d", peak, err, 68<<10)
	}
	if peak, err := parseStatus("Name:\tx\nState:\tZ (zombie)\n"); err == nil {
		t.Errorf("parseStatus of an ended process = %d, want an error", peak)
	}
}

func TestParseBusy(t *testing.T) {
	const stat = "cpu  100 20 30 99999 88888 4 5 6 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	if busy, err := parseBusy([]byte(stat)); err != nil || busy != 1650*time.Millisecond {
		t.Errorf("busy for %v, %v", busy, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3 4 5 6 7\n", "cpu  100 20 x 99999 88888 4 5 6\n", "intr 1 2 3 4 5 6 7 8 9\n"} {
		if busy, err := parseBusy([]byte(bad)); err == nil {
			t.Errorf("%q: busy for %v", bad, busy)
		}
	}
}

func TestOthersLeaveOutThisProcess(t *testing.T) {
	l := Load{at: time.Now().Add(-time.Second), all: time.Second, own: 300 * time.Millisecond, child: 100 * time.Millisecond}
	now := Load{at: l.at.Add(2 * time.Second), all: 4 * time.Second, own: 900 * time.Millisecond, child: 500 * time.Millisecond}
	if got, want := now.since(&l), (Spent{Own: .3, Daemon: .2, Others: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := l.since(&Load{at: l.at.Add(-time.Second), all: time.Second}); got.Others != 0 {
		t.Errorf("%v cores where a tick is missing, want 0", got.Others)
	}
}

func TestRunMeasures(t *testing.T) {
	// The shell holds a string of 64 MiB for long enough to be seen, and works for it.
	script := `x=$(head -c 67108864 /dev/zero | tr '\0' a); i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ${#x}`
	use, out, err := Run(t.Context(), Command{Args: []string{"sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != "67108864" {
		t.Errorf("output %q", got)
	}
	if use.Peak < 64<<20 || use.CPU <= 0 || use.Wall <= 0 {
		t.Errorf("usage %+v, want a peak of at least 64 MiB and some time", use)
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	_, _, err := Run(t.Context(), Command{Args: []string{"sh", "-c", "echo because >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "because") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want the exit status and the message", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if use, _, err := Run(ctx, Command{Args: []string{"sleep", "60"}}); err == nil || use.Wall > 30*time.Second {
		t.Errorf("after its time: %v after %v, want an error at once", err, use.Wall)
	}
}

func TestDaemonStops(t *testing.T) {
	lines := NewLines()
	script := `trap 'exit 0' TERM; echo why >&2; echo ready; while :; do sleep 0.01; done`
	d, err := Start(t.Context(), t.TempDir(), "loop", Command{Args: []string{"sh", "-c", script}}, lines)
	if err != nil {
		t.Fatal(err)
	}
	if line := <-lines.C; line != "ready" {
		t.Errorf("first line %q", line)
	}
	if use, err := d.Usage(); err != nil || use.Peak == 0 {
		t.Errorf("usage %+v, %v", use, err)
	}
	pid := d.cmd.Process.Pid
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := peakOf(pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process %d after Stop: %v, want it gone", pid, err)
	}
	if _, err := d.Usage(); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("usage after Stop: %v, want the log", err)
	}
}
