package forgetful

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mount(t *testing.T, d *Disk) (folder string, unmount func()) {
	t.Helper()
	folder = t.TempDir()
	end, err := d.Mount(folder)
	if err != nil {
		t.Skipf("there is no FUSE here, which needs /dev/fuse and root: %v", err)
	}
	return folder, func() {
		if err := end(); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	}
}

func read(folder, name string) string {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "none"
	}
	return string(text)
}

func settle(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestCut(t *testing.T) {
	d := New()
	folder, unmount := mount(t, d)
	at := func(name string) string { return filepath.Join(folder, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("synced", "before")
	settle(t, at("synced"))
	write("synced", "after!")
	write("never", "synced")
	write("renamed", "text")
	settle(t, at("renamed"))
	write("moved", "text")
	settle(t, at("moved"))
	write("removed", "text")
	settle(t, at("removed"))
	if err := os.Rename(at("renamed"), at("renamed 2")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(at("moved"), at("moved 2")); err != nil {
		t.Fatal(err)
	}
	settle(t, at("moved 2"))
	if err := os.Remove(at("removed")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(at("a/b"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("a/b/deep", "text")
	settle(t, at("a/b/deep"))
	if got := read(folder, "synced") + read(folder, "never") + read(folder, "renamed 2"); got != "after!syncedtext" {
		t.Errorf("before the cut: %q", got)
	}
	unmount()

	none, unmountNone := mount(t, d.After(0))
	defer unmountNone()
	for name, want := range map[string]string{
		"synced": "before", "never": "none", "renamed": "text", "renamed 2": "none", "moved": "none", "moved 2": "text",
		"removed": "text", "a/b/deep": "text",
	} {
		if got := read(none, name); got != want {
			t.Errorf("%s: %q is left, want %q", name, got, want)
		}
	}
	settle(t, none)
	all, unmountAll := mount(t, d.After(1))
	defer unmountAll()
	if got := read(all, "synced"); got != "after!" {
		t.Errorf("%q is left, want all", got)
	}
}

func TestFolderSync(t *testing.T) {
	d := New()
	folder, unmount := mount(t, d)
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		settle(t, filepath.Join(folder, name))
	}
	if err := os.Rename(filepath.Join(folder, "a"), filepath.Join(folder, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "c")); err != nil {
		t.Fatal(err)
	}
	settle(t, folder)
	unmount()
	left, unmountLeft := mount(t, d.After(0))
	defer unmountLeft()
	if a, b, c := read(left, "a"), read(left, "b"), read(left, "c"); a != "none" || b != "a" || c != "none" {
		t.Errorf("left: %q, %q, %q", a, b, c)
	}
}

// TestSectors leaves a part of what was not synced, by sectors.
func TestSectors(t *testing.T) {
	n := newFile()
	old, young := bytes.Repeat([]byte{1}, 64*sector+7), bytes.Repeat([]byte{2}, 64*sector+7)
	n.write(old, 0)
	n.sync()
	n.write(young[:60*sector+3], 2*sector)
	if got := n.leftData(0); !bytes.Equal(got, old) {
		t.Error("something is left that was not synced")
	}
	if got := n.leftData(1); !bytes.Equal(got, n.data) {
		t.Error("not all is left")
	}
	var kept, lost int
	for at, got := 0, n.leftData(0.5); at < len(got); at += sector {
		part := got[at:min(at+sector, len(got))]
		switch {
		case bytes.Equal(part, n.data[at:at+len(part)]):
			kept++
		case bytes.Equal(part, old[at:at+len(part)]):
			lost++
		default:
			t.Errorf("the sector at %d is neither", at)
		}
	}
	if kept == 0 || lost == 0 {
		t.Errorf("%d sectors are kept, %d are lost", kept, lost)
	}
}
