package store

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"shoal"
)

// allocate makes the part as long as the object, with disk space for all that is wanted of it, after asking whether there
// is enough. What is added reads as zeros.
func (p *Part) allocate(before unix.Stat_t) error {
	size := p.object.Size
	offset, length := p.wantedSpan()
	if err := p.checkSpace(length - min(length, before.Blocks*512) + p.cut.length()); err != nil {
		return err
	}
	if before.Size > size {
		if err := p.file.Truncate(size); err != nil {
			return diskError(err, "cutting %s to %d bytes", p.path, size)
		}
	}
	if size == 0 {
		return nil
	}
	err := onDescriptor(p.file, func(fd int) error { return unix.Fallocate(fd, 0, offset, length) })
	if err == nil && length < size || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = p.file.Truncate(size)
	}
	if err != nil {
		return diskError(err, "reserving %s for %s", bytesText(length), p.path)
	}
	return nil
}

func (p *Part) checkSpace(need int64) error {
	free, err := p.folder.free()
	if err != nil {
		return diskError(err, "asking how much space is left in %s", p.folder.path)
	}
	if need > free {
		return shoal.Errorf(shoal.NoSpace, "%s are needed in %s, and %s are free; free some space or choose another folder",
			bytesText(need), p.folder.path, bytesText(free))
	}
	return nil
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 3 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[prefix])
}
