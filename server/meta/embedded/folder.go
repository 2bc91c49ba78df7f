package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"shoal"
)

const (
	// format is the version of the folder's layout that this program reads and writes.
	format = 1
	// marker is the file that says which version made the folder; it is read before anything else is.
	marker = "format"
	// label is what stands before the number in it.
	label = "shoal state "
)

// claim locks the folder and checks who made it. The lock holds until the file is closed.
func claim(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for etcd: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of etcd: %w", err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = shoal.Errorf(shoal.Busy, "another process uses the folder %s; stop it first, or use a folder of its own for this one", dir)
	case err != nil:
		err = fmt.Errorf("locking the folder %s: %w", dir, err)
	default:
		err = checkFormat(dir)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// checkFormat marks a new folder and refuses one that another version made.
func checkFormat(dir string) error {
	path := filepath.Join(dir, marker)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
			return shoal.Errorf(shoal.Unsupported, "%s has data, but no file %q that says which version made it; "+
				"restore a backup into an empty folder", dir, marker)
		}
		return writeFormat(dir)
	}
	if err != nil {
		return fmt.Errorf("reading which version made %s: %w", dir, err)
	}
	number, labeled := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), label)
	version, err := strconv.ParseUint(number, 10, 32)
	switch {
	case !labeled || err != nil:
		return shoal.Errorf(shoal.Unsupported, "%s says %.40q, not which version made the folder; restore a backup into an empty folder", path, text)
	case version != format:
		return shoal.Errorf(shoal.Unsupported, "%s was made by a version of shoal that writes state %d; this one reads state %d only: "+
			"use that version, or a backup", dir, version, format)
	}
	return nil
}

// writeFormat marks the folder, durably: all or nothing.
func writeFormat(dir string) error {
	path := filepath.Join(dir, marker)
	err := func() error {
		f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "%s%d\n", label, format)
		err = errors.Join(err, f.Sync(), f.Close())
		if err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
		return SyncFolder(dir)
	}()
	if err != nil {
		return fmt.Errorf("marking the folder of etcd: %w", err)
	}
	return nil
}

// SyncFolder makes the names in a folder durable.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
