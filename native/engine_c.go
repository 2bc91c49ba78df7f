//go:build native && cgo

package native

/*
#cgo CFLAGS: -I${SRCDIR}/c
#cgo LDFLAGS: ${SRCDIR}/../build/libshoal_blake3.a
#cgo noescape b3_sum
#cgo nocallback b3_sum
#cgo noescape b3_chaining_value
#cgo nocallback b3_chaining_value
#cgo noescape b3_block_values
#cgo nocallback b3_block_values
#cgo noescape b3_combine
#cgo nocallback b3_combine
#include "blake3.h"
*/
import "C"

import (
	"slices"
	"unsafe"

	"shoal/native/twin"
)

// An Engine hashes at one level. Its methods are described at the package's functions of the same names.
type Engine struct {
	kernel *C.b3_kernel // in the archive's constant memory; nil for the twin
}

var engines = listEngines()

func listEngines() []Engine {
	var kernels [C.B3_MAX_LEVELS]*C.b3_kernel
	n := C.b3_levels(&kernels[0])
	var list []Engine
	for _, k := range kernels[:n] {
		list = append(list, Engine{k})
	}
	return append(list, Engine{})
}

// Archive returns the SHA-256 of the C sources and of the archive that this program was linked with, in hexadecimal.
// The constant behind it is written by CMake, so that the Go toolchain links again whenever the archive has changed.
func Archive() string { return archiveHash }

// Level returns the engine's level.
func (e Engine) Level() string {
	if e.kernel == nil {
		return "go"
	}
	return C.GoString(C.b3_level_name(e.kernel))
}

// Sum returns the hash of a file.
func (e Engine) Sum(p []byte) (out [Size]byte) {
	if e.kernel == nil {
		return twin.Sum(p)
	}
	C.b3_sum(e.kernel, bytesOf(p), C.size_t(len(p)), first(&out))
	return out
}

// ChainingValue returns the chaining value of a subtree.
func (e Engine) ChainingValue(p []byte, chunk uint64) (out [Size]byte) {
	if e.kernel == nil {
		return twin.ChainingValue(p, chunk)
	}
	C.b3_chaining_value(e.kernel, bytesOf(p), C.size_t(len(p)), C.uint64_t(chunk), first(&out))
	return out
}

// BlockValues appends the chaining values of p's blocks to dst.
func (e Engine) BlockValues(dst [][Size]byte, p []byte, chunk uint64, blockLen int) [][Size]byte {
	checkBlocks(chunk, blockLen)
	if e.kernel == nil {
		return twin.BlockValues(dst, p, chunk, blockLen)
	}
	if len(p) == 0 {
		return dst
	}
	have, more := len(dst), (len(p)-1)/blockLen+1
	dst = slices.Grow(dst, more)[:have+more]
	C.b3_block_values(e.kernel, bytesOf(p), C.size_t(len(p)), C.uint64_t(chunk), C.size_t(blockLen), first(&dst[have]))
	return dst
}

// Combine returns the chaining value over neighbouring values.
func (e Engine) Combine(values [][Size]byte) (out [Size]byte) {
	if e.kernel == nil {
		return twin.Combine(values)
	}
	C.b3_combine(e.kernel, first(&values[0]), C.size_t(len(values)), 0, first(&out))
	return out
}

// Root returns the file's hash over neighbouring values.
func (e Engine) Root(values [][Size]byte) (out [Size]byte) {
	if e.kernel == nil {
		return twin.Root(values)
	}
	_ = values[1]
	C.b3_combine(e.kernel, first(&values[0]), C.size_t(len(values)), 1, first(&out))
	return out
}

func bytesOf(p []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(p))) }

func first(v *[Size]byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&v[0])) }
