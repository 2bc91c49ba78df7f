package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"shoal"
)

// diskError says what failed, and gives what the system said the code that callers decide by.
func diskError(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return shoal.Errorf(shoal.NoSpace, "%s: %w; free some space and try again", doing, err)
	case errors.Is(err, unix.EFBIG):
		return shoal.Errorf(shoal.Limit, "%s: %w for this filesystem or user; use another folder", doing, err)
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return shoal.Errorf(shoal.Limit, "%s: %w; raise the limit of open files (ulimit -n)", doing, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return shoal.Errorf(shoal.NotFound, "%s: %w", doing, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return shoal.Errorf(shoal.Denied, "%s: %w", doing, err)
	case errors.Is(err, fs.ErrExist):
		return shoal.Errorf(shoal.Exists, "%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// onDescriptor runs op on f's descriptor, which stays open meanwhile, again for as long as signals interrupt it. The
// error is os.ErrClosed when f is closed.
func onDescriptor(f *os.File, op func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var opErr error
	err = raw.Control(func(fd uintptr) {
		opErr = uninterrupted(func() error { return op(int(fd)) })
	})
	if err != nil { // which has no name outside of the standard library
		return os.ErrClosed
	}
	return opErr
}

func uninterrupted(op func() error) error {
	for {
		if err := op(); err != unix.EINTR {
			return err
		}
	}
}
