package e2e

import (
	"fmt"
	"syscall"
	"testing"
)

// TestSourceDies loses one of four sources when a third of the file is there. The others bring what it owed.
func TestSourceDies(t *testing.T) {
	for _, how := range []struct {
		name      string
		signal    syscall.Signal
		plaintext string
	}{{"killed", syscall.SIGKILL, ""}, {"stopped", syscall.SIGSTOP, ""}, {"killed in plaintext", syscall.SIGKILL, "loopback"}} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			w := bareWorld(t)
			w.plaintext = unlessCaptured(how.plaintext)
			w.startServer("127.0.0.1:0")
			content := random(24*mib+1, 1)
			peers := w.seeds("file", content, "a", "b", "c", "d")
			island := newIsland(w)
			links := island.links(peers)
			get := w.halfWay(island, links, 2*mib)
			lost := peers[3]
			lost.signal(how.signal)
			for _, l := range links {
				l.open()
			}
			done := get.wait().ok().event("done")
			same(t, w.path("out"), content)
			if got := done.Sources.total(); got != int64(len(content)) {
				t.Errorf("the sources' shares add up to %d bytes of %d", got, len(content))
			}
			if all, share := int64(len(content)), done.Sources.from(lost.device).Bytes; share == 0 || share > all/2 {
				t.Errorf("the source that was lost gave %d bytes of %d", share, all)
			}
			for _, p := range peers[:3] {
				if share := done.Sources.from(p.device); share.Bytes == 0 || !share.Connected {
					t.Errorf("a good source in the end: %+v", share)
				}
			}
		})
	}
}

// halfWay starts a download of "file" to "out", and returns when n bytes have come through each link and no more can.
func (w *world) halfWay(island *island, links []*link, n int64) *process {
	w.Helper()
	for _, l := range links {
		l.allow(n)
	}
	get := island.get("getter", "file", "-o", w.path("out"))
	for _, l := range links {
		eventually(w.T, l.isSpent)
	}
	if get.hasEnded() {
		w.Fatal("the download is over already")
	}
	return get
}

// TestPartsAreShared lets a second download draw on what a first, unfinished one has: the only whole source is silent.
func TestPartsAreShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(16*mib, 2)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	link := island.link(seed.address)
	first := w.halfWay(island, links(link), 8*mib)
	eventually(t, func() error {
		if e := w.list()["file"]; e.Sources != 1 || e.Partial != 1 {
			return fmt.Errorf("%d whole sources and %d partial ones", e.Sources, e.Partial)
		}
		return nil
	})
	second := island.get("second", "file", "-o", w.folder("second"))
	second.await("progress", func(e event) bool { return e.Sources.total() > e.Sources.from(seed.device).Bytes })
	link.open()
	first.wait().ok()
	done := second.wait().ok().event("done")
	same(t, w.path("out"), content)
	same(t, w.path("second", "file"), content)
	if shared := done.Sources.total() - done.Sources.from(seed.device).Bytes; shared < 1*mib {
		t.Errorf("only %d bytes came from the other download", shared)
	}
	eventually(t, func() error {
		if e := w.list()["file"]; e.Sources != 1 || e.Partial != 0 {
			return fmt.Errorf("%d whole sources and %d partial ones when both downloads are over", e.Sources, e.Partial)
		}
		return nil
	})
}

func links(l ...*link) []*link { return l }

// TestFromOneDevice fetches from the device that is named, and nobody else.
func TestFromOneDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(4*mib, 3)
	peers := w.seeds("file", content, "a", "b")
	done := w.get("getter", "file", "-o", w.path("out"), "--from", peers[1].device).wait().ok().event("done")
	same(t, w.path("out"), content)
	if len(done.Sources.Shares) != 1 || done.Sources.from(peers[1].device).Bytes != int64(len(content)) {
		t.Errorf("sources %+v, want all from %s", done.Sources.Shares, peers[1].device)
	}
	peers[1].kill()
	w.shoal("getter", "get", "file", "-o", w.path("out2"), "--from", peers[1].device, "--timeout", "1s").
		exit(4, peers[1].device+" does not serve", "without --from")
	absent(t, w.path("out2"))
}

// TestNothingToFetchFrom waits as long as it is told, and then says why; a source that appears meanwhile is used.
func TestNothingToFetchFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(1*mib, 4)
	seed := w.seeds("file", content, "seed")[0]
	seed.stop()
	w.shoal("getter", "get", "file", "--timeout", "1s").exit(4, "nobody serves", "start a peer", "--timeout")
	absent(t, w.path("file"))
	get := w.get("getter", "file", "-o", w.path("out"))
	get.await("waiting", nil)
	w.peer("seed")
	get.wait().ok()
	same(t, w.path("out"), content)
}
