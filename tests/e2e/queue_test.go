package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// enqueue queues targets at the running peer of a state, and returns the downloads' numbers.
func (w *world) enqueue(state string, args ...string) (ids []string) {
	w.Helper()
	for _, e := range w.shoal(state, append([]string{"get", "--queue", "--json"}, args...)...).ok().events {
		ids = append(ids, fmt.Sprint(e.ID))
	}
	return ids
}

// downloads are what the queue of a state's peer says of the downloads with the numbers, or of all.
func (w *world) downloads(state string, ids ...string) []event {
	w.Helper()
	return w.shoal(state, append([]string{"downloads", "--json"}, ids...)...).ok().events
}

// watch waits until downloads do not move any more, and returns what was said last of each.
func (w *world) watch(state string, ids ...string) map[string]event {
	w.Helper()
	last := map[string]event{}
	for _, e := range w.shoal(state, append([]string{"downloads", "--json", "--watch"}, ids...)...).ok().events {
		last[fmt.Sprint(e.ID)] = e
	}
	return last
}

// queueing is a peer on an island, which downloads from a seed as far as a link lets it.
func queueing(w *world, island *island, flags ...string) *process {
	w.Helper()
	p := island.start("getter", append([]string{"peer", "--json", "--listen", "127.0.0.1:0", "--dir", w.folder("got")}, flags...)...)
	p.await("serving", nil)
	return p
}

// TestQueue hands downloads to a peer: they come where a get would have put them, and are served on; what cannot be is refused
// at once.
func TestQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shoal("getter", "get", "--queue", "one").exit(8, "no peer runs", "shoal peer")
	w.shoal("getter", "downloads").exit(8, "no peer runs")
	one, two := random(5*mib+1, 40), random(1*mib, 41)
	seed := w.seeds("one", one, "seed")[0]
	seed.publishCopy("two", two)
	getter := w.peer("getter", "--downloads", "1")
	w.shoal("getter", "get", "--queue", "missing").exit(3, `there is no "missing"`)
	ids := w.enqueue("getter", "one", "two")
	other := w.folder("other")
	ids = append(ids, w.enqueue("getter", "one", "two", "--range", "1K-2K", "-o", other)...)
	last := w.watch("getter", ids...)
	for i, id := range ids {
		if e := last[id]; e.State != "done" || e.Served != (i < 2) || i < 2 && e.Sources.total() != e.Size {
			t.Errorf("download %s ends as %+v", id, e)
		}
	}
	same(t, filepath.Join(getter.dir, "one"), one)
	same(t, filepath.Join(getter.dir, "two"), two)
	same(t, filepath.Join(other, "one.1024-2048"), one[1024:2048])
	same(t, filepath.Join(other, "two.1024-2048"), two[1024:2048])
	eventually(t, func() error {
		if e := w.list()["one"]; e.Sources != 2 {
			return fmt.Errorf("%d sources of what was downloaded", e.Sources)
		}
		return nil
	})
	table := w.shoal("getter", "downloads").ok().stdout
	if line := regexp.MustCompile(`(?m)^1  done  5\.0 MiB +\S+ \wiB/s +one +` + regexp.QuoteMeta(getter.dir) + `/one +` + seed.device[:8] + ` 100%$`); !line.MatchString(table) {
		t.Errorf("the table is:\n%s", table)
	}
	// Again, it is there already; and where something else is, it cannot be.
	if e := w.watch("getter", w.enqueue("getter", "one")...)["5"]; e.State != "done" || !e.Present {
		t.Errorf("what is there already: %+v", e)
	}
	write(t, w.path("taken"), []byte("something else"))
	w.enqueue("getter", "one", "-o", w.path("taken"))
	r := w.shoal("getter", "downloads", "-w", "6").exit(7, "download 6, of one", "move it away")
	if !strings.Contains(r.stdout, "failed") {
		t.Errorf("who watches is told:\n%s", r.stdout)
	}
	w.shoal("getter", "downloads", "clear").ok()
	if left := w.downloads("getter"); len(left) != 0 {
		t.Errorf("cleared, there are %+v", left)
	}
}

