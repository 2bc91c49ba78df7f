package store

import (
	"os"
	"sync"
	"syscall"
)

// descriptor is an open file with one owner, who closes it, and any number of users, who hold it for a while.
type descriptor struct {
	file *os.File
	raw  syscall.RawConn

	mu     sync.Mutex // guards the fields below
	users  int        // the owner is one
	closed bool
}

func newDescriptor(file *os.File) (*descriptor, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, diskError(err, "using %s", file.Name())
	}
	return &descriptor{file: file, raw: raw, users: 1}, nil
}

// Hold keeps the file open until Release, even if it is closed meanwhile: for as long as a reply is sent from it. The
// error is os.ErrClosed after Close; then there is nothing to release.
func (d *descriptor) Hold() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	d.users++
	return nil
}

// Release ends what Hold began.
func (d *descriptor) Release() {
	_ = d.drop() // an error of close(2) concerns the owner's writes, which are synced before
}

// close ends the owner's use. A second call returns os.ErrClosed.
func (d *descriptor) close() error {
	d.mu.Lock()
	again := d.closed
	d.closed = true
	d.mu.Unlock()
	if again {
		return os.ErrClosed
	}
	return d.drop()
}

func (d *descriptor) drop() error {
	d.mu.Lock()
	d.users--
	last := d.users == 0
	d.mu.Unlock()
	if last {
		return d.file.Close()
	}
	return nil
}

// ReadAt implements Content.
func (d *descriptor) ReadAt(p []byte, off int64) (int, error) { return d.file.ReadAt(p, off) }

// SyscallConn implements Content.
func (d *descriptor) SyscallConn() (syscall.RawConn, error) { return d.raw, nil }
