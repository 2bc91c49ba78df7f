// Package folder keeps state in folders: each used by one process at a time, with files that are whole or not there at
// all, also after a power cut.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"shoal"
)

// Lock makes dir, with mode 0700, where it is missing, and keeps other processes out until the lock is closed or this
// process ends. The error has code Busy where another has it already, which what names ("server"), and Denied where this
// user may not use it.
func Lock(dir, what string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, refused("making", dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, refused("locking", dir, err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, shoal.Errorf(shoal.Busy, "another %s uses the folder %s; stop it first, or give this one a folder of its own with --state", what, dir)
	}
	return nil, refused("locking", dir, err)
}

func refused(doing, dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return shoal.Errorf(shoal.Denied, "%s the folder %s: %w; choose one of your own with --state", doing, dir, err)
	}
	return fmt.Errorf("%s the folder %s: %w", doing, dir, err)
}

// Create writes a new file, mode 0600. Where there is something already, the error is fs.ErrExist.
func Create(path string, content []byte) error { return place(path, content, os.Link) }

// Replace writes a file, mode 0600, in the place of what is there: a crash leaves the old content or the new one.
func Replace(path string, content []byte) error { return place(path, content, os.Rename) }

// place writes a whole file under another name and gives it its own by name.
func place(path string, content []byte, name func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := name(f.Name(), path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// Sync makes the names in dir outlast a power cut.
func Sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
