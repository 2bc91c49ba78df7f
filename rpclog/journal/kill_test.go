package journal

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/rs/zerolog"

	"shoal/rpclog"
)

const asAppender = "SHOAL_TEST_APPENDER"

// appendForever stores batches in dir until it is killed, and says on standard output what is acknowledged.
func appendForever(dir string) {
	j, err := Open(dir, Limits{File: 16 << 10, Keep: 64 << 20}, zerolog.Nop())
	if err != nil {
		panic(err)
	}
	for n := range byte(3) {
		go func() {
			for first := j.mark(n) + 1; ; first += 7 {
				b := batch(sender(n), first, first+6)
				b.Sync = n == 0
				r, err := j.Append(b, true, Origin{})
				if err != nil || r.Duplicates > 0 {
					panic(fmt.Sprint(r, err))
				}
				fmt.Printf("%d %d\n", n, r.Mark)
			}
		}()
	}
	select {}
}

// mark returns how far a test's sender has come: an empty batch asks.
func (j *Journal) mark(n byte) uint64 {
	r, err := j.Append(batch(sender(n), 1, 0), true, Origin{})
	if err != nil {
		panic(err)
	}
	return r.Mark
}

// TestKilled kills a process that stores, compresses and begins files, again and again, and counts.
func TestKilled(t *testing.T) {
	t.Parallel()
	f := &reopened{T: t, dir: t.TempDir()}
	acknowledged := map[byte]uint64{}
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asAppender+"="+f.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 50 + rand.IntN(400); lines.Scan(); left-- {
			var n byte
			var mark uint64
			if _, err := fmt.Sscan(lines.Text(), &n, &mark); err != nil {
				break // cut off
			}
			acknowledged[n] = mark
			if left == 0 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
	}
	f.limits = Limits{File: 16 << 10, Keep: 64 << 20}
	f.open()
	seen := map[byte]uint64{}
	for _, l := range f.all(rpclog.Query{}) {
		if seen[l.Device[0]]++; seen[l.Device[0]] != l.Seq {
			t.Fatalf("number %d of %d comes as %d", l.Seq, l.Device[0], seen[l.Device[0]])
		}
	}
	for n := range byte(3) {
		if seen[n] < acknowledged[n] || acknowledged[n] == 0 {
			t.Errorf("%d acknowledged, %d stored", acknowledged[n], seen[n])
		}
		if mark := f.mark(n); mark != seen[n] {
			t.Errorf("the mark is %d, %d are stored", mark, seen[n])
		}
	}
	f.settle()
	if leavings := f.glob("*" + unfinishedSuffix); len(leavings) > 0 {
		t.Errorf("left: %q", leavings)
	}
}
