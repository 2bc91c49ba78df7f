package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// diskNeeded is what the largest figure writes: five copies of 1 GiB, or one of 6 GiB.
const diskNeeded = 12 * gib

// checkDisk refuses a folder that is in memory, where writing costs nothing, or on a disk without room.
func checkDisk(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is in memory (tmpfs): choose a folder on a disk with -dir", dir)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < diskNeeded {
		return fmt.Errorf("%s has %.1f GiB free, %d are needed: choose another folder with -dir",
			dir, float64(free)/gib, diskNeeded/gib)
	}
	return nil
}

// settle waits until everything written to dir's filesystem so far is on disk, so that no turn pays for the one before.
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

// random returns the same endless random bytes for the same seed.
func random(seed uint8) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// makeRandom writes a file of size random bytes, the same for the same seed.
func makeRandom(path string, size int64, seed uint8) error {
	return create(path, func(f *os.File) error {
		_, err := io.CopyBuffer(onlyWriter{f}, io.LimitReader(random(seed), size), make([]byte, mib))
		return err
	})
}

// makeSparse writes a file of size bytes that is empty but for some random bytes at its start and across each
// following GiB boundary, where an offset of 31 or 32 bits would go wrong, and at its end.
func makeSparse(path string, size int64, seed uint8) error {
	return create(path, func(f *os.File) error {
		if err := f.Truncate(size); err != nil {
			return err
		}
		source, stamp := random(seed), make([]byte, 4*kib)
		for at := int64(0); at < size+gib; at += gib {
			_, _ = source.Read(stamp) // ChaCha8 never fails
			offset := min(max(0, at-int64(len(stamp))/2), size-int64(len(stamp)))
			if _, err := f.WriteAt(stamp, offset); err != nil {
				return err
			}
		}
		return nil
	})
}

func create(path string, fill func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("making a file to fetch: %w", err)
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return fmt.Errorf("making a file to fetch: %w", err)
	}
	return nil
}

// onlyWriter and onlyReader hide that a file could copy by itself: io.CopyBuffer is to use the buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// warm reads a file, so that it is in the page cache.
func warm(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("warming the page cache: %w", err)
	}
	defer f.Close()
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{f}, make([]byte, mib)); err != nil {
		return fmt.Errorf("warming the page cache: %w", err)
	}
	return nil
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
		if errX != nil || errY != nil {
			return readError(errX, errY)
		}
	}
}

// readError returns those errors that are not the end of a file.
func readError(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("comparing: %w", err)
		}
	}
	return nil
}
