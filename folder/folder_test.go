package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal"
)

func TestOneAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "state")
	lock, err := Lock(dir, "server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir, "server"); !errors.Is(err, shoal.Busy) || !strings.Contains(err.Error(), "another server uses the folder "+dir) {
		t.Errorf("a second one: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(dir, "server")
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	again.Close()
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

func TestFilesAreWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, step := range []struct {
		write func(string, []byte) error
		text  string
		err   error
		after string
	}{{Create, "one", nil, "one"}, {Create, "two", fs.ErrExist, "one"}, {Replace, "three", nil, "three"}} {
		if err := step.write(path, []byte(step.text)); !errors.Is(err, step.err) {
			t.Errorf("writing %q: %v", step.text, err)
		}
		if got, err := os.ReadFile(path); string(got) != step.after || err != nil {
			t.Errorf("after writing %q there is %q, %v", step.text, got, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}
