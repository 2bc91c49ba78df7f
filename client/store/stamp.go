package store

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Stamp identifies a file at rest: as long as it is the same, so are the file and its bytes. (Who can set a file's
// ctime, by setting the clock or writing to the disk below the filesystem, can deceive it.)
type Stamp struct {
	Device, Inode uint64
	Size          int64 // bytes
	Mtime, Ctime  int64 // nanoseconds since 1970
}

// StampOf is the stamp of what path leads to.
func StampOf(path string) (Stamp, error) {
	var stat unix.Stat_t
	if err := uninterrupted(func() error { return unix.Stat(path, &stat) }); err != nil {
		return Stamp{}, diskError(err, "examining %s", path)
	}
	return stampFrom(&stat), nil
}

func stampFrom(stat *unix.Stat_t) Stamp {
	return Stamp{
		Device: stat.Dev, Inode: stat.Ino, Size: stat.Size,
		Mtime: stat.Mtim.Nano(), Ctime: stat.Ctim.Nano(),
	}
}

// fstat describes an open file.
func fstat(f *os.File) (stat unix.Stat_t, err error) {
	err = onDescriptor(f, func(fd int) error { return unix.Fstat(fd, &stat) })
	return stat, err
}

// change says what is different in a later stamp.
func (s Stamp) change(later Stamp) string {
	switch {
	case s.Device != later.Device || s.Inode != later.Inode:
		return "another file stands there now"
	case s.Size != later.Size:
		return "its size changed"
	case s.Mtime != later.Mtime:
		return "it was written to"
	}
	return "it was written to, renamed or removed, or its mode changed"
}

// tick is more than the step of the clock that kernels before 6.13 stamp files with: at most one in 100 of a second.
const tick = 10 * time.Millisecond

// settle waits until a change of f would give it another ctime than it has now: a file that changes twice within one
// tick of the kernel's clock looks unchanged.
func settle(ctx context.Context, ctime int64) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &now); err != nil {
		return err
	}
	age := time.Duration(now.Nano() - ctime)
	if age >= tick || age < -tick { // in the future: another machine's clock, which waiting does not help
		return nil
	}
	timer := time.NewTimer(tick - max(age, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
