package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLimit changes limits of peers while they send and receive: a transfer that would take hours ends as soon as it may.
func TestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shoal("seed", "limit").exit(8, "no peer runs", "--up")
	content := random(4*mib, 50)
	seed := w.peer("seed", "--up", "1K")
	seed.publishCopy("file", content)
	if got := w.shoal("seed", "limit").ok().stdout; got != "up    1.0 KiB/s\ndown  no limit\n" {
		t.Errorf("the limits at first:\n%s", got)
	}
	// That of the process, and that of the file: both hold, and each is changed alone.
	get := w.get("getter", "file", "-o", w.path("copy"))
	get.await("progress", func(e event) bool { return len(e.Sources.Shares) > 0 && e.Sources.Shares[0].Connected })
	w.shoal("seed", "limit", "file", "--up", "2K", "--json").ok().event("limits")
	w.shoal("seed", "limit", "--up", "none", "--down", "1M").ok()
	if got := w.shoal("seed", "limit", "file").ok().stdout; got != "up    2.0 KiB/s\ndown  no limit\n" {
		t.Errorf("the limits of the file:\n%s", got)
	}
	if get.hasEnded() {
		t.Errorf("the download has ended, though the file's limit holds")
	}
	w.shoal("seed", "limit", "file", "--up", "none").ok()
	get.wait().ok()
	same(t, w.path("copy"), content)
	// What comes, to a peer that downloads in the background.
	getter := w.peer("getter", "--down", "1K")
	ids := w.enqueue("getter", "file")
	w.shoal("getter", "limit", "--down", "none").ok()
	if e := w.watch("getter", ids...)[ids[0]]; e.State != "done" {
		t.Errorf("without a limit the download ends as %+v", e)
	}
	same(t, filepath.Join(getter.dir, "file"), content)
	r := w.shoal("getter", "get", "--queue", "file", "--down", "1K").exit(2, "shoal limit")
	if strings.Contains(r.stdout, "queued") {
		t.Errorf("it was queued all the same:\n%s", r.stdout)
	}
	w.shoal("getter", "limit", "missing", "--up", "1M").exit(3, "missing")
	w.shoal("getter", "limit", "--up", "1000").exit(2, "1K")
}
