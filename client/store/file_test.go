package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"shoal"
)

func hashNow(t *testing.T, path string) *File {
	t.Helper()
	f, err := Hash(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestHashAndOpen(t *testing.T) {
	data := random(2*pieceLength+3, 20)
	o, _ := describe(t, data)
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, data)
	t.Chdir(filepath.Dir(path))
	f := hashNow(t, "file")
	if f.Object() != o || f.Path() != path || f.Held() != 3 || f.Bitfield() != nil || !f.Has(2) || f.Has(3) || f.Has(-1) {
		t.Errorf("the file is not described as it is: %v at %s", f.Object(), f.Path())
	}
	if stamp, err := StampOf(path); err != nil || stamp != f.Stamp() {
		t.Errorf("stamp %+v, want %+v: %v", stamp, f.Stamp(), err)
	}
	again, err := OpenFile(path, f.Stamp(), o, f.Manifest())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(again, 0, o.Size))
	if err != nil || string(got) != string(data) {
		t.Errorf("reading it: %v", err)
	}
	closeNow(t, again)

	held, err := Holds(context.Background(), path, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, held)
	_, err = Holds(context.Background(), path, shoal.Object{ID: o.ID, Size: o.Size + 1}, nil)
	wantCode(t, err, shoal.Exists)
	_, err = Holds(context.Background(), path, shoal.Object{Size: o.Size}, nil)
	wantCode(t, err, shoal.Exists)
	_, err = Holds(context.Background(), filepath.Dir(path), o, nil)
	wantCode(t, err, shoal.Exists)
	_, err = Holds(context.Background(), path+"x", o, nil)
	wantCode(t, err, shoal.NotFound)
}

func TestNotPublishable(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, code := range map[string]shoal.Code{
		dir: shoal.BadRequest, fifo: shoal.BadRequest, "/dev/null": shoal.BadRequest,
		filepath.Join(dir, "missing"): shoal.NotFound, "/proc/self/status": shoal.Changed,
	} {
		_, err := Hash(context.Background(), path, nil)
		if !errors.Is(err, code) {
			t.Errorf("%s: %v, want code %v", path, err, code)
		}
	}
	if os.Geteuid() == 0 {
		t.Log("that a file may not be read is not tried: root may")
		return
	}
	path := filepath.Join(dir, "unreadable")
	writeFile(t, path, nil)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	_, err := Hash(context.Background(), path, nil)
	wantCode(t, err, shoal.Denied)
}

// Whatever happens to a file, it is noticed: also right after it was written, and with its old mtime.
func TestChanged(t *testing.T) {
	for what, change := range map[string]func(path string) error{
		"rewritten": func(path string) error { return os.WriteFile(path, []byte("other"), 0o644) },
		"longer":    func(path string) error { return os.WriteFile(path, []byte("longer"), 0o644) },
		"removed":   os.Remove,
		"folder":    func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte("bytes"), 0o644), os.Rename(path+"2", path))
		},
		"rewritten with its old time": func(path string) error {
			info, err := os.Stat(path)
			return errors.Join(err, os.WriteFile(path, []byte("other"), 0o644), os.Chtimes(path, info.ModTime(), info.ModTime()))
		},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			for range 5 {
				writeFile(t, path, []byte("bytes"))
				f := hashNow(t, path)
				if err := change(path); err != nil {
					t.Fatal(err)
				}
				wantCode(t, f.Check(), shoal.Changed)
				_, err := OpenFile(path, f.Stamp(), f.Object(), f.Manifest())
				wantCode(t, err, shoal.Changed)
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// After settle, the kernel's clock is past the ctime: the next change gets a later one.
func TestSettle(t *testing.T) {
	var now unix.Timespec
	read := func() int64 {
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
			t.Fatal(err)
		}
		return now.Nano()
	}
	ctime := read()
	if err := settle(context.Background(), ctime); err != nil {
		t.Fatal(err)
	}
	if read() <= ctime {
		t.Error("the clock still shows the same time")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := settle(ctx, read()); err != context.Canceled {
		t.Error(err)
	}
	for _, far := range []int64{read() - int64(tick), read() + 1e12} {
		if err := settle(ctx, far); err != nil {
			t.Errorf("waited for a ctime of %d ns from now", far-read())
		}
	}
}

func TestChangedWhileHashing(t *testing.T) {
	for what, change := range map[string]func(f *os.File) error{
		"written": func(f *os.File) error { _, err := f.WriteAt([]byte{1}, 0); return err },
		"longer":  func(f *os.File) error { return f.Truncate(9 * pieceLength) },
		"cut":     func(f *os.File) error { return f.Truncate(10) },
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			writeFile(t, path, random(8*pieceLength, 21))
			var once sync.Once
			_, err := Hash(context.Background(), path, func(int64) {
				once.Do(func() {
					f, err := os.OpenFile(path, os.O_RDWR, 0)
					if err == nil {
						err = errors.Join(change(f), f.Close())
					}
					if err != nil {
						t.Error(err)
					}
				})
			})
			wantCode(t, err, shoal.Changed)
		})
	}
}

func TestHashIsCanceled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, random(8*pieceLength, 22))
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Hash(ctx, path, func(int64) { cancel() })
	wantCode(t, shoal.CodeOf(err), shoal.Canceled)
}

// Close may come while senders read: they get the right bytes, or os.ErrClosed.
func TestCloseWhileReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	data := random(pieceLength, 23)
	writeFile(t, path, data)
	f := hashNow(t, path)
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	started := make(chan struct{}, 4)
	for range cap(started) {
		readers.Go(func() {
			buf := make([]byte, 100)
			var readErr error
			for n := 0; ; n++ {
				closed := raw.Control(func(fd uintptr) { _, readErr = unix.Pread(int(fd), buf, 50) })
				err := f.Check()
				if n == 0 {
					started <- struct{}{}
				}
				if readErr != nil || string(buf) != string(data[50:150]) {
					t.Error("other bytes, or an error:", readErr)
					return
				}
				if closed != nil || err != nil {
					if !errors.Is(err, os.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	closeNow(t, f)
	readers.Wait()
}

func BenchmarkCheck(b *testing.B) {
	path := filepath.Join(b.TempDir(), "file")
	writeFile(b, path, []byte("bytes"))
	f, err := Hash(context.Background(), path, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestHead(t *testing.T) {
	for size, want := range map[int64]int{0: 0, 1: 1, 3071: 3071, 3072: 3072, 3073: 3072, pieceLength: 3072} {
		data := random(size, 21)
		path := filepath.Join(t.TempDir(), "file")
		writeFile(t, path, data)
		f := hashNow(t, path)
		head, err := f.Head(shoal.MaxHead)
		if err != nil || string(head) != string(data[:want]) || len(head) != f.Object().HeadSize() {
			t.Errorf("of %d bytes: %d, %v", size, len(head), err)
		}
		// Not a byte of what was not published.
		writeFile(t, path, append([]byte("secret"), data...))
		if head, err := f.Head(shoal.MaxHead); !errors.Is(err, shoal.Changed) || head != nil {
			t.Errorf("of a changed file: %d bytes, %v", len(head), err)
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		if head, err := f.Head(shoal.MaxHead); !errors.Is(err, shoal.Changed) || head != nil {
			t.Errorf("of a file that was cut: %d bytes, %v", len(head), err)
		}
		closeNow(t, f)
		if head, err := f.Head(shoal.MaxHead); !errors.Is(err, os.ErrClosed) || head != nil {
			t.Errorf("of a closed file: %d bytes, %v", len(head), err)
		}
	}
}
