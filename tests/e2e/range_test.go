package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGetRange fetches ranges, each to a file with these bytes alone, and no more than the pieces that they lie in.
func TestGetRange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(4*mib+1000, 50)
	w.seeds("file", content, "a", "b")
	for _, c := range []struct {
		given      string
		begin, end int
		fetched    int64
	}{
		{"1M-2M", mib, 2 * mib, mib},
		{"100-1K", 100, kib, 256 * kib},
		{"262143-524289", 256*kib - 1, 512*kib + 1, 768 * kib},
		{"-1", len(content) - 1, len(content), 1000},
		{"4M-5M", 4 * mib, len(content), 1000},
	} {
		out := w.path("out." + c.given)
		done := w.get("getter", "file", "--range", c.given, "-o", out).wait().ok().event("done")
		same(t, out, content[c.begin:c.end])
		if done.Begin != int64(c.begin) || done.End != int64(c.end) || done.Sources.total() != c.fetched || done.Served || done.Path != out {
			t.Errorf("%s: %+v", c.given, done)
		}
		w.shoal("getter", "get", "file", "--range", c.given, "-o", out).exit(7, out+" is there already")
	}
	folder := w.folder("names")
	w.shoal("getter", "get", "file", "--range", "1M-", "-o", folder).ok()
	same(t, filepath.Join(folder, fmt.Sprintf("file.%d-%d", mib, len(content))), content[mib:])
	w.shoal("getter", "get", "file", "--range", "0-", "-o", folder).ok() // which is all of it
	same(t, filepath.Join(folder, "file"), content)
	w.shoal("getter", "get", "file", "--range", "5M-6M", "-o", folder).exit(2, "begins at byte 5242880", "4195304")
	w.shoal("getter", "get", "file", "--range", "2M-1M", "-o", folder).exit(2, "--range", "empty")
	absent(t, filepath.Join(folder, "file.5242880-6291456"))
}

// TestRangeIsResumed kills the download of a range half-way; the next one goes on from there.
func TestRangeIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(16*mib, 51)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(4 * mib)
	out := w.path("out")
	first := island.get("getter", "file", "--range", "4M-12M", "-o", out)
	first.await("progress", func(e event) bool { return e.Held >= 2*mib })
	first.kill()
	link.open()
	done := island.get("getter", "file", "--range", "4M-12M", "-o", out).wait().ok().event("done")
	same(t, out, content[4*mib:12*mib])
	if done.Resumed < 2*mib || done.Sources.total() != 8*mib-done.Resumed {
		t.Errorf("%d bytes were there already, and %d came", done.Resumed, done.Sources.total())
	}
}

// TestRangesFromPartialHolders fetches a range whose pieces only another, unfinished download of that range has.
func TestRangesFromPartialHolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(16*mib, 52)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(4 * mib)
	first := island.start("first", "cat", "file")
	eventually(t, func() error {
		if n := len(first.output()); n < 2*mib {
			return fmt.Errorf("%d bytes were passed on", n)
		}
		return nil
	})
	eventually(t, link.isSpent)
	eventually(t, func() error {
		if e := w.list()["file"]; e.Sources != 1 || e.Partial != 1 {
			return fmt.Errorf("%d whole sources and %d partial ones", e.Sources, e.Partial)
		}
		return nil
	})
	done := island.get("second", "file", "--range", "512K-1M", "-o", w.path("out")).wait().ok().event("done")
	same(t, w.path("out"), content[512*kib:mib])
	if got := done.Sources.from(seed.device).Bytes; got > 0 {
		t.Errorf("%d bytes came from the source that is silent", got)
	}
	link.open()
	if first.wait().ok().stdout != string(content) {
		t.Error("cat wrote other bytes")
	}
	eventually(t, func() error {
		if e := w.list()["file"]; e.Partial != 0 {
			return fmt.Errorf("%d partial sources are left", e.Partial)
		}
		return nil
	})
}

// TestCat writes files to stdout, one after the other, and ranges of them.
func TestCat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(3*mib+5, 53)
	seed := w.seeds("file", content, "a", "b")[0]
	seed.publishCopy("empty", nil)
	file := seed.publishCopy("small", content[:100]).File
	if got := w.shoal("getter", "cat", "file", "empty", file).ok().stdout; got != string(content)+string(content[:100]) {
		t.Errorf("%d bytes were written", len(got))
	}
	if got := w.shoal("getter", "cat", "file", "--range", "1M-2M").ok().stdout; got != string(content[mib:2*mib]) {
		t.Errorf("%d bytes were written of a range", len(got))
	}
	w.shoal("getter", "cat", "nothing", "file").exit(3, "nothing")
	w.shoal("getter", "cat", "file", "--range", "10M-").exit(2, "begins at byte")
	w.shoal("getter", "cat", "file", "--json").exit(2, "--json")
	for _, name := range []string{"empty", "small"} {
		absent(t, w.path(name))
	}
}

// TestCatLosesItsSource passes on what came, nothing else, and says that it ends too early.
func TestCatLosesItsSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(8*mib, 54)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(3 * mib)
	cat := island.start("getter", "cat", "file", "--timeout", "2s")
	eventually(t, link.isSpent)
	seed.kill()
	got := cat.wait().exit(4, "nothing came for 2s").stdout
	if len(got) < mib || !strings.HasPrefix(string(content), got) {
		t.Errorf("%d bytes were written", len(got))
	}
}

// startTo starts a command that writes to a file.
func (w *world) startTo(stdout *os.File, state string, args ...string) *process {
	w.Helper()
	w.enrolState(state, args)
	p := prepare(w.T, w.binary, w.dir, w.environment(state), args...)
	p.cmd.Stdout = stdout
	p.watch(fork(p.cmd.Start))
	return p
}

// TestCatReaderStandsStill asks a cat to end whose reader takes nothing, and lets one's reader go: both are over at once.
func TestCatReaderStandsStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := w.seeds("file", random(24*mib, 55), "seed")[0]
	for _, gone := range []bool{false, true} {
		near, far, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		cat := w.startTo(far, "getter", "cat", "file")
		far.Close()
		b := make([]byte, 1000)
		if _, err := near.Read(b); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error { // it reads ahead, and serves that
			if e := w.list()["file"]; e.Partial != 1 {
				return fmt.Errorf("%d partial sources", e.Partial)
			}
			return nil
		})
		if gone {
			near.Close()
			cat.wait().exit(-1) // SIGPIPE, as for any command
		} else {
			cat.stop()
			cat.wait().exit(130)
		}
	}
	if seed.hasEnded() {
		t.Error("the source has ended")
	}
}
