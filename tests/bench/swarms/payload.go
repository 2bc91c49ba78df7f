package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"shoal/tests/bench/report"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// fileName is that of the file that is fetched, in whatever folder.
const fileName = "payload.bin"

// inMemory makes a folder for at most so many bytes, in memory. The caller must call remove.
func inMemory(b *report.Bench, bytes int64) (dir string, remove func() error, err error) {
	dir = filepath.Join(b.Dir, "memory")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("making a folder in memory: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", bytes+gib)); err != nil {
		return "", nil, fmt.Errorf("making a folder in memory: %w", errors.Join(err, os.Remove(dir)))
	}
	return dir, func() error {
		if err := unix.Unmount(dir, 0); err != nil {
			return fmt.Errorf("removing a folder in memory: %w", err)
		}
		return os.Remove(dir)
	}, nil
}

// onDisk makes a folder on a disk that has room for so many bytes. The caller must call remove.
func onDisk(b *report.Bench, needed int64) (dir string, remove func() error, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(b.Dir, &fs); err != nil {
		return "", nil, fmt.Errorf("looking at %s: %w", b.Dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		return "", nil, fmt.Errorf("%s is in memory (tmpfs): choose a folder on a disk with -dir", b.Dir)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < needed {
		return "", nil, fmt.Errorf("%s has %.1f GiB free, %.1f are needed: choose another folder with -dir",
			b.Dir, float64(free)/gib, float64(needed)/gib)
	}
	dir = filepath.Join(b.Dir, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("making a folder on disk: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// settle waits until everything written to dir's filesystem is on disk, so that no turn pays for the one before.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("waiting for the disk: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("waiting for the disk: %w", err)
	}
	return nil
}

// folders makes n new folders in dir.
func folders(dir string, n int) ([]string, error) {
	list := make([]string, n)
	for i := range list {
		list[i] = filepath.Join(dir, fmt.Sprintf("source%d", i))
		if err := os.Mkdir(list[i], 0o755); err != nil {
			return nil, fmt.Errorf("making a source's folder: %w", err)
		}
	}
	return list, nil
}

// makeFile writes the file of size random bytes, always the same ones, into a folder, and returns its path.
func makeFile(ctx context.Context, folder string, size int64) (string, error) {
	path := filepath.Join(folder, fileName)
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("making a file to fetch: %w", err)
	}
	random, buf := rand.NewChaCha8([32]byte{1}), make([]byte, mib)
	for left := size; left > 0 && err == nil; left -= mib {
		_, _ = random.Read(buf) // never fails
		_, err = f.Write(buf[:min(left, mib)])
		err = errors.Join(err, context.Cause(ctx))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("making a file to fetch: %w", err)
	}
	return path, nil
}

// same returns an error unless two files hold the same bytes.
func same(a, b string) error {
	f, err := os.Open(a)
	if err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return fmt.Errorf("comparing: %w", err)
	}
	defer g.Close()
	x, y := make([]byte, mib), make([]byte, mib)
	for at := int64(0); ; at += mib {
		n, errX := io.ReadFull(f, x)
		m, errY := io.ReadFull(g, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("comparing: %s and %s differ in the MiB at %d", a, b, at)
		}
		for _, err := range []error{errX, errY} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("comparing: %w", err)
			}
		}
		if n < mib {
			return nil
		}
	}
}

// timeFor is how long bytes take at a rate of bytes a second.
func timeFor(bytes int64, rate float64) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

func mibs(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/mib) }

// makeFolderWithFile makes a folder and the file in it.
func makeFolderWithFile(ctx context.Context, folder string, size int64) error {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return fmt.Errorf("making a folder for the file to fetch: %w", err)
	}
	_, err := makeFile(ctx, folder, size)
	return err
}
