package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"shoal"
)

// File is a whole file, served in place. It implements Content, whose rules for concurrency and Close it follows. It
// has a descriptor open until Close.
type File struct {
	object   shoal.Object
	manifest *shoal.Manifest
	path     string
	stamp    Stamp
	*descriptor
}

// Hash reads the regular file at path once, on all cores, and opens it to be served. progress, if not nil, is called
// from several goroutines with the number of bytes just hashed.
//
// Errors have the code Changed when the file is written to meanwhile, BadRequest when it is not a regular file,
// NotFound or Denied when it is missing or may not be read, Canceled when ctx ends.
func Hash(ctx context.Context, path string, progress func(int64)) (*File, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	if err := f.hash(ctx, progress); err != nil {
		return nil, errors.Join(fmt.Errorf("hashing %s: %w", f.path, err), f.Close())
	}
	return f, nil
}

// hash sets f's object and manifest, and fails unless its stamp stays as it is.
func (f *File) hash(ctx context.Context, progress func(int64)) (err error) {
	if err := settle(ctx, f.stamp.Ctime); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return err
	}
	f.object, f.manifest, err = shoal.HashFile(ctx, f.file, f.stamp.Size, progress)
	if err != nil {
		return err
	}
	// Files of the kernel's own, as in /proc, have more than their size.
	if n, _ := f.file.ReadAt(make([]byte, 1), f.stamp.Size); n > 0 {
		return shoal.Errorf(shoal.Changed, "the file goes on after its %d bytes of record; publish a copy of it", f.stamp.Size)
	}
	return f.Check()
}

// OpenFile opens a file that was hashed before. m has been verified for o. The error has code Changed unless the file
// still has the stamp.
func OpenFile(path string, stamp Stamp, o shoal.Object, m *shoal.Manifest) (*File, error) {
	f, err := openRegular(path)
	switch shoal.CodeOf(err) {
	case shoal.NotFound, shoal.BadRequest:
		return nil, shoal.Errorf(shoal.Changed, "%s is no longer what was published: %w", path, err)
	}
	if err != nil {
		return nil, err
	}
	if f.stamp != stamp || stamp.Size != o.Size {
		return nil, errors.Join(f.changed(stamp.change(f.stamp)), f.Close())
	}
	f.object, f.manifest = o, m
	return f, nil
}

// Holds opens the file at path if it is o, hashing it if at least the size is right. The error has code NotFound when
// nothing stands there, Exists when it is something else; otherwise as Hash.
func Holds(ctx context.Context, path string, o shoal.Object, progress func(int64)) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, diskError(err, "looking for %v", o.ID)
	}
	if !info.Mode().IsRegular() || info.Size() != o.Size {
		return nil, shoal.Errorf(shoal.Exists, "%s is there already, and is not %v; move it away, or choose another name", path, o.ID)
	}
	f, err := Hash(ctx, path, progress)
	if err != nil {
		return nil, err
	}
	if f.object != o {
		err := shoal.Errorf(shoal.Exists, "%s is there already, and is %v instead of %v; move it away, or choose another name",
			path, f.object.ID, o.ID)
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openRegular opens a regular file for reading, without object and manifest. Anything else is refused before it is
// opened, which could block or do things.
func openRegular(path string) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, diskError(err, "finding %s", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, diskError(err, "opening a file")
	}
	if err := checkRegular(path, info.Mode()); err != nil {
		return nil, err
	}
	fd := -1
	err = uninterrupted(func() error {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		return err
	})
	if err != nil {
		return nil, diskError(err, "opening %s", path)
	}
	file, err := adopt(fd, path)
	if err != nil {
		return nil, err
	}
	f, err := newFile(file, path)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

// adopt makes an os.File of a descriptor that was opened with O_NONBLOCK, which it takes off.
func adopt(fd int, path string) (*os.File, error) {
	if err := unix.SetNonblock(fd, false); err != nil {
		return nil, errors.Join(diskError(err, "opening %s", path), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// newFile takes the stamp of an open file. It owns file only if it succeeds.
func newFile(file *os.File, path string) (*File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, diskError(err, "examining %s", path)
	}
	if err := checkRegular(path, info.Mode()); err != nil {
		return nil, err
	}
	stat, err := fstat(file)
	if err != nil {
		return nil, diskError(err, "examining %s", path)
	}
	d, err := newDescriptor(file)
	if err != nil {
		return nil, err
	}
	return &File{path: path, stamp: stampFrom(&stat), descriptor: d}, nil
}

func checkRegular(path string, mode fs.FileMode) error {
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return shoal.Errorf(shoal.BadRequest, "%s is a folder; only files can be published", path)
	}
	return shoal.Errorf(shoal.BadRequest, "%s is not a regular file (%v); only those can be published", path, mode.Type())
}

// Path is the file's absolute path when it was opened.
func (f *File) Path() string { return f.path }

// Stamp is what the file had when it was hashed, and must have to be served.
func (f *File) Stamp() Stamp { return f.stamp }

// Object implements Content.
func (f *File) Object() shoal.Object { return f.object }

// Manifest implements Content.
func (f *File) Manifest() *shoal.Manifest { return f.manifest }

// Has implements Content: all pieces are there.
func (f *File) Has(piece int) bool { return piece >= 0 && piece < f.object.Pieces() }

// Whole implements Content: it is.
func (f *File) Whole() bool { return true }

// Bitfield implements Content: a file is whole.
func (f *File) Bitfield() shoal.Bitfield { return nil }

// Held implements Content.
func (f *File) Held() int { return f.object.Pieces() }

// Check implements Content. A rename or a removal counts as a change, as does anything else that changes the ctime.
func (f *File) Check() error {
	stat, err := fstat(f.file)
	if err != nil {
		return diskError(err, "examining %s", f.path)
	}
	if now := stampFrom(&stat); now != f.stamp {
		return f.changed(f.stamp.change(now))
	}
	return nil
}

// changed is what peers are told too, so it does not say where the file is.
func (f *File) changed(how string) error {
	return shoal.Errorf(shoal.Changed, "the file is no longer what was published: %s; publish it again", how)
}

// Head returns the first limit bytes, or all where there are fewer. The error has code Changed when the file is no longer
// what was published.
func (f *File) Head(limit int) ([]byte, error) {
	if err := f.Hold(); err != nil {
		return nil, fmt.Errorf("reading the beginning of %s: %w", f.path, err)
	}
	defer f.Release()
	head := make([]byte, min(f.object.Size, int64(limit)))
	_, err := f.ReadAt(head, 0)
	if changed := f.Check(); changed != nil {
		return nil, changed
	}
	if err != nil {
		return nil, diskError(err, "reading the beginning of %s", f.path)
	}
	return head, nil
}

// Close gives the descriptor back as soon as nobody holds the file; it does not wait for that. A second Close returns
// os.ErrClosed.
func (f *File) Close() error { return f.close() }
