package journal

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shoal/rpclog"
)

const inNamespace = "SHOAL_TEST_NAMESPACE"

// TestNoSpace fills a small filesystem. It runs in a process of its own, which alone sees that.
func TestNoSpace(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		fillFilesystem(t)
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoSpace$", "-test.v")
	cmd.Env = append(os.Environ(), inNamespace+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOSPC), strings.Contains(string(out), "--- SKIP"):
		t.Skipf("this machine allows no filesystem of one's own: %v\n%s", err, out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

func fillFilesystem(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	f := &reopened{T: t, dir: dir, limits: Limits{File: 1 << 20}}
	f.open()
	ballast := filepath.Join(dir, "ballast")
	f.write(ballast, make([]byte, 64<<10))
	next := uint64(1)
	fill := func(verified bool) {
		t.Helper()
		for {
			b := batch(sender(1), next, next+30)
			before := f.Stats()
			r, err := f.Append(b, verified, Origin{})
			if err == nil {
				next += 31
				continue
			}
			if r != (rpclog.Result{Status: rpclog.NoSpace}) || !errors.Is(err, unix.ENOSPC) {
				t.Fatalf("%+v, %v", r, err)
			}
			if after := f.Stats(); after != before {
				t.Errorf("counted: %+v, before %+v", after, before)
			}
			break
		}
		if !verified {
			return
		}
		if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, next-1)) {
			t.Errorf("%d entries, want %d", len(got), next-1)
		}
		text := f.read(f.last())
		if len(text) == 0 || text[len(text)-1] != '\n' {
			t.Error("a part of a line is left")
		}
	}
	fill(true)
	// The first file of a series does not find room, either.
	if r, err := f.Append(batch(sender(1), 1, 50), false, Origin{}); r.Status != rpclog.NoSpace || err == nil {
		t.Errorf("%+v, %v", r, err)
	}
	// With room the same is stored, and nothing twice.
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if r := f.store(batch(sender(1), next-31, next+30), true); r.Stored != 31 || r.Duplicates != 31 {
		t.Errorf("%+v", r)
	}
	next += 31
	fill(true)
	f.reopen()
	if got := numbers(f.all(rpclog.Query{})); !reflect.DeepEqual(got, upTo(1, next-1)) {
		t.Errorf("opened again: %d entries, want %d", len(got), next-1)
	}
}

// TestFailedSync fails a sync that batches wait for. They are told, sending them again waits for the next one, and that
// one writes again what the failed one was about.
func TestFailedSync(t *testing.T) {
	s := &series{dir: t.TempDir(), prefix: "log", fileLimit: 1 << 20, finished: make(chan struct{}, 1)}
	w, err := s.recover(maxSenders)
	if err != nil {
		t.Fatal(err)
	}
	b := batch(sender(1), 1, 5)
	b.Sync = true
	r := newRequest(b, Origin{})
	w.serve(r)
	good := w.out
	if w.out, err = os.Open(os.DevNull); err != nil { // of which there is no sync
		t.Fatal(err)
	}
	w.beginSync()
	w.endSync(<-w.syncing)
	if <-r.answered; !errors.Is(r.err, unix.EINVAL) {
		t.Errorf("the sync that failed: %v", r.err)
	}
	w.out.Close()
	w.out = good
	if !w.failed || w.due == nil || w.synced >= w.file.size {
		t.Error("it is not tried again")
	}
	r = newRequest(b, Origin{})
	w.serve(r)
	if len(w.waiting) != 1 {
		t.Fatal("sent again, it does not wait")
	}
	w.beginSync()
	w.endSync(<-w.syncing)
	if <-r.answered; r.err != nil || r.result.Duplicates != 5 || w.failed || w.synced != w.file.size {
		t.Errorf("%+v, %v", r.result, r.err)
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
}

// TestWrittenAgain writes a section of a file once more, and leaves it as it is.
func TestWrittenAgain(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := strings.Repeat("some lines\n", 50_000)
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	before, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []section{{-1, -1}, {7, 7}} {
		if err := syncFile(f, again); err != nil {
			t.Fatal(err)
		}
		if now, err := f.Stat(); err != nil || now.ModTime() != before.ModTime() {
			t.Errorf("section %v was written: %v", again, err)
		}
	}
	if err := os.Chtimes(f.Name(), before.ModTime().Add(-1e9), before.ModTime().Add(-1e9)); err != nil {
		t.Fatal(err)
	}
	if err := syncFile(f, section{1000, int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if now, err := f.Stat(); err != nil || now.ModTime().Before(before.ModTime()) {
		t.Errorf("it was not written: %v", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != text {
		t.Errorf("it changed: %v", err)
	}
}
