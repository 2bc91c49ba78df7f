package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
)

// TestSwarmWithoutServer has a peer begin a download when there is one source, and lets it hear nothing more of the server.
// Others fetch the file, the server is killed, and the peer hears of the others from the source: so it finishes when that is
// gone, too.
func TestSwarmWithoutServer(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	island := newIsland(w)
	w.startServer("127.0.0.1:0")
	toServer := island.link(w.address)
	toServer.open()
	content := random(24*mib, 51)
	seed := w.seeds("file", content, "seed")[0]
	island.link(seed.address).open()
	queueing(w, island, "--down", "256K") // all of it would take longer than anybody waits
	ids := w.enqueue("getter", "file")
	eventually(t, func() error {
		if e := w.downloads("getter")[0]; e.Held == 0 || len(e.Sources.Shares) != 1 {
			return fmt.Errorf("the download has not begun: %+v", e)
		}
		return nil
	})
	toServer.hangUp()
	var others []*peer
	for _, state := range []string{"one", "two"} {
		p := w.peer(state)
		island.link(p.address).open()
		w.watch(state, w.enqueue(state, "file")...)
		same(t, filepath.Join(p.dir, "file"), content)
		others = append(others, p)
	}
	w.server.kill()
	eventually(t, func() error {
		e := w.downloads("getter")[0]
		for _, p := range others {
			if e.Sources.from(p.device).Bytes == 0 {
				return fmt.Errorf("nothing has come from %s: %+v", p.state, e)
			}
		}
		return nil
	})
	seed.kill()
	w.shoal("getter", "limit", "--down", "none").ok()
	if e := w.watch("getter", ids...)[ids[0]]; e.State != "done" {
		t.Errorf("the download ends as %+v", e)
	}
	same(t, w.path("got", "file"), content)
}