// TestQueueOutlivesItsPeer kills a peer while it downloads. Started again, it goes on with what it has, in the order that it
// was given, and what was paused stays so.
func TestQueueOutlivesItsPeer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size, before = 24 * mib, 16 * mib
	content, small := random(size, 42), random(100, 43)
	seed := w.seeds("file", content, "seed")[0]
	seed.publishCopy("small", small)
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(before)
	getter := queueing(w, island, "--downloads", "1")
	ids := w.enqueue("getter", "file", "small")
	ids = append(ids, w.enqueue("getter", "small", "-o", w.path("paused"))...)
	w.shoal("getter", "downloads", "pause", ids[2]).ok()
	eventually(t, link.isSpent)
	states := func(want ...string) {
		t.Helper()
		for i, e := range w.downloads("getter") {
			if e.State != want[i] {
				t.Errorf("download %d is %+v, want %s", i+1, e, want[i])
			}
		}
	}
	states("running", "queued", "paused")
	getter.kill()
	link.allow(link.carried.Load() + 1*mib) // the hashes, and a little
	getter = queueing(w, island, "--downloads", "1")
	eventually(t, func() error {
		if e := w.downloads("getter", ids[0])[0]; e.State != "running" || e.Held < before-again {
			return fmt.Errorf("after the restart: %+v", e)
		}
		return nil
	})
	states("running", "queued", "paused")
	link.open()
	last := w.watch("getter", ids[:2]...)
	if last[ids[0]].State != "done" || last[ids[1]].State != "done" {
		t.Errorf("in the end: %+v", last)
	}
	same(t, w.path("got", "file"), content)
	same(t, w.path("got", "small"), small)
	if carried := link.carried.Load(); carried > size+again+overhead {
		t.Errorf("%d bytes came from the source for a file of %d", carried, size)
	}
	absent(t, w.path("paused"))
	states("done", "done", "paused")
	w.shoal("getter", "downloads", "resume", "all").ok()
	w.watch("getter")
	same(t, w.path("paused"), small)
	getter.kill()
	queueing(w, island)
	states("done", "done", "done")
}

// TestQueueIsPausedAndCanceled holds a download and lets it go on, and gives up another one, of which nothing is left.
func TestQueueIsPausedAndCanceled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(24*mib, 44)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(12 * mib)
	queueing(w, island)
	file := w.enqueue("getter", "file")[0]
	eventually(t, link.isSpent)
	w.shoal("getter", "downloads", "pause", file).ok()
	link.allow(16 * mib)
	if e := w.watch("getter")[file]; e.State != "paused" {
		t.Errorf("the download is %+v", e)
	}
	w.shoal("getter", "downloads", "resume", file, "99").exit(3, "99: there is no download 99")
	eventually(t, link.isSpent)
	if parts := w.find(".shoal-*.part"); len(parts) != 1 {
		t.Errorf("parts: %v", parts)
	}
	w.shoal("getter", "downloads", "cancel", file).ok()
	eventually(t, func() error {
		left, err := os.ReadDir(w.path("got"))
		if all := w.downloads("getter"); err != nil || len(all) > 0 || len(left) > 0 {
			return fmt.Errorf("canceled, there are %+v, and %v in the folder (%w)", all, left, err)
		}
		return nil
	})
}

// TestQueueTriesAgain queues what nobody has at the moment. When somebody has it, it comes; others are not kept waiting.
func TestQueueTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content, other := random(1*mib, 45), random(1000, 46)
	seed := w.seeds("file", content, "seed")[0]
	second := w.seeds("other", other, "second")[0]
	getter := w.peer("getter", "--downloads", "1")
	seed.kill()
	ids := w.enqueue("getter", "file", "--timeout", "100ms")
	ids = append(ids, w.enqueue("getter", "other")...)
	if e := w.watch("getter", ids[1])[ids[1]]; e.Sources.from(second.device).Bytes != 1000 {
		t.Errorf("the other one: %+v", e)
	}
	eventually(t, func() error {
		if e := w.downloads("getter", ids[0])[0]; e.Code != "no-sources" || e.Attempts == 0 || e.State == "failed" {
			return fmt.Errorf("what nobody has: %+v", e)
		}
		return nil
	})
	w.peer("seed")
	w.shoal("getter", "downloads", "resume", ids[0]).ok() // it need not wait for its time
	if e := w.watch("getter", ids[0])[ids[0]]; e.State != "done" || e.Code != "" {
		t.Errorf("in the end: %+v", e)
	}
	same(t, filepath.Join(getter.dir, "file"), content)
}

// TestQueueResumesWhatFailed has a download fail for want of what its source does not send. The next attempt goes on from there.
func TestQueueResumesWhatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 24 * mib
	content := random(size, 47)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	link.allow(16 * mib)
	queueing(w, island)
	file := w.enqueue("getter", "file", "--timeout", "1s")[0]
	eventually(t, func() error {
		e := w.downloads("getter", file)[0]
		if e.Attempts == 0 || e.Held < 16*mib-again || !strings.Contains(e.Text, "kept for the next attempt") {
			return fmt.Errorf("when its source is silent: %+v", e)
		}
		return nil
	})
	link.open()
	last := w.watch("getter", file)[file]
	if last.State != "done" || last.Sources.from(seed.device).Bytes > size {
		t.Errorf("in the end: %+v", last)
	}
	same(t, w.path("got", "file"), content)
	if carried := link.carried.Load(); carried > size+again+overhead {
		t.Errorf("%d bytes came from the source for a file of %d", carried, size)
	}
}
