package meta

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"shoal"
)

func TestBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann", "bob")
	w.group("lab", map[int]Username{2: "bob"})
	const before = 30
	for i := range before {
		w.ok(2, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint("before ", i)), Content: file(i)})
	}
	retried := ID{Device: device(2), Sequence: 5000}
	if _, err := w.Apply(t.Context(), retried, &Publish{Group: "lab", Name: "retried", Content: file(1)}); err != nil {
		t.Fatal(err)
	}
	want := w.all()
	// What comes while the backup is made is not in it, as long as it comes later.
	path := filepath.Join(t.TempDir(), "backup")
	var run sync.WaitGroup
	stop := make(chan struct{})
	run.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				w.ok(1, &Publish{Group: "lab", Name: shoal.Name(fmt.Sprint("during ", i)), Content: file(i)})
			}
		}
	})
	revision, err := w.Backup(t.Context(), path)
	close(stop)
	run.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	_, err = w.Backup(t.Context(), path)
	checkRefusal(t, err, shoal.Exists, path)
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}

	folder := filepath.Join(t.TempDir(), "new", "etcd")
	info, err := Restore(t.Context(), path, folder, testLog(t))
	if err != nil || info.Revision != revision {
		t.Fatalf("%+v, %v", info, err)
	}
	s := open(t, folder)
	got := listed(t, s)
	for k := range got.records {
		if bytes.HasPrefix([]byte(k), []byte("o/lab/during ")) {
			delete(got.records, k)
		}
	}
	if !reflect.DeepEqual(got.records, want.records) {
		t.Errorf("%d records are restored of %d", len(got.records), len(want.records))
	}
	// It goes on: with outcomes, and with revisions that nobody has seen.
	o, err := s.Apply(t.Context(), retried, &Publish{Group: "lab", Name: "retried", Content: file(1)})
	if err != nil || !o.Repeated || o.Revision <= revision {
		t.Errorf("asked again: %+v, %v; the backup's revision is %d", o, err, revision)
	}
	o, err = s.Apply(t.Context(), ID{Device: device(2), Sequence: 6000}, &Publish{Group: "lab", Name: "new", Content: file(1)})
	if err != nil || o.Revision <= revision+before {
		t.Errorf("%+v, %v", o, err)
	}
	sink := newState()
	if err := follow(t, s, sink).WaitFor(t.Context(), o.Revision); err != nil || sink.at(objectKey("lab", "new")) == nil {
		t.Errorf("the feed: %v", err)
	}
	_, err = Restore(t.Context(), path, folder, testLog(t))
	checkRefusal(t, err, shoal.Exists, "not empty")
	// A backup of what was restored is one, too.
	if _, err := s.Backup(t.Context(), path+" 2"); err != nil {
		t.Error(err)
	}
}

// TestDamagedBackup restores nothing from a file that is not what was written.
func TestDamagedBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.users("ann")
	dir := t.TempDir()
	path := filepath.Join(dir, "backup")
	if _, err := w.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(content []byte, codes ...shoal.Code) {
		t.Helper()
		damaged, folder := filepath.Join(dir, "damaged"), filepath.Join(dir, "folder")
		if err := os.WriteFile(damaged, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), damaged, folder, testLog(t))
		for _, c := range codes {
			if shoal.CodeOf(err) == c {
				codes = nil
			}
		}
		if err == nil || codes != nil {
			t.Fatalf("error %v, want code %v", err, codes)
		}
		if left, _ := filepath.Glob(folder + "*"); len(left) > 0 {
			t.Fatalf("left behind: %q", left)
		}
	}
	for n := 0; n < len(whole); n += 1 + n/20 {
		refused(whole[:n], shoal.Corrupt, shoal.Unsupported)
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		refused(flipped, shoal.Corrupt, shoal.Unsupported)
	}
	refused(append(bytes.Clone(whole), 0), shoal.Corrupt)
	refused(bytes.Replace(whole, []byte("backup 1"), []byte("backup 2"), 1), shoal.Unsupported)
	if _, err := Restore(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "x"), testLog(t)); err == nil {
		t.Error("a backup that is not there is restored")
	}
}
