package e2e

import (
	"fmt"
	"testing"
)

// TestServerIsRestarted loses the server, and all that it remembers, while a download runs. The download goes on; the
// peers tell the new server by themselves what they published and have.
func TestServerIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content, other := random(16*mib, 30), random(1*mib, 31)
	peers := w.seeds("file", content, "a", "b")
	peers[0].publishCopy("other", other)
	island := newIsland(w)
	links := island.links(peers)
	running := w.halfWay(island, links, 4*mib)
	w.server.kill()
	w.shoal("another", "ls").exit(8, "connecting to the server at "+w.address, "is it running")
	w.restartServer()
	eventually(t, func() error {
		list := w.list()
		if list["file"].Sources != 2 || list["other"].Sources != 1 {
			return fmt.Errorf("the new server knows %+v", list)
		}
		return nil
	})
	w.get("another", "other", "-o", w.path("other")).wait().ok()
	same(t, w.path("other"), other)
	for _, l := range links {
		l.open()
	}
	running.wait().ok()
	same(t, w.path("out"), content)
}

// TestDownloadOutlivesServer kills the server for good while a download runs.
func TestDownloadOutlivesServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(16*mib, 32)
	peers := w.seeds("file", content, "a", "b")
	island := newIsland(w)
	links := island.links(peers)
	running := w.halfWay(island, links, 4*mib)
	w.server.kill()
	for _, l := range links {
		l.open()
	}
	running.wait().ok()
	same(t, w.path("out"), content)
}

// TestPeerIsRestarted kills a peer that has published one file and fetched another. Started again, it serves both.
func TestPeerIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	published, fetched := random(3*mib, 33), random(2*mib+5, 34)
	other := w.peer("other")
	other.publishCopy("fetched", fetched)
	p := w.peer("peer")
	p.publishCopy("published", published)
	done := w.get("peer", "fetched").wait().ok().event("done")
	if !done.Served || done.Path != p.dir+"/fetched" {
		t.Errorf("a fetched file is at %s, served on: %v", done.Path, done.Served)
	}
	if e := w.list()["fetched"]; e.Sources != 2 {
		t.Errorf("%d sources of a file that was published and fetched", e.Sources)
	}
	other.stop()
	p.kill()
	w.peer("peer")
	eventually(t, func() error {
		if list := w.list(); list["fetched"].Sources != 1 || list["published"].Sources != 1 {
			return fmt.Errorf("after the restart: %+v", list)
		}
		return nil
	})
	w.shoal("getter", "get", "fetched", "published", "-o", w.path("out")).ok()
	same(t, w.path("out", "fetched"), fetched)
	same(t, w.path("out", "published"), published)
}

// TestOnlyOnePeerForAState refuses a second daemon for the same state, and a second server.
func TestOnlyOnePeerForAState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.peer("peer")
	w.shoal("peer", "peer").exit(8, "another")
	w.shoal("server", "server", "--listen", "127.0.0.1:0").exit(8, "another server uses the folder", "--state")
	w.start("server2", "server", "--listen", w.address).wait().exit(8, "address already in use", "--listen")
}
