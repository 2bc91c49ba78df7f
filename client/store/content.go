package store

import (
	"syscall"

	"shoal"
)

// Content is what can be served: a published file, or the verified pieces of a download. All methods may be called
// concurrently. Its owner may close it at any time: between Hold and Release it can be read all the same, and elsewhere
// an operation in progress ends on the right file while later ones fail, with os.ErrClosed (Control of SyscallConn: with
// an error of its own).
type Content interface {
	// Object is what this is, or will be when it is whole.
	Object() shoal.Object
	// Manifest proves the object's pieces. It has been verified and must not be changed.
	Manifest() *shoal.Manifest
	// Has reports whether a piece is verified and on disk. It is false for numbers outside the object.
	Has(piece int) bool
	// Whole reports whether all pieces are there.
	Whole() bool
	// Bitfield is a copy of the set of pieces that are there, as JOIN's reply has it: bit 7 of byte 0 is piece 0, the
	// spare bits are 0. It is nil when all are.
	Bitfield() shoal.Bitfield
	// Held is the number of pieces that are there.
	Held() int
	// Check returns an error of code Changed when the file is no longer what was published. It costs one fstat, and is
	// meant to be called for every request.
	Check() error
	// Hold keeps the file open until Release, whatever its owner does: for as long as a request is answered from it.
	// The error is os.ErrClosed when it is closed; then there is nothing to release.
	Hold() error
	// Release ends what Hold began.
	Release()
	// ReadAt is io.ReaderAt on the object's bytes. The caller asks Has first.
	ReadAt(p []byte, off int64) (int, error)
	// SyscallConn gives access to the open file: for sendfile, with an explicit offset.
	SyscallConn() (syscall.RawConn, error)
}

var (
	_ Content = (*File)(nil)
	_ Content = (*Part)(nil)
)
