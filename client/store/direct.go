package store

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// directAlign is what direct I/O wants memory, offset and length to be multiples of, in bytes: the largest logical block
// of common disks.
const directAlign = 4096

// openDirect opens file a second time, for writes that go past the page cache. A download is bound by its disk in the
// end, because it is synced; writing it through the cache would only add a copy, and push out what others have there.
// It returns nil where the filesystem cannot do that.
func openDirect(file *os.File) *os.File {
	var fd int
	err := onDescriptor(file, func(of int) (err error) {
		fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", of), unix.O_WRONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), file.Name())
}

// writeAt writes data at offset of file, directly if that is possible.
func writeAt(file, direct *os.File, data []byte, offset int64) error {
	if direct != nil && isAligned(data, offset) {
		if _, err := direct.WriteAt(data, offset); !errors.Is(err, unix.EINVAL) {
			return err
		} // a filesystem that wants more than directAlign
	}
	_, err := file.WriteAt(data, offset)
	return err
}

func isAligned(data []byte, offset int64) bool {
	return len(data) > 0 && (uintptr(unsafe.Pointer(unsafe.SliceData(data)))|uintptr(len(data))|uintptr(offset))%directAlign == 0
}
