package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestEarlierState opens the folder of a server that kept names in memory and had no users yet: its realm goes on.
func TestEarlierState(t *testing.T) {
	t.Parallel()
	const realm = "egmneevhwjscpoi7mglix5upfcqmaioyj7fg6u6nwjwcau74zyaa"
	w := bareWorld(t)
	state := w.folder("state", "server")
	for _, name := range []string{"realm.key", "server.key"} {
		key, err := os.ReadFile(filepath.Join("testdata", "state-before-etcd", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(state, name), key, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	w.startServer("127.0.0.1:0")
	if w.realm != realm {
		t.Errorf("the realm is %s, was %s", w.realm, realm)
	}
	p := w.peer("peer")
	p.publishCopy("file", random(1000, 95))
	w.server.kill()
	w.restartServer()
	if list := w.list(); list["file"].Size != 1000 {
		t.Errorf("there is %+v", list)
	}
}

// TestOtherState gives a server what another version, or somebody else, has left in its folder: it is refused by name, and
// left as it is. With the right thing back in its place, all is there.
func TestOtherState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.peer("peer").publishCopy("file", random(1000, 96))
	w.server.stop()
	for _, other := range []struct {
		file, content string // "" takes the file away
		code          int
		says          []string
	}{
		{"etcd/format", "shoal state 2\n", 2, []string{"etcd", "state 2", "state 1", "use that version"}},
		{"etcd/format", "shoal state 0\n", 2, []string{"etcd", "state 0", "state 1", "use that version"}},
		{"etcd/format", "shoal state\n", 2, []string{"format", "shoal state"}},
		{"etcd/format", "\x00\x1b[2J", 2, []string{"format"}},
		{"etcd/format", "", 2, []string{"format", "restore a backup"}},
		{"realm", "something else", -1, []string{"realm"}},
		{"realm.key", "something else", -1, []string{"realm.key"}},
		{"server.key", "something else", -1, []string{"server.key"}},
	} {
		path := w.path("state", "server", other.file)
		right, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if other.content == "" {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, []byte(other.content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		before := w.contents("state", "server")
		r := w.shoal("server", "server", "--listen", "127.0.0.1:0")
		if other.code < 0 {
			if other.code = r.code; r.code == 0 {
				t.Errorf("with %s of %q the server runs", other.file, other.content)
			}
		}
		r.exit(other.code, other.says...)
		after := w.contents("state", "server")
		for path, was := range before {
			if is, there := after[path]; !there || is != was {
				t.Errorf("with %s of %q, %s was changed", other.file, other.content, path)
			}
		}
		if err := os.WriteFile(path, right, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.address = "127.0.0.1:0" // another may have taken the port of before
	w.restartServer()
	if list := w.list(); list["file"].Size != 1000 {
		t.Errorf("there is %+v", list)
	}
}

// contents is what the files in a folder have.
func (w *world) contents(elem ...string) map[string]string {
	w.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(w.path(elem...), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = string(content)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}
