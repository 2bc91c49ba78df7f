package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNoSpace fetches a file into a filesystem that is too small for it.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(6*mib, 70)
	seed := w.seeds("file", content, "seed")[0]
	island := newIsland(w)
	island.link(seed.address).open()
	small := w.folder("small")
	island.tmpfs(small, 4*mib)
	island.get("getter", "file", "-o", small).wait().exit(6, "6.0 MiB are needed in "+small, "are free", "free some space")
	island.run(func() { empty(t, small) })
	// It fits when there is room.
	island.tmpfs(small, 8*mib)
	island.get("getter", "file", "-o", small).wait().ok()
	island.run(func() { same(t, filepath.Join(small, "file"), content) })
}

// TestNoSpaceForState keeps a device without a key of its own when there is no room for one.
func TestNoSpaceForState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	island := newIsland(w)
	state := w.folder("state", "getter")
	island.tmpfs(state, 4*kib)
	island.run(func() { write(t, filepath.Join(state, "full"), make([]byte, 4*kib)) })
	r := island.start("getter", "ls").wait()
	if r.code == 0 {
		t.Errorf("ls without a key: exit code 0")
	}
	r.exit(r.code, "making the key", "no space left")
}

// TestNameExists never touches what stands under the name.
func TestNameExists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	content := random(2*mib, 71)
	w.seeds("file", content, "seed")
	for name, there := range map[string][]byte{
		"other content": random(2*mib, 72), "shorter": content[:2*mib-1], "longer": append(content[:len(content):len(content)], 0), "empty": {},
	} {
		path := filepath.Join(w.folder(name), "file")
		write(t, path, there)
		w.shoal("getter", "get", "file", "-o", path).exit(7, path+" is there already", "move it away")
		same(t, path, there)
	}
	path := filepath.Join(w.folder("the same"), "file")
	write(t, path, content)
	if done := w.get("getter", "file", "-o", path).wait().ok().event("done"); !done.Present || done.Sources.total() != 0 {
		t.Errorf("a file that was there already: %+v", done)
	}
	r := w.shoal("getter", "get", "file", "-o", path).ok()
	if want := path + "  was there already\n"; r.stdout != want {
		t.Errorf("it says %q, want %q", r.stdout, want)
	}

	link := filepath.Join(w.folder("links"), "file")
	if err := os.Symlink(w.path("target"), link); err != nil {
		t.Fatal(err)
	}
	w.shoal("getter", "get", "file", "-o", link).exit(7, link)
	absent(t, w.path("target"))
	folder := w.folder("a folder", "file")
	w.shoal("getter", "get", "file", "-o", filepath.Dir(folder)).exit(7, folder)
	w.shoal("getter", "get", "file", "-o", w.path("no", "such", "folder")).exit(3, w.path("no", "such"))
}

// TestFileChanges changes a published file in place. Nobody gets other bytes than were published; published anew, the
// file is there as it is now.
func TestFileChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, after := random(3*mib, 73), random(3*mib, 74)
	p := w.peer("peer")
	path := filepath.Join(p.dir, "file")
	p.publishCopy("file", before)
	write(t, path, after)
	r := w.shoal("getter", "get", "file", "-o", w.path("out"), "--timeout", "2s")
	if r.code != 3 && r.code != 4 {
		r.exit(4)
	}
	absent(t, w.path("out"))
	p.awaitError("publish it again")
	p.publish(path)
	w.shoal("getter", "get", "file", "-o", w.path("out")).ok()
	same(t, w.path("out"), after)

	// The same while a download is half-way: of more than can be on its way.
	before = random(24*mib, 75)
	write(t, path, before)
	p.publish(path)
	island := newIsland(w)
	link := island.link(p.address)
	get := island.get("late", "--timeout", "3s", "file", "-o", w.path("late"))
	link.allow(1 * mib)
	eventually(t, link.isSpent)
	write(t, path, after)
	link.open()
	// Which reason is given depends on what is noticed first: the change, a block that was on its way, or that the file
	// is no longer served.
	get.wait().exit(4, "nothing came")
	absent(t, w.path("late"))

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.leavings = true
}
