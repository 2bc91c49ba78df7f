package e2e

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// again is how many bytes a resumed download may fetch once more, and overhead what the protocol may add to a file.
const (
	again    = 8 * mib
	overhead = 1 * mib
)

// TestDownloadIsResumed ends a download when most of it is there, and runs the same command again.
func TestDownloadIsResumed(t *testing.T) {
	const size, before = 48*mib + 7, 36 * mib
	for _, how := range []struct {
		name   string
		signal syscall.Signal
		code   int
	}{{"after kill -9", syscall.SIGKILL, -1}, {"after Ctrl-C", syscall.SIGINT, 130}, {"after SIGTERM", syscall.SIGTERM, 130}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			content := random(size, 20)
			seed := w.seeds("file", content, "seed")[0]
			island := newIsland(w)
			link := island.link(seed.address)
			get := w.halfWay(island, links(link), before)
			get.signal(how.signal)
			r := get.wait().exit(how.code)
			if how.code == 130 && !strings.Contains(r.stderr, "is kept, run the same command again") {
				t.Errorf("the error does not say that the part is kept:\n%s", r.stderr)
			}
			absent(t, w.path("out"))
			if parts := w.find(".shoal-*.part"); len(parts) != 1 {
				t.Errorf("parts that were kept: %v", parts)
			}
			link.open()
			done := island.get("getter", "file", "-o", w.path("out")).wait().ok().event("done")
			same(t, w.path("out"), content)
			if done.Resumed < before-again {
				t.Errorf("%d bytes were resumed of some %d", done.Resumed, before)
			}
			if fresh := done.Sources.total(); done.Resumed+fresh != size {
				t.Errorf("%d bytes resumed and %d fetched make %d, want %d", done.Resumed, fresh, done.Resumed+fresh, size)
			}
			if carried := link.carried.Load(); carried > size+again+overhead {
				t.Errorf("%d bytes came from the source for a file of %d", carried, size)
			}
		})
	}
}

// find returns the files in the world whose names match.
func (w *world) find(pattern string) (found []string) {
	w.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			if ok, _ := filepath.Match(pattern, d.Name()); ok {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// TestTwoDownloadsOfOneFile has two commands fetch the same file into the same folder. The second says that the first is
// at it, and later that nothing is left to do.
func TestTwoDownloadsOfOneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(8*mib, 21)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	first := w.halfWay(island, links(link), 4*mib)
	island.get("getter", "file", "-o", w.path("out")).wait().exit(8, "by another process", "wait for it or stop it")
	link.open()
	first.wait().ok()
	if done := w.get("getter", "file", "-o", w.path("out")).wait().ok().event("done"); !done.Present {
		t.Errorf("the file is there, and was fetched again: %+v", done)
	}
	same(t, w.path("out"), content)
	// And both at once, as they come.
	one, two := w.get("one", "file", "-o", w.path("both")), w.get("two", "file", "-o", w.path("both"))
	r1, r2 := one.wait(), two.wait()
	for _, r := range []result{r1, r2} {
		if r.code != 0 && r.code != 8 {
			r.exit(8)
		}
	}
	if r1.code != 0 && r2.code != 0 {
		t.Errorf("neither of two commands fetched the file")
	}
	same(t, w.path("both"), content)
}
