package store

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"shoal"
)

// folder is the destination of a download. All names are single path elements, and nothing outside can be reached.
type folder struct {
	path string // absolute
	root *os.Root
	dir  *os.File // the same, for what os.Root does not do
}

func openFolder(path string) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, diskError(err, "finding the folder %s", path)
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, shoal.Errorf(shoal.NotFound, "%s is not a folder that could be downloaded to", path)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, diskError(err, "opening the folder to download to")
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(diskError(err, "opening the folder %s", path), root.Close())
	}
	return &folder{path: path, root: root, dir: dir}, nil
}

func (d *folder) join(name string) string { return filepath.Join(d.path, name) }

// open opens without following a symbolic link, and without blocking on what is not a file.
func (d *folder) open(name string, flags int) (*os.File, error) {
	fd := -1
	err := onDescriptor(d.dir, func(dir int) (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o666)
		return err
	})
	if err != nil {
		return nil, err
	}
	return adopt(fd, d.join(name))
}

// stat describes what has the name, not what a link leads to.
func (d *folder) stat(name string) (stat unix.Stat_t, err error) {
	err = onDescriptor(d.dir, func(dir int) error {
		return unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	})
	return stat, err
}

func (d *folder) remove(name string) error { return d.root.Remove(name) }

// replace renames a file over another one.
func (d *folder) replace(from, to string) error { return d.root.Rename(from, to) }

// move renames a file to a name that must be free, at the moment it happens.
func (d *folder) move(from, to string) error {
	err := onDescriptor(d.dir, func(dir int) error {
		return unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // as on NFS
		return d.relink(from, to)
	}
	return err
}

// relink is move for filesystems that cannot rename without replacing, but can link.
func (d *folder) relink(from, to string) error {
	if err := d.root.Link(from, to); err != nil {
		return err
	}
	return d.root.Remove(from)
}

// sync makes what was created, renamed and removed durable.
func (d *folder) sync() error { return d.dir.Sync() }

// free is the number of bytes that users may still fill.
func (d *folder) free() (int64, error) {
	var stat unix.Statfs_t
	if err := onDescriptor(d.dir, func(dir int) error { return unix.Fstatfs(dir, &stat) }); err != nil {
		return 0, err
	}
	const most = 1 << 62
	if size := uint64(max(stat.Bsize, 1)); stat.Bavail < most/size {
		return int64(stat.Bavail * size), nil
	}
	return most, nil
}

func (d *folder) close() error { return errors.Join(d.dir.Close(), d.root.Close()) }
